"""One run: is it right, does it keep its energy, and how fast is it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from wholecard_bench.errors import UsageError
from wholecard_bench.nbody import reference
from wholecard_bench.nbody.backend import Backend, Device, Mix, Timing
from wholecard_bench.nbody.bodies import SOFTENING, Bodies, plummer
from wholecard_bench.nbody.kernel import Precision
from wholecard_bench.nbody.reference import Errors

FLOPS = 20  # an interaction, as NVIDIA's sample counts (nbody.cpp, flopsPerInteraction)
FLOPS_DOUBLE = 30  # and what it counts in double precision
ENERGY_BOUND = 1e-6
ENERGY_STEPS = 100
STEP = 0.0025  # 100 steps: dE/E is 1e-8 to 6e-8 in both precisions
_CHECKED = 96  # bodies whose accelerations are reckoned in float64: 0.3 s at 65,536 bodies
_ENERGY_BODIES = 4096  # float64 by NumPy takes a second for these, four minutes for 65,536
# On a processor so slow that the steps would take longer than this, in seconds, fewer are checked.
_ENERGY_SECONDS = 20.0
_FEWEST = 256
_WARM = 2


@dataclass(frozen=True)
class Check:
    """How right it is. `energy_drift` is |E - E0| / |E0| after `energy_steps` steps."""

    errors: Errors
    error_bound: float
    energy_drift: float
    energy_bodies: int
    energy_steps: int = ENERGY_STEPS
    energy_bound: float = ENERGY_BOUND

    @property
    def passed(self) -> bool:
        """Both within their bounds."""
        return self.errors.largest <= self.error_bound and self.energy_drift <= self.energy_bound


@dataclass(frozen=True)
class Speed:
    """How fast it is. `peak` is flop/s; of one thread for a processor, of all devices otherwise.

    `shares` is how many of the `bodies` each device moves.
    """

    bodies: int
    shares: tuple[int, ...]
    timing: Timing
    peak: float
    mix: Mix | None

    @property
    def interactions(self) -> float:
        """Of one step: every body with every body, itself too, as the sample counts."""
        return float(self.bodies) ** 2

    def flops(self, seconds: float, flops: int = FLOPS) -> float:
        """Flop/s of a step that took `seconds`."""
        return flops * self.interactions / seconds

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.timing.steps)

    @property
    def peak_share(self) -> float:
        """Of the peak that was measured in this run; for a processor by its threads' own time."""
        return self.flops(self.timing.core_seconds or self.median) / self.peak

    def device_flops(self, device: int) -> float:
        """Flop/s of one device, in the time that it computed itself."""
        return FLOPS * float(self.shares[device]) * self.bodies / self.timing.busy[device]


@dataclass(frozen=True)
class Result:
    """One run, whole. `speed` is None where nothing was timed."""

    backend: str
    precision: Precision
    bodies: int
    devices: tuple[Device, ...]
    shares: tuple[int, ...]
    notes: tuple[str, ...]
    check: Check
    speed: Speed | None


def run(
    backend: Backend,
    *,
    bodies: int,
    devices: int,
    precision: Precision,
    iterations: int | None,
) -> Result:
    """Check, and with `iterations` time as many steps."""
    if bodies < 2 * devices:
        raise UsageError(
            f"{bodies} bodies are too few for {devices} devices",
            resolution=f"Use --num-bodies {2 * devices} or more",
        )
    there = backend.devices(devices)
    sphere = plummer(bodies)
    check = _check(backend, sphere, devices, precision)
    system = backend.system(sphere, devices, precision, SOFTENING)
    try:
        speed = None
        if iterations is not None:
            for _ in range(_WARM):
                system.step(STEP, STEP)
            peak = backend.peak(devices, precision)
            timing = system.measure(iterations, STEP)
            mix = backend.mix(precision, sphere)
            speed = Speed(bodies, tuple(system.shares), timing, peak, mix)
        return Result(
            backend.name, precision, bodies, there, tuple(system.shares), tuple(system.notes),
            check, speed,
        )  # fmt: skip
    finally:
        system.close()


def _check(backend: Backend, sphere: Bodies, devices: int, precision: Precision) -> Check:
    system = backend.system(sphere, devices, precision, SOFTENING)
    try:
        # What is compared moved to the precision first: a position's own rounding is no error.
        start = system.bodies()
        began = time.perf_counter()
        system.step(0.0, 0.0)
        seconds = time.perf_counter() - began
        targets = np.unique(np.linspace(0, sphere.count - 1, _CHECKED).astype(np.intp))
        errors = reference.errors(
            system.accelerations()[targets], reference.accelerations(start, SOFTENING, targets)
        )
    finally:
        system.close()
    count = energy_bodies(sphere.count, seconds)
    drift = energy_drift(backend, plummer(count), devices, precision)
    return Check(errors, precision.bound, drift, count)


def energy_bodies(bodies: int, seconds: float) -> int:
    """How many bodies' energy is checked where a step of `bodies` takes so many seconds."""
    count = min(bodies, _ENERGY_BODIES)
    while count > _FEWEST and ENERGY_STEPS * seconds * (count / bodies) ** 2 > _ENERGY_SECONDS:
        count //= 2
    return count


def energy_drift(backend: Backend, bodies: Bodies, devices: int, precision: Precision) -> float:
    """|E - E0| / |E0| after 100 steps. Half a kick before and after makes it leapfrog."""
    system = backend.system(bodies, devices, precision, SOFTENING)
    try:
        before = reference.energy(system.bodies(), SOFTENING)
        system.step(STEP / 2, STEP)
        for _ in range(ENERGY_STEPS - 1):
            system.step(STEP, STEP)
        system.step(STEP / 2, 0.0)
        return abs(reference.energy(system.bodies(), SOFTENING) - before) / abs(before)
    finally:
        system.close()
