"""The processor's backend."""

from __future__ import annotations

import numpy as np
import pytest
from systems import largest_error, moved, uneven_bodies

from wholecard_bench.errors import UsageError
from wholecard_bench.nbody.benchmark import energy_bodies, energy_drift
from wholecard_bench.nbody.bodies import plummer
from wholecard_bench.nbody.kernel import Precision
from wholecard_bench.nbody.numba_backend import NumbaBackend


@pytest.fixture(scope="module")
def backend() -> NumbaBackend:
    """One for all tests."""
    return NumbaBackend()


@pytest.fixture(scope="module")
def most(backend: NumbaBackend) -> int:
    """Two devices where the machine has two threads."""
    return min(2, backend.threads)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("bodies", [2, 3, 513, 4099])
def test_accelerations(backend: NumbaBackend, most: int, bodies: int, precision: Precision) -> None:
    """Odd numbers, more than one tile of bodies, masses over decades: within the bound."""
    sphere = plummer(bodies) if bodies < 10 else uneven_bodies(bodies)
    assert largest_error(backend, sphere, min(most, bodies // 2), precision) <= precision.bound


@pytest.mark.parametrize("precision", Precision)
def test_energy(backend: NumbaBackend, precision: Precision) -> None:
    """100 steps keep the energy."""
    assert energy_drift(backend, plummer(1024), 1, precision) <= 1e-6


def test_two_devices_move_bodies_as_one_does(backend: NumbaBackend) -> None:
    """Where a body's acceleration is computed does not matter."""
    if backend.threads < 2:
        pytest.skip("this machine has one thread")
    one, two = (moved(backend, uneven_bodies(777), devices, 20) for devices in (1, 2))
    assert np.abs(one.positions - two.positions).max() <= 1e-13


def test_timing_has_every_step_and_device(backend: NumbaBackend, most: int) -> None:
    """Seconds of each step, of each group, and the threads' own time."""
    system = backend.system(plummer(600), most, Precision.SINGLE, 0.1)
    timing = system.measure(3, 0.01)
    system.close()
    assert len(timing.steps) == 3
    assert len(timing.busy) == most
    assert timing.core_seconds is not None
    assert sum(system.shares) == 600


@pytest.mark.parametrize("precision", Precision)
def test_peak_is_a_processor_s(backend: NumbaBackend, precision: Precision) -> None:
    """More than one flop and less than 256 of them a nanosecond and core."""
    assert 1e9 < backend.peak(1, precision) < 1e12


def test_more_devices_than_threads(backend: NumbaBackend) -> None:
    """A group without a thread computes nothing."""
    with pytest.raises(UsageError, match="too few for 100000 devices"):
        backend.devices(100000)


@pytest.mark.parametrize(
    ("bodies", "seconds", "checked"),
    [(65536, 0.5, 4096), (1024, 0.001, 1024), (1024, 0.5, 512), (1024, 5.0, 256), (100, 9.0, 100)],
)
def test_energy_of_fewer_bodies_on_a_slow_processor(
    bodies: int, seconds: float, checked: int
) -> None:
    """100 steps take 20 s at most, as far as 256 bodies allow; a fast one checks 4,096."""
    assert energy_bodies(bodies, seconds) == checked
