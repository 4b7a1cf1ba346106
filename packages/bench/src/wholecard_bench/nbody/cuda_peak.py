"""A card's peak: fused products alone, `kernel/peak.cu`."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

import numpy as np
from cuda.core import EventOptions, LaunchConfig, launch

from wholecard_bench.nbody.cuda_backend import seconds_between
from wholecard_bench.nbody.cuda_compile import compile_cubin
from wholecard_bench.nbody.kernel import Precision, Variant

_ROUNDS = 4096


def flops(card: Any, precision: Precision) -> float:
    """Flop/s of one card: the median of 15 runs of a third of a millisecond and more."""
    card.set_current()
    variant = Variant(precision, threads=256)
    kernel = compile_cubin(variant, f"sm_{card.arch}", "peak.cu").get_kernel("peak")
    stream, real = card.create_stream(), precision.dtype.type
    groups = card.properties.multiprocessor_count * 8
    out = card.allocate(256 * 8, stream=stream)
    config = LaunchConfig(grid=groups, block=256)
    options = EventOptions(timing_enabled=True)
    marks = [stream.record(options=options)]
    for _ in range(20):
        launch(stream, config, kernel, out, np.int32(_ROUNDS), real(0.999), real(1e-3))
        marks.append(stream.record(options=options))
    stream.sync()
    seconds = [seconds_between(a, b) for a, b in pairwise(marks)]
    out.close()
    rate: float = 2.0 * 16 * _ROUNDS * groups * 256 / statistics.median(seconds[5:])
    return rate
