"""AMD's, Intel's and every other card with an OpenCL driver: the same kernel text by PyOpenCL.

A processor with an OpenCL driver is a device too; it is divided into sub-devices where more devices
are asked for than there are. So two devices have a test on a machine without a card.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wholecard_bench.errors import BenchError, NoDeviceError, UsageError
from wholecard_bench.nbody.backend import Device, Mix, Timing, ranges
from wholecard_bench.nbody.bodies import Array, Bodies
from wholecard_bench.nbody.geometry import Launch, plan_launch
from wholecard_bench.nbody.kernel import (
    Language,
    Precision,
    Variant,
    folds_exactly,
    pack,
    program_text,
)

_GROUPS_EACH = 8  # OpenCL does not say how many groups a compute unit holds
_PEAK_ROUNDS = 4096


class OpenclBackend:
    """Every device with an OpenCL driver. `cards_only`: processors do not count."""

    name = "opencl"

    def __init__(self, cards_only: bool = False) -> None:
        try:
            import pyopencl as cl
        except ImportError as error:
            raise NoDeviceError(
                "The backend opencl is not installed",
                f"{error}",
                "Install it: pip install 'wholecard-bench[opencl]'",
            ) from error
        try:
            platforms = cl.get_platforms()
        except cl.Error as error:
            raise NoDeviceError(
                "There is no OpenCL driver",
                str(error),
                "Install the card's. In Debian: mesa-opencl-icd (AMD), intel-opencl-icd (Intel), "
                "nvidia-opencl-icd (NVIDIA), pocl-opencl-icd (processor). clinfo lists what is "
                "there",
            ) from error
        self.listed = _of_one_platform(cl, platforms, cards_only)
        if not self.listed:
            kind = "card" if cards_only else "device"
            raise NoDeviceError(
                f"OpenCL's drivers list no {kind}",
                ", ".join(platform.name for platform in platforms),
                "Look at: clinfo; lspci -nnk. The user must be able to open /dev/dri/renderD*",
            )

    def devices(self, count: int) -> tuple[Device, ...]:
        """Devices of the first platform that has any; a processor's parts."""
        return tuple(
            Device(
                index,
                device.name.strip(),
                f"{device.platform.name.strip()}, {device.max_compute_units} compute units",
            )
            for index, device in enumerate(self.first(count))
        )

    def system(
        self, bodies: Bodies, devices: int, precision: Precision, softening: float
    ) -> OpenclSystem:
        """The bodies on the first `devices` devices."""
        return OpenclSystem(bodies, self.first(devices), precision, softening)

    def peak(self, devices: int, precision: Precision) -> float:
        """All of them together; each is measured alone, one after the other."""
        return sum(_peak(device, precision) for device in self.first(devices))

    def mix(self, precision: Precision, bodies: Bodies) -> Mix | None:  # noqa: ARG002
        """Nobody has counted: each driver compiles in its own way."""
        return None

    def first(self, count: int) -> list[Any]:
        """The first `count` devices; a processor alone is divided."""
        import pyopencl as cl

        if count <= len(self.listed):
            return self.listed[:count]
        one = self.listed[0]
        units = one.max_compute_units // count
        if len(self.listed) == 1 and one.type & cl.device_type.CPU and units:
            parts = one.create_sub_devices([cl.device_partition_property.EQUALLY, units])
            return list(parts)[:count]
        raise UsageError(
            f"{count} devices were asked for, and OpenCL has {len(self.listed)}",
            "\n".join(device.name.strip() for device in self.listed),
            "Count the cards that the guest has: clinfo -l; ls /dev/dri",
        )


@dataclass
class _Part:
    """A device with its range of bodies."""

    queue: Any
    first: int
    count: int
    launch: Launch
    variant: Variant
    forces: Any
    advance: Any
    buffers: dict[str, Any]


