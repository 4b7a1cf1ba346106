"""Bodies for tests, and what a backend must get right with them."""

from __future__ import annotations

import numpy as np

from wholecard_bench.nbody import reference
from wholecard_bench.nbody.backend import Backend
from wholecard_bench.nbody.bodies import SOFTENING, Bodies
from wholecard_bench.nbody.kernel import Precision


def uneven_bodies(count: int) -> Bodies:
    """Masses over decades; every tenth body has none, the last one too."""
    random = np.random.default_rng(3)
    masses = random.lognormal(0, 1.5, count) / count
    masses[::-10] = 0
    return Bodies(
        random.normal(size=(count, 3)).astype(np.float32).astype(float),
        0.1 * random.normal(size=(count, 3)),
        masses.astype(np.float32).astype(float),
    )


def largest_error(backend: Backend, bodies: Bodies, devices: int, precision: Precision) -> float:
    """Of some hundred accelerations, the last ones among them, against float64."""
    system = backend.system(bodies, devices, precision, SOFTENING)
    try:
        system.step(0.0, 0.0)
        got = system.accelerations()
    finally:
        system.close()
    targets = np.unique(np.linspace(0, bodies.count - 1, 700).astype(np.intp))
    want = reference.accelerations(bodies, SOFTENING, targets)
    return reference.errors(got[targets], want).largest


def moved(backend: Backend, bodies: Bodies, devices: int, steps: int) -> Bodies:
    """The bodies after some steps in double precision."""
    system = backend.system(bodies, devices, Precision.DOUBLE, SOFTENING)
    try:
        for _ in range(steps):
            system.step(0.01, 0.01)
        return system.bodies()
    finally:
        system.close()
