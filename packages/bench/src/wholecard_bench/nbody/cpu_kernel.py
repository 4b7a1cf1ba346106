"""The inner loops for a processor, compiled by numba; called with the interpreter's lock released.

Two bodies i at once share each load of a body j, over tiles of j that stay in a near cache. Each
tile has sums of its own: shorter sums, smaller errors. `fastmath` lets LLVM vectorize the sums
and take the processor's estimate of 1/sqrt with a Newton step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from wholecard_bench.nbody.kernel import Precision

TILE = 4096  # 64 KiB of bodies j in float32: measured best of 1,024 to 16,384
_OPTIONS = {"fastmath": True, "error_model": "numpy", "nogil": True}
_F32, _F64 = np.float32, np.float64


@njit(inline="always", **_OPTIONS)
def _weight_single(squared, mass):
    inverse = _F32(1) / np.sqrt(squared)
    return mass * inverse * inverse * inverse


@njit(inline="always", **_OPTIONS)
def _weight_double(squared, mass):
    # 23 bits by way of float32, then one step of third order; see kernel/nbody.cu.
    start = _F64(_F32(1) / np.sqrt(_F32(squared)))
    square = start * start
    error = 1.0 - squared * square
    cube = mass * start * square
    return cube + cube * (error * (1.5 + 1.875 * error))


@cache
def forces_kernel(precision: Precision) -> Callable[..., None]:
    """`f(x, y, z, masses, softening2, ax, ay, az, first, last)`: accelerations of first..last-1.

    All arrays are of the precision's type, (n,); so is the squared softening. Compiled once a
    process, in a second or two.
    """
    weight = _weight_single if precision is Precision.SINGLE else _weight_double

    @njit(**_OPTIONS)
    def two_bodies(x, y, z, masses, soft, x0, y0, z0, x1, y1, z1):
        # x0 - x0 is a zero of the arrays' type; a literal 0.0 would make the sums float64.
        a0 = a1 = a2 = b0 = b1 = b2 = x0 - x0
        for j in range(x.size):
            xj, yj, zj, mass = x[j], y[j], z[j], masses[j]
            dx, dy, dz = xj - x0, yj - y0, zj - z0
            ex, ey, ez = xj - x1, yj - y1, zj - z1
            s = weight(dx * dx + dy * dy + dz * dz + soft, mass)
            t = weight(ex * ex + ey * ey + ez * ez + soft, mass)
            a0 += dx * s
            a1 += dy * s
            a2 += dz * s
            b0 += ex * t
            b1 += ey * t
            b2 += ez * t
        return a0, a1, a2, b0, b1, b2

    @njit(**_OPTIONS)
    def forces(x, y, z, masses, soft, ax, ay, az, first, last):
        for i in range(first, last):
            ax[i] = ay[i] = az[i] = 0
        for j in range(0, x.size, TILE):
            # Sliced first: a loop from j to j + TILE over the whole array is not vectorized.
            xs, ys, zs, ms = x[j : j + TILE], y[j : j + TILE], z[j : j + TILE], masses[j : j + TILE]
            for i in range(first, last, 2):
                k = min(i + 1, last - 1)
                a0, a1, a2, b0, b1, b2 = two_bodies(
                    xs, ys, zs, ms, soft, x[i], y[i], z[i], x[k], y[k], z[k]
                )
                ax[i] += a0
                ay[i] += a1
                az[i] += a2
                if k > i:
                    ax[k] += b0
                    ay[k] += b1
                    az[k] += b2

    kernel: Callable[..., None] = forces
    return kernel