class OpenclSystem:
    """Bodies on devices of one platform, in one context."""

    def __init__(
        self,
        bodies: Bodies,
        devices: Sequence[Any],
        precision: Precision,
        softening: float,
        variant: Variant | None = None,
    ) -> None:
        import pyopencl as cl

        self._exact = bodies
        self._precision = precision
        self._soft2 = precision.dtype.type(softening**2)
        _check_precision(devices, precision)
        self._context = cl.Context(list(devices))
        variant = variant or _variant(devices[0], precision, folds_exactly(bodies.masses))
        program = _build(self._context, variant, "nbody.cu")
        packed = pack(bodies.positions, bodies.masses, variant)
        self._scale = packed.scale
        self._parts = [
            _part(self._context, program, device, bodies, limits, variant, packed.words)
            for device, limits in zip(devices, ranges(bodies.count, len(devices)), strict=True)
        ]

    @property
    def shares(self) -> tuple[int, ...]:
        """Bodies of each device."""
        return tuple(part.count for part in self._parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """The grid of each device."""
        return tuple(
            f"device {index}: {part.launch.rows} x {part.launch.slices} groups of "
            f"{part.launch.threads} threads, {part.launch.bodies_a_thread} bodies a thread, "
            f"{'folded' if part.variant.folded else 'plain'}"
            for index, part in enumerate(self._parts)
        )

    def step(self, kick: float, drift: float) -> None:
        """Forces, positions, exchange."""
        self._pass(kick, drift)

    def measure(self, steps: int, step: float) -> Timing:
        """By wall, and each device's forces and positions by its own events."""
        walls, busy = [], []
        for _ in range(steps):
            start = time.perf_counter()
            busy.append(self._pass(step, step))
            walls.append(time.perf_counter() - start)
        return Timing(
            tuple(walls), tuple(statistics.median(device) for device in zip(*busy, strict=True))
        )

    def accelerations(self) -> Array:
        """(n, 3), in float64."""
        return np.concatenate([self._download(part, "accelerations") for part in self._parts])

    def bodies(self) -> Bodies:
        """As the first device has them; it has all positions."""
        return Bodies(
            self._download(self._parts[0], "read"),
            np.concatenate([self._download(part, "velocities") for part in self._parts]),
            self._exact.masses,
        )

    def close(self) -> None:
        """Give the memory back."""
        for part in self._parts:
            part.queue.finish()
            for buffer in part.buffers.values():
                buffer.release()

    def _pass(self, kick: float, drift: float) -> list[float]:
        import pyopencl as cl

        real, i32 = self._precision.dtype.type, np.int32
        events = []
        for part in self._parts:
            threads, buffers = part.launch.threads, part.buffers
            forces = part.forces(
                part.queue, (part.launch.rows * threads, part.launch.slices), (threads, 1),
                buffers["read"], buffers["sums"], i32(self._exact.count), i32(part.first),
                i32(part.count), i32(part.launch.slice_bodies), self._soft2,
            )  # fmt: skip
            advance = part.advance(
                part.queue, (-(-part.count // threads) * threads,), (threads,),
                buffers["sums"], i32(part.launch.slices), buffers["read"], buffers["write"],
                buffers["velocities"], buffers["accelerations"], i32(part.first), i32(part.count),
                real(self._scale), real(kick), real(drift), real(1),
            )  # fmt: skip
            part.queue.flush()
            events.append((forces, advance))
        for part in self._parts:
            part.queue.finish()
        size = 4 * self._precision.dtype.itemsize
        for part in self._parts:
            for other in self._parts:
                if other is not part:
                    cl.enqueue_copy(
                        part.queue, part.buffers["write"], other.buffers["write"],
                        byte_count=other.count * size, src_offset=other.first * size,
                        dst_offset=other.first * size,
                    )  # fmt: skip
        for part in self._parts:
            part.queue.finish()
            buffers = part.buffers
            buffers["read"], buffers["write"] = buffers["write"], buffers["read"]
        return [(end.profile.end - begin.profile.start) / 1e9 for begin, end in events]

    def _download(self, part: _Part, name: str) -> Array:
        import pyopencl as cl

        dtype = self._precision.dtype
        words: Any = np.empty((part.buffers[name].size // 4 // dtype.itemsize, 4), dtype)
        cl.enqueue_copy(part.queue, words, part.buffers[name])
        array: Array = words[:, :3].astype(np.float64)
        return array


def _of_one_platform(cl: Any, platforms: Sequence[Any], cards_only: bool) -> list[Any]:
    """Cards before processors: devices of two platforms share no context."""
    kinds = [cl.device_type.GPU] if cards_only else [cl.device_type.GPU, cl.device_type.ALL]
    for kind in kinds:
        for platform in platforms:
            try:
                devices = platform.get_devices(kind)
            except cl.Error:  # pocl raises where it has none of the kind
                continue
            if devices:
                return list(devices)
    return []


def _variant(device: Any, precision: Precision, folded: bool) -> Variant:
    import pyopencl as cl

    threads = 64 if device.type & cl.device_type.CPU else 128
    threads = min(threads, device.max_work_group_size)
    bodies = 4 if precision is Precision.SINGLE else 2
    return Variant(precision, folded, threads, bodies, unroll=8)


def _build(context: Any, variant: Variant, kernel: str) -> Any:
    import pyopencl as cl

    try:
        with warnings.catch_warnings():
            # Some drivers always say something; what matters raises.
            warnings.simplefilter("ignore", cl.CompilerWarning)
            # No -cl-fast-relaxed-math: with it Intel's rsqrt has 14 bits in double precision.
            return cl.Program(context, program_text(Language.OPENCL, variant, kernel)).build(
                ["-cl-std=CL1.2", "-cl-denorms-are-zero"]
            )
    except cl.Error as error:
        lines = str(error).strip().splitlines()
        raise BenchError(
            "OpenCL's driver does not compile the kernel",
            "\n".join(lines[:8]),
            "Try another driver; clinfo lists what is there",
        ) from error


def _part(
    context: Any,
    program: Any,
    device: Any,
    bodies: Bodies,
    limits: tuple[int, int],
    variant: Variant,
    words: Any,
) -> _Part:
    import pyopencl as cl

    first, last = limits
    size = 4 * variant.precision.dtype.itemsize
    places = device.max_compute_units * _GROUPS_EACH
    launch = plan_launch(
        bodies.count, last - first, places, variant.threads, variant.bodies_a_thread
    )
    velocities = np.zeros((last - first, 4), words.dtype)
    velocities[:, :3] = bodies.velocities[first:last]
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffers = {
        name: cl.Buffer(context, flags, hostbuf=array)
        for name, array in {
            "read": words,
            "write": words,
            "velocities": velocities,
            "accelerations": np.full_like(velocities, np.nan),
        }.items()
    }
    sums = launch.slices * (last - first) * size
    buffers["sums"] = cl.Buffer(context, cl.mem_flags.READ_WRITE, sums)
    queue = cl.CommandQueue(
        context, device, properties=cl.command_queue_properties.PROFILING_ENABLE
    )
    forces, advance = cl.Kernel(program, "forces"), cl.Kernel(program, "advance")
    return _Part(queue, first, last - first, launch, variant, forces, advance, buffers)


def _check_precision(devices: Sequence[Any], precision: Precision) -> None:
    for device in devices:
        if precision is Precision.DOUBLE and not device.double_fp_config:
            raise UsageError(
                f"{device.name.strip()} has no double precision",
                resolution="Leave --fp64 out",
            )


def _peak(device: Any, precision: Precision) -> float:
    import pyopencl as cl

    _check_precision([device], precision)
    context = cl.Context([device])
    variant = Variant(precision, threads=min(64, device.max_work_group_size))
    kernel = cl.Kernel(_build(context, variant, "peak.cu"), "peak")
    queue = cl.CommandQueue(
        context, device, properties=cl.command_queue_properties.PROFILING_ENABLE
    )
    real = precision.dtype.type
    threads = variant.threads * device.max_compute_units * 8
    out = cl.Buffer(context, cl.mem_flags.READ_WRITE, 64 * 8)
    seconds = []
    for _ in range(8):
        event = kernel(
            queue,
            (threads,),
            (variant.threads,),
            out,
            np.int32(_PEAK_ROUNDS),
            real(0.999),
            real(1e-3),
        )
        event.wait()
        seconds.append((event.profile.end - event.profile.start) / 1e9)
    flops: float = 2.0 * 16 * _PEAK_ROUNDS * threads / statistics.median(seconds[3:])
    return flops
