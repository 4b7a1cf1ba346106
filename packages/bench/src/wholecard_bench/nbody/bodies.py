"""Bodies: where they are, how they move, what they weigh. Units: G = 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

SOFTENING = 0.1  # what NVIDIA's sample starts its first demonstration with (nbody.cpp, demoParams)


@dataclass(frozen=True)
class Bodies:
    """`positions` and `velocities` (n, 3), `masses` (n,), in float64. A mass may be 0."""

    positions: Array
    velocities: Array
    masses: Array

    @property
    def count(self) -> int:
        """How many."""
        return len(self.masses)


def plummer(count: int, seed: int = 1) -> Bodies:
    """A Plummer sphere in standard units (total mass 1, energy about -1/4), at rest as a whole.

    Aarseth, Henon, Wielen 1974, Astronomy and Astrophysics 37, 183: the radius by inversion, the
    speed by rejection. All masses are equal, as in NVIDIA's sample.
    """
    random = np.random.default_rng(seed)
    scale = 3 * np.pi / 16
    radius = (random.uniform(0.0, 0.999, count) ** (-2 / 3) - 1) ** -0.5
    speed = _speed_shares(count, random) * np.sqrt(2) * (1 + radius**2) ** -0.25
    positions = scale * radius[:, None] * _directions(count, random)
    velocities = speed[:, None] / np.sqrt(scale) * _directions(count, random)
    return Bodies(
        positions - positions.mean(axis=0),
        velocities - velocities.mean(axis=0),
        np.full(count, 1 / count),
    )


def _speed_shares(count: int, random: np.random.Generator) -> Array:
    """Speeds as shares of the escape speed, distributed as q^2 (1 - q^2)^(7/2)."""
    shares = np.empty(0)
    while len(shares) < count:
        share = random.uniform(0, 1, 2 * count + 64)
        height = random.uniform(0, 0.1, len(share))  # the density's maximum is 0.092
        shares = np.append(shares, share[height < share**2 * (1 - share**2) ** 3.5])
    return shares[:count]


def _directions(count: int, random: np.random.Generator) -> Array:
    vectors = random.normal(size=(count, 3))
    directions: Array = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return directions


def two_clusters(count: int, seed: int = 1) -> Bodies:
    """Two Plummer spheres that fall towards each other and pass: what `--plot` draws."""
    one, other = plummer(count - count // 2, seed), plummer(max(count // 2, 1), seed + 1)
    share = np.array([one.count, other.count]) / (one.count + other.count)
    apart, towards = np.array([1.6, 0.5, 0.0]), np.array([-0.45, 0.1, 0.0])
    return Bodies(
        np.concatenate([one.positions + apart * share[1], other.positions - apart * share[0]]),
        np.concatenate(
            [one.velocities + towards * share[1], other.velocities - towards * share[0]]
        ),
        np.concatenate([one.masses * share[0], other.masses * share[1]]),
    )
