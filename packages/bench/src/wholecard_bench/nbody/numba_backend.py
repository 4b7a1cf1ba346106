"""The processor's backend: numba, one Python thread for each of its threads.

A "device" is a group of threads with its own range of bodies, so that `--num-devices 2` has a
meaning, and its code a test, on a machine without a card.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wholecard_bench.errors import NoDeviceError, UsageError
from wholecard_bench.nbody.backend import Device, Mix, Timing, ranges
from wholecard_bench.nbody.bodies import Array, Bodies
from wholecard_bench.nbody.kernel import Precision

_ROWS = 256  # bodies i that a thread takes at once: a few milliseconds at 65,536 bodies


@dataclass
class _Group:
    """A device: threads, and the range of bodies that they move."""

    first: int
    last: int
    threads: int


@dataclass(frozen=True)
class _Pass:
    """One round of forces and advance: wall and CPU seconds, of each group."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


class NumbaSystem:
    """Bodies as one array for each coordinate, which all groups read."""

    def __init__(
        self,
        bodies: Bodies,
        threads: list[tuple[int, int]],
        precision: Precision,
        softening: float,
    ) -> None:
        from wholecard_bench.nbody.cpu_kernel import forces_kernel

        dtype = precision.dtype
        self._real = dtype.type
        self._x: list[npt.NDArray[Any]] = [
            np.ascontiguousarray(column, dtype) for column in bodies.positions.T
        ]
        self._v: list[npt.NDArray[Any]] = [
            np.ascontiguousarray(column, dtype) for column in bodies.velocities.T
        ]
        self._a: list[npt.NDArray[Any]] = [np.full(bodies.count, np.nan, dtype) for _ in range(3)]
        self._masses = bodies.masses.astype(dtype)
        self._exact_masses = bodies.masses
        self._soft = dtype.type(softening**2)
        self._groups = [
            _Group(first, last, end - start)
            for (first, last), (start, end) in zip(
                ranges(bodies.count, len(threads)), threads, strict=True
            )
        ]
        self._pool = ThreadPoolExecutor(sum(group.threads for group in self._groups))
        self._kernel = forces_kernel(precision)
        self._forces(0, min(2, bodies.count))  # compiled now, not while a step is timed

    @property
    def shares(self) -> tuple[int, ...]:
        """Bodies of each group."""
        return tuple(group.last - group.first for group in self._groups)

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing to add."""
        return ()

    def step(self, kick: float, drift: float) -> None:
        """Forces, then positions."""
        self._pass(kick, drift)

    def measure(self, steps: int, step: float) -> Timing:
        """By wall; beside it the threads' own time."""
        passes, walls = [], []
        for _ in range(steps):
            start = time.perf_counter()
            passes.append(self._pass(step, step))
            walls.append(time.perf_counter() - start)
        return Timing(
            tuple(walls),
            tuple(
                statistics.median(column) for column in zip(*(p.wall for p in passes), strict=True)
            ),
            statistics.median(sum(p.cpu) for p in passes),
        )

    def accelerations(self) -> Array:
        """(n, 3)."""
        return np.stack(self._a, axis=1).astype(np.float64)

    def bodies(self) -> Bodies:
        """In float64."""
        return Bodies(
            np.stack(self._x, axis=1).astype(np.float64),
            np.stack(self._v, axis=1).astype(np.float64),
            self._exact_masses,
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _pass(self, kick: float, drift: float) -> _Pass:
        # All forces are done before any body moves: the positions are one array for all.
        work = [list(self._start(group)) for group in self._groups]
        results = [[future.result() for future in futures] for futures in work]
        for acceleration, velocity, position in zip(self._a, self._v, self._x, strict=True):
            np.add(velocity, acceleration * self._real(kick), out=velocity)
            np.add(position, velocity * self._real(drift), out=position)
        return _Pass(
            tuple(max(wall for wall, _ in group) for group in results),
            tuple(sum(cpu for _, cpu in group) for group in results),
        )

    def _start(self, group: _Group):  # type: ignore[no-untyped-def]  # a generator of futures
        count = group.last - group.first
        # An even number: the kernel takes two bodies at once.
        rows = max(2, min(_ROWS, count // (4 * group.threads)) // 2 * 2)
        starts = itertools.count(group.first, rows)  # next() is atomic in CPython

        def work() -> tuple[float, float]:
            wall, cpu = time.perf_counter(), time.thread_time()
            while (first := next(starts)) < group.last:
                self._forces(first, min(first + rows, group.last))
            return time.perf_counter() - wall, time.thread_time() - cpu

        for _ in range(group.threads):
            yield self._pool.submit(work)

    def _forces(self, first: int, last: int) -> None:
        self._kernel(*self._x, self._masses, self._soft, *self._a, first, last)


class NumbaBackend:
    """The processor, by numba."""

    name = "numba"
    threads: int
    system_class: type[NumbaSystem] = NumbaSystem

    def __init__(self) -> None:
        try:
            import numba
        except ImportError as error:
            raise NoDeviceError(
                "The backend numba is not installed",
                f"{error}",
                "Install it: pip install 'wholecard-bench[cpu]'",
            ) from error
        self._version = numba.__version__
        self.threads = len(os.sched_getaffinity(0))

    def devices(self, count: int) -> tuple[Device, ...]:
        """Groups of threads."""
        if count > self.threads:
            raise UsageError(
                f"There are {self.threads} processor threads, too few for {count} devices",
                "With the backend numba a device is a group of threads.",
                f"Use --num-devices {self.threads} or fewer",
            )
        name = _processor()
        return tuple(
            Device(index, name, f"{last - first} of {self.threads} threads")
            for index, (first, last) in enumerate(ranges(self.threads, count))
        )

    def system(
        self, bodies: Bodies, devices: int, precision: Precision, softening: float
    ) -> NumbaSystem:
        """The bodies in the machine's memory; threads that wait for work."""
        self.devices(devices)
        return self.system_class(bodies, ranges(self.threads, devices), precision, softening)

    def peak(self, devices: int, precision: Precision) -> float:  # noqa: ARG002 - of one thread
        """Of one thread, by its own time."""
        from wholecard_bench.nbody.cpu_peak import flops_a_thread

        return flops_a_thread(precision)

    def mix(self, precision: Precision, bodies: Bodies) -> Mix:  # noqa: ARG002 - masses do not matter
        """Counted in LLVM's assembly for AVX-512 (`benchmarks/nbody_bench.py` writes it down).

        Subtractions have pipes of their own on AMD's Zen; where they share the fused products'
        pipes, as on Intel, the bound is 3 slots lower.
        """
        # Single: 6 products, 7 fused ones. Double: 4 and 9, and 4 of half the width for the start.
        slots = 13 if precision is Precision.SINGLE else 15
        return Mix(slots, slots, "counted in the compiled loop; subtractions on pipes of their own")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine
