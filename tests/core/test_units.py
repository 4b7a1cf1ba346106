"""Sizes and counts as a person reads them."""

from __future__ import annotations

import pytest

from wholecard.core.units import counted, joined, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1 << 10, "1 KiB"), (1536, "1.5 KiB"), (40 << 20, "40 MiB"),
     (80 << 30, "80 GiB"), (3 << 39, "1.5 TiB"), (5000 << 40, "5000 TiB")],
)  # fmt: skip
def test_sizes(size: int, text: str) -> None:
    """A size has the largest unit that it reaches, and a decimal only where it is not whole."""
    assert size_text(size) == text


def test_counts() -> None:
    """One of a thing has no s, none and several have it."""
    assert [counted(n, "card") for n in (0, 1, 2)] == ["0 cards", "1 card", "2 cards"]


@pytest.mark.parametrize(
    ("words", "text"),
    [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")],
)
def test_joined(words: tuple[str, ...], text: str) -> None:
    """Words stand as in a sentence, however many they are."""
    assert joined(words) == text
