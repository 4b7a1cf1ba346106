"""What every result is held against: the same sums in float64, by NumPy, written for the reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wholecard_bench.nbody.bodies import Array, Bodies

_CHUNK = 1 << 21  # pairs at once: 16 MiB for an array of them


def accelerations(bodies: Bodies, softening: float, targets: npt.NDArray[np.intp]) -> Array:
    """Of the bodies `targets`: (len(targets), 3). Plummer's softening, as in the sample."""
    result = np.empty((len(targets), 3))
    step = max(1, _CHUNK // bodies.count)
    for start in range(0, len(targets), step):
        apart = (
            bodies.positions[None, :, :] - bodies.positions[targets[start : start + step], None, :]
        )
        squared = (apart**2).sum(axis=2) + softening**2
        weights = bodies.masses / (squared * np.sqrt(squared))
        result[start : start + step] = (apart * weights[:, :, None]).sum(axis=1)
    return result


def energy(bodies: Bodies, softening: float) -> float:
    """Kinetic and potential energy; a body has none with itself."""
    potential = 0.0
    step = max(1, _CHUNK // bodies.count)
    for start in range(0, bodies.count, step):
        some = slice(start, start + step)
        apart = bodies.positions[None, :, :] - bodies.positions[some, None, :]
        inverse = 1 / np.sqrt((apart**2).sum(axis=2) + softening**2)
        potential -= float(bodies.masses[some] @ (inverse @ bodies.masses)) / 2
    potential += float((bodies.masses**2).sum()) / softening / 2
    kinetic = float((bodies.masses * (bodies.velocities**2).sum(axis=1)).sum()) / 2
    return kinetic + potential


@dataclass(frozen=True)
class Errors:
    """Relative errors of accelerations, |got - want| / |want|, over the bodies checked."""

    median: float
    largest: float
    checked: int


def errors(got: Array, want: Array) -> Errors:
    """Of `got` against `want`, both (k, 3). A NaN counts as an infinite error."""
    apart = np.linalg.norm(got - want, axis=1) / np.linalg.norm(want, axis=1)
    apart = np.where(np.isnan(apart), np.inf, apart)
    return Errors(float(np.median(apart)), float(apart.max()), len(apart))
