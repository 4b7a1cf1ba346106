"""Which right name a wrong one means: the same but for signs and case, or off by a letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_SIGNS = re.compile(r"[\s_.-]+")


def squeezed(name: str) -> str:
    """A name without signs and case: `PCI-Alias` and `pci_alias` are one."""
    return _SIGNS.sub("", name).lower()


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`Did you mean 'vendor'?` where one of a few names is near to a wrong one, else nothing."""
    right = NearNames(names).near(name, shortest=3)
    return "" if right is None else meant(repr(right))


def meant(right: str) -> str:
    """`Did you mean [admin]?`, for a name that is written without quotes."""
    return f"Did you mean {right}?"


class NearNames:
    """Some right names, asked for the one that a wrong one is near to.

    Asking takes as long for a thousand names as for one: every name is also kept with any one
    letter left out, so that two names meet that differ by a letter added, lost, wrong or moved.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        self._near: dict[str, str] = {}
        for name in names:
            self._exact.setdefault(squeezed(name), name)
        for exact, name in self._exact.items():
            for near in (exact, *_shortened(exact)):
                self._near.setdefault(near, name)

    def same(self, name: str) -> str | None:
        """The right name that is the same but for signs and case."""
        return self._exact.get(squeezed(name))

    def near(self, name: str, longest: int = 64, shortest: int = 5) -> str | None:
        """The right name that `name` most probably means, None where none is near.

        A name of fewer letters than `shortest` is near only where signs and case alone differ: in
        a short name among many a letter is too much of a difference.
        """
        if len(name) > longest:
            return None
        exact = squeezed(name)
        if exact in self._exact:
            return self._exact[exact]
        if len(exact) < shortest:
            return None
        return next(
            (self._near[near] for near in (exact, *_shortened(exact)) if near in self._near), None
        )


def _shortened(name: str) -> Iterator[str]:
    return (name[:position] + name[position + 1 :] for position in range(len(name)))
