"""The bodies, and the reference that everything is held against."""

from __future__ import annotations

import numpy as np
import pytest

from wholecard_bench.nbody import reference
from wholecard_bench.nbody.bodies import Bodies, plummer, two_clusters


def _two(distance: float) -> Bodies:
    return Bodies(np.array([[0.0, 0, 0], [distance, 0, 0]]), np.zeros((2, 3)), np.array([3.0, 5.0]))


@pytest.mark.parametrize("bodies", [plummer(1000), two_clusters(1001)], ids=["one", "two"])
def test_bodies_are_at_rest_as_a_whole(bodies: Bodies) -> None:
    """Total mass 1; neither the centre of mass nor the momentum is off."""
    assert bodies.masses.sum() == pytest.approx(1)
    for vectors in (bodies.positions, bodies.velocities):
        assert (bodies.masses[:, None] * vectors).sum(axis=0) == pytest.approx(0, abs=1e-3)


def test_sphere_is_in_equilibrium() -> None:
    """A Plummer sphere in standard units has energy -1/4; softening takes a little of it."""
    assert reference.energy(plummer(2000), 1e-3) == pytest.approx(-0.25, rel=0.05)


def test_same_seed_same_bodies() -> None:
    """Two runs compute the same."""
    assert (plummer(100).positions == plummer(100).positions).all()
    assert (plummer(100).positions != plummer(100, seed=2).positions).any()


def test_acceleration_of_two_bodies() -> None:
    """m d / (d^2 + eps^2)^(3/2), towards the other."""
    got = reference.accelerations(_two(2.0), 1.5, np.array([0, 1]))
    cube = (2.0**2 + 1.5**2) ** 1.5
    assert got == pytest.approx(np.array([[5 * 2 / cube, 0, 0], [-3 * 2 / cube, 0, 0]]))


def test_energy_of_two_bodies() -> None:
    """-m m' / (d^2 + eps^2)^(1/2), and no body has energy with itself."""
    assert reference.energy(_two(2.0), 1.5) == pytest.approx(-15 / 2.5)


def test_chunks_do_not_change_a_sum() -> None:
    """More bodies than fit into one chunk have the accelerations that each has alone."""
    bodies = plummer(3000)
    targets = np.arange(3000)
    whole = reference.accelerations(bodies, 0.1, targets)
    alone = reference.accelerations(bodies, 0.1, targets[2990:])
    assert whole[2990:] == pytest.approx(alone)


def test_nan_is_the_largest_error() -> None:
    """A body without a number cannot pass a bound."""
    want = np.ones((3, 3))
    got = want.copy()
    got[1, 1] = np.nan
    assert reference.errors(got, want).largest == np.inf
