"""What the kernel's inner loop costs on cards that nobody has here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sass import inner_loop

from wholecard_bench.nbody.bodies import Array
from wholecard_bench.nbody.kernel import Precision, Variant
from wholecard_bench.nbody.variants import (
    INSTRUCTIONS,
    PACKED_INSTRUCTIONS,
    cuda_mix,
    cuda_variants,
)

MASSES = {"folded": np.array([1.0, 1.0, 0.0]), "plain": np.array([1.0, 2.0, 3.0])}
CASES = [
    pytest.param(arch, precision, masses, id=f"{arch}-{precision}-{form}")
    for arch in ("80", "90", "100")
    for precision in Precision
    for form, masses in MASSES.items()
]


@pytest.mark.parametrize(("arch", "precision", "masses"), CASES)
def test_instructions_an_interaction(
    arch: str, precision: Precision, masses: Array, tmp_path: Path
) -> None:
    """What a card runs has no more instructions than its bound is reckoned from.

    NVIDIA's sample has 15.04 (with -ftz=true) or 18.04 in single and 33 in double precision.
    """
    for variant in cuda_variants(arch, precision, masses):
        loop = inner_loop(variant, f"sm_{arch}", tmp_path)
        pipe, instructions = INSTRUCTIONS[precision, variant.folded]
        if variant.packed:
            pipe, instructions = PACKED_INSTRUCTIONS[variant.folded]
        assert loop.pipe == pipe
        assert loop.instructions <= instructions


@pytest.mark.parametrize(
    ("arch", "precision", "most"),
    [
        ("90", Precision.SINGLE, 12.5),
        ("90", Precision.DOUBLE, 18.6),
        ("100", Precision.SINGLE, 6.9),
    ],
)
def test_goals(arch: str, precision: Precision, most: float, tmp_path: Path) -> None:
    """Equal masses, as the benchmark has them, cost at most what the loop was built for."""
    variant = cuda_variants(arch, precision, MASSES["folded"])[0]
    assert inner_loop(variant, f"sm_{arch}", tmp_path).instructions <= most


@pytest.mark.parametrize(
    ("arch", "precision", "bound"),
    [
        ("80", Precision.SINGLE, 10 / 11),  # 64 lanes: the pipe binds
        ("90", Precision.SINGLE, 10 / 12.5),  # 128 lanes: one instruction a clock binds
        ("100", Precision.SINGLE, 10 / 11),  # two products an instruction: the pipe again
        ("90", Precision.DOUBLE, 10 / 15),
    ],
)
def test_bound_of_the_mix(arch: str, precision: Precision, bound: float) -> None:
    """The bound is what binds first: the pipe's slots, or all instructions."""
    mix = cuda_mix(arch, cuda_variants(arch, precision, MASSES["folded"])[0])
    assert mix is not None
    assert mix.bound == pytest.approx(bound)


def test_unknown_architecture_has_no_bound() -> None:
    """A card that the table does not have gets no share of a bound that nobody knows."""
    assert cuda_mix("999", Variant()) is None
