"""NVIDIA's cards, where there is one: numerics, and two devices' code on one card."""

from __future__ import annotations

import numpy as np
import pytest
from systems import largest_error, uneven_bodies

from wholecard_bench.errors import NoDeviceError, UsageError
from wholecard_bench.nbody.benchmark import energy_drift
from wholecard_bench.nbody.bodies import SOFTENING, Bodies, plummer
from wholecard_bench.nbody.cuda_backend import CudaBackend, CudaSystem
from wholecard_bench.nbody.kernel import Precision


@pytest.fixture(scope="module")
def backend() -> CudaBackend:
    """The first card."""
    try:
        return CudaBackend()
    except NoDeviceError as error:
        pytest.skip(f"no NVIDIA card here: {error.brief}")


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("bodies", [4, 5001, 16384])
@pytest.mark.parametrize("equal", [True, False], ids=["folded", "plain"])
def test_accelerations(
    backend: CudaBackend, bodies: int, precision: Precision, equal: bool
) -> None:
    """Tails of rows and slices, bodies without mass, both forms: within the bound."""
    sphere = plummer(bodies) if equal else uneven_bodies(bodies)
    assert largest_error(backend, sphere, 1, precision) <= precision.bound


@pytest.mark.parametrize("precision", Precision)
def test_energy(backend: CudaBackend, precision: Precision) -> None:
    """100 steps keep the energy."""
    assert energy_drift(backend, plummer(4096), 1, precision) <= 1e-6


def _after_steps(backend: CudaBackend, cards: int, through_host: bool | None) -> Bodies:
    system = CudaSystem(
        uneven_bodies(4097), backend.cards[:1] * cards, Precision.DOUBLE, SOFTENING, through_host
    )
    for _ in range(20):
        system.step(0.01, 0.01)
    bodies = system.bodies()
    system.close()
    return bodies


@pytest.mark.parametrize("through_host", [False, True], ids=["peer", "host"])
@pytest.mark.parametrize("cards", [2, 3])
def test_exchange(backend: CudaBackend, cards: int, through_host: bool) -> None:
    """A card listed twice has every new position before its next step, by both ways."""
    one = _after_steps(backend, 1, None)
    more = _after_steps(backend, cards, through_host)
    assert np.abs(one.positions - more.positions).max() <= 1e-12


@pytest.mark.parametrize("cards", [1, 2])
def test_timing_has_every_step_and_card(backend: CudaBackend, cards: int) -> None:
    """By the card's events; a card is busy for a part of a step."""
    system = CudaSystem(plummer(8192), backend.cards[:1] * cards, Precision.SINGLE, SOFTENING)
    system.step(0.0, 0.0)
    timing = system.measure(5, 0.001)
    system.close()
    assert (len(timing.steps), len(timing.busy)) == (5, cards)
    assert 0 < max(timing.busy) <= max(timing.steps)


def test_too_many_devices(backend: CudaBackend) -> None:
    """A card that the driver does not list is named as missing."""
    with pytest.raises(UsageError, match="CUDA has"):
        backend.devices(1000)
