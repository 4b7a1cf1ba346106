"""Sizes, counts and lists as a person reads them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40

_SIZES = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (1 << 10, "KiB"))


def size_text(size: int) -> str:
    """`80 GiB`: bytes in the largest unit that `size` reaches, with one decimal where not whole."""
    for unit, name in _SIZES:
        if size >= unit:
            return f"{size // unit if size % unit == 0 else f'{size / unit:.1f}'} {name}"
    return f"{size} B"


def counted(number: int, noun: str) -> str:
    """`1 card`, `3 cards`, `0 cards`: a number with a noun that takes an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def joined(words: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`; empty where there is none."""
    *others, end = tuple(words) or ("",)
    return f"{', '.join(others)} {last} {end}" if others else end
