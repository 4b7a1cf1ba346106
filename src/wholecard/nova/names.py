"""Names near to those that nova has: the same but for signs and case, or off by a letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_SIGNS = re.compile(r"[\s_.-]+")


def squeezed(name: str) -> str:
    """A name without signs and case: `PCI-Alias` and `pci_alias` are one."""
    return _SIGNS.sub("", name).lower()


class Names:
    """Some right names, asked for the one that a wrong one is near to.

    Asking takes as long for a thousand names as for one: every name is known by itself with any
    letter left out, so that two names meet that differ by a letter more, less, other or moved.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        self._near: dict[str, str] = {}
        for name in names:
            self._exact.setdefault(squeezed(name), name)
        for short, name in self._exact.items():
            for less in (short, *_shortened(short)):
                self._near.setdefault(less, name)

    def same(self, name: str) -> str | None:
        """The right name that is the same but for signs and case."""
        return self._exact.get(squeezed(name))

    def near(self, name: str, longest: int = 64) -> str | None:
        """The right name that `name` most probably means, None where none is near."""
        if len(name) > longest:
            return None
        short = squeezed(name)
        if short in self._exact:
            return self._exact[short]
        # In a short name a letter is too much of a difference.
        if len(short) < 5:
            return None
        found = self._near.get(short)
        return found or next(
            (self._near[less] for less in _shortened(short) if less in self._near), None
        )


def _shortened(name: str) -> Iterator[str]:
    return (name[:place] + name[place + 1 :] for place in range(len(name)))
