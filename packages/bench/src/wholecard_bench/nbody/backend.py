"""What a backend offers: devices, and a system of bodies that moves on some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wholecard_bench.nbody.bodies import Array, Bodies
from wholecard_bench.nbody.kernel import Precision


@dataclass(frozen=True)
class Device:
    """A device that a backend can compute on; `detail` is for people."""

    index: int
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Mix:
    """What the inner loop costs, and so how near the peak it can come.

    `pipe` is the slots of the floating-point pipe that an interaction takes, `issue` all
    instructions, both in units of the pipe's fused product. `source` says how they were counted.
    """

    pipe: float
    issue: float
    source: str

    @property
    def bound(self) -> float:
        """The highest share of the peak: 20 flops, where each slot could have done two."""
        return 20 / (2 * max(self.pipe, self.issue))


@dataclass(frozen=True)
class Timing:
    """Seconds. `steps`: of each step, all devices together. `busy`: of each device, its median.

    `core_seconds` is a CPU's time on all its threads for one step: what the step would take on one
    thread of an idle machine. None for other devices.
    """

    steps: tuple[float, ...]
    busy: tuple[float, ...]
    core_seconds: float | None = None


class System(Protocol):
    """Bodies on devices. `step` may return before it is done; the other methods wait."""

    @property
    def shares(self) -> Sequence[int]:
        """How many bodies each device moves."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the figures should know: grid, exchange, compiler."""

    def step(self, kick: float, drift: float) -> None:
        """v += a kick, then x += v drift, with the accelerations of now."""

    def measure(self, steps: int, step: float) -> Timing:
        """Move on by `steps` steps of `step` and time each."""

    def accelerations(self) -> Array:
        """Of the last step, (n, 3)."""

    def bodies(self) -> Bodies:
        """As they are now, in float64."""

    def close(self) -> None:
        """Give the devices' memory back."""


class Backend(Protocol):
    """One way to compute. Its constructor finds out whether it can be used: NoDeviceError."""

    name: str

    def devices(self, count: int) -> tuple[Device, ...]:
        """The first `count` devices; UsageError where there are fewer."""

    def system(
        self, bodies: Bodies, devices: int, precision: Precision, softening: float
    ) -> System:
        """Put the bodies on the first `devices` devices."""

    def peak(self, devices: int, precision: Precision) -> float:
        """Flop/s of fused products on the first `devices` devices together, measured now.

        For a CPU of one thread, by its own time: `Timing.core_seconds` is its counterpart.
        """

    def mix(self, precision: Precision, bodies: Bodies) -> Mix | None:
        """What the inner loop costs on these devices; None where nobody has counted."""


def ranges(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` bodies in `parts` consecutive ranges of equal length, give or take one body."""
    return [(count * part // parts, count * (part + 1) // parts) for part in range(parts)]
