"""n-body on this machine's processor, beside NumPy, as shares of the peak measured in the same run.

    python benchmarks/nbody_bench.py [--bodies N] [--rounds N] [--output FILE]

Everything is measured on one thread by its own CPU time, in turns, because other work on a machine
halves what the clock says. Goals: 0.60 of the fused products' peak in single and 0.38 in double
precision at 65,536 bodies, and 14 times the best form by NumPy. A processor with half the peak for
the same memory cannot reach that last one: on Zen 4 it would be more than the peak.

Prints a table and writes the figures with the machine's facts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

# NumPy's own threads would not be in this thread's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from bench_machine import facts
from rich.console import Console
from rich.table import Table

from wholecard_bench.nbody import reference
from wholecard_bench.nbody.bodies import SOFTENING, Bodies, plummer
from wholecard_bench.nbody.cpu_kernel import forces_kernel
from wholecard_bench.nbody.cpu_peak import flops_a_thread
from wholecard_bench.nbody.kernel import Precision

GOALS = {Precision.SINGLE: 0.60, Precision.DOUBLE: 0.38}
NUMPY_GOAL = 14.0
ROWS = 2048  # bodies i of a round: 0.04 s of single precision at 65,536 bodies
NUMPY_ROWS = 64


@dataclass(frozen=True)
class Row:
    """GFLOP/s of one thread at 20 flops an interaction; medians of the rounds."""

    precision: str
    bodies: int
    numba: float
    peak: float
    share: float
    goal: float
    numpy: float
    over_numpy: float
    largest_error: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bodies", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    document = facts()
    sphere = plummer(options.bodies)
    rows = [_row(sphere, precision, options.rounds) for precision in Precision]
    _print(rows)
    document["versions"] = {"numba": version("numba"), "numpy": version("numpy")}
    document["rows"] = [asdict(row) for row in rows]
    document["instructions"] = {
        precision: _vector_instructions(precision) for precision in Precision
    }
    if options.output:
        options.output.write_text(json.dumps(document, indent=2) + "\n")


def _row(sphere: Bodies, precision: Precision, rounds: int) -> Row:
    dtype = precision.dtype
    x, y, z = (np.ascontiguousarray(column, dtype) for column in sphere.positions.T)
    masses, soft = sphere.masses.astype(dtype), dtype.type(SOFTENING**2)
    sums = [np.zeros(sphere.count, dtype) for _ in range(3)]
    positions = np.stack([x, y, z])
    kernel = forces_kernel(precision)
    rows = min(ROWS, sphere.count)
    kernel(x, y, z, masses, soft, *sums, 0, 2)
    numba, numpy, peak = [], [], []
    for _ in range(rounds):
        peak.append(flops_a_thread(precision, repeats=3) / 1e9)
        seconds = _seconds(lambda: kernel(x, y, z, masses, soft, *sums, 0, rows))
        numba.append(20 * rows * sphere.count / seconds / 1e9)
        seconds = _seconds(lambda: _by_numpy(positions, masses, soft, NUMPY_ROWS))
        numpy.append(20 * NUMPY_ROWS * sphere.count / seconds / 1e9)
    got = np.stack([column[:256] for column in sums], axis=1).astype(float)
    want = reference.accelerations(sphere, SOFTENING, np.arange(256))
    return Row(
        str(precision),
        sphere.count,
        statistics.median(numba),
        max(peak),
        statistics.median(numba) / max(peak),
        GOALS[precision],
        statistics.median(numpy),
        statistics.median(numba) / statistics.median(numpy),
        reference.errors(got, want).largest,
    )


def _by_numpy(
    positions: npt.NDArray[np.floating],
    masses: npt.NDArray[np.floating],
    soft: np.floating,
    rows: int,
) -> npt.NDArray[np.floating]:
    """The best form that we know: everything in place, one body i at a time, in four rows."""
    result = np.empty((rows, 3), positions.dtype)
    apart = np.empty_like(positions)
    weights, product = np.empty_like(masses), np.empty_like(masses)
    for i in range(rows):
        np.subtract(positions, positions[:, i, None], out=apart)
        np.multiply(apart[0], apart[0], out=weights)
        for axis in (1, 2):
            np.multiply(apart[axis], apart[axis], out=product)
            np.add(weights, product, out=weights)
        np.add(weights, soft, out=weights)
        np.sqrt(weights, out=product)
        np.multiply(weights, product, out=weights)
        np.divide(masses, weights, out=weights)
        result[i] = apart @ weights
    return result


def _seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def _vector_instructions(precision: Precision) -> dict[str, int]:
    """The vector instructions of the loop with the most of them, as LLVM wrote it."""
    listings = forces_kernel(precision).inspect_asm()  # type: ignore[attr-defined]
    blocks = "\n".join(listings.values()).split("\n.LBB")
    best = max(blocks, key=lambda block: block.count("vfmadd") + 5 * block.count("rsqrt"))
    words = (line.split()[0] for line in best.splitlines()[1:] if line.strip())
    return dict(Counter(word for word in words if word.startswith("v")).most_common())


def _print(rows: list[Row]) -> None:
    table = Table(
        "precision", "bodies", "numba", "peak", "share", "goal", "NumPy", "over NumPy", "error"
    )
    for row in rows:
        table.add_row(
            row.precision, f"{row.bodies:,}", f"{row.numba:.1f}", f"{row.peak:.1f}",
            f"{row.share:.3f}", f"{row.goal:.2f}", f"{row.numpy:.2f}",
            f"{row.over_numpy:.1f} (of {NUMPY_GOAL:g})", f"{row.largest_error:.1e}",
        )  # fmt: skip
    Console(width=110).print("GFLOP/s of one thread, by its CPU time", table)


if __name__ == "__main__":
    main()
