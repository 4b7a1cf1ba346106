"""The kernel's text and what it reads, without a compiler."""

from __future__ import annotations

import numpy as np
import pytest

from wholecard_bench.nbody.kernel import (
    Language,
    Precision,
    Variant,
    folds_exactly,
    pack,
    program_text,
)


@pytest.mark.parametrize(
    ("masses", "exact"),
    [([0.3, 0.3], True), ([0.0, 0.3, 0.3], True), ([0.0], True), ([1.0, 4.0], False)],
)
def test_folds_exactly(masses: list[float], exact: bool) -> None:
    """Folding rounds nothing where all bodies with a mass have the same."""
    assert folds_exactly(np.array(masses)) is exact


def test_equal_masses_fold_to_one() -> None:
    """The largest mass is the scale, so equal masses are exactly 1 and no mass is 0."""
    packed = pack(np.ones((3, 3)), np.array([0.3, 0.0, 0.3]), Variant())
    assert packed.scale == 0.3
    assert packed.words[:, 3].tolist() == [1, 0, 1]


def test_folded_word_is_the_inverse_root() -> None:
    """A quarter of the largest mass is 2."""
    packed = pack(np.zeros((2, 3)), np.array([8.0, 2.0]), Variant(Precision.DOUBLE))
    assert (packed.scale, packed.words[:, 3].tolist()) == (8.0, [1.0, 2.0])


def test_bodies_without_any_mass() -> None:
    """Nothing attracts, and nothing is divided by 0."""
    packed = pack(np.zeros((2, 3)), np.zeros(2), Variant())
    assert (packed.scale, packed.words[:, 3].tolist()) == (1.0, [0, 0])


def test_plain_word_is_the_mass() -> None:
    """Unfolded, the kernel multiplies by the mass itself."""
    packed = pack(np.zeros((2, 3)), np.array([8.0, 2.0]), Variant(folded=False))
    assert (packed.scale, packed.words[:, 3].tolist()) == (1.0, [8.0, 2.0])


@pytest.mark.parametrize("kernel", ["nbody.cu", "peak.cu"])
@pytest.mark.parametrize("language", Language)
def test_text_is_whole(language: Language, kernel: str) -> None:
    """Constants, then the language's words, then the kernel; double precision says so."""
    text = program_text(language, Variant(Precision.DOUBLE, threads=64), kernel)
    assert text.index("#define THREADS 64") < text.index("#define KERNEL") < text.index("KERNEL(T")
    assert "#define FP64 1" in text
    assert "FP64 1" not in program_text(language, Variant(), kernel)
