"""What the cards of one guest need together, and which of NVIDIA's branches is taken for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from wholecard.guest.drivers.known_drivers import BRANCHES
from wholecard.guest.drivers.records import Branch, Flavour, Generation

_EVERY: frozenset[Flavour] = frozenset(("open", "proprietary"))
# A guest's image lives for years: a branch that ends sooner is taken only where nothing else fits.
_SHORTEST_LIFE = 365


@dataclass(frozen=True)
class Requirement:
    """Which module flavours and branches are right; None is open-ended.

    `flavours` is empty, or `first` above `last`, where two cards exclude each other.
    """

    flavours: frozenset[Flavour] = _EVERY
    first: int | None = None
    last: int | None = None

    def intersect(self, other: Requirement) -> Requirement:
        """What both need."""
        firsts = [each for each in (self.first, other.first) if each is not None]
        lasts = [each for each in (self.last, other.last) if each is not None]
        return Requirement(
            self.flavours & other.flavours,
            max(firsts, default=None),
            min(lasts, default=None),
        )

    @property
    def possible(self) -> bool:
        """Whether anything is right."""
        in_order = self.first is None or self.last is None or self.first <= self.last
        return bool(self.flavours) and in_order

    def admits(self, branch: Branch) -> bool:
        """Whether the branch knows all the cards and has a module for them."""
        return (
            (self.first is None or branch.number >= self.first)
            and (self.last is None or branch.number <= self.last)
            and not self.flavours.isdisjoint(branch.flavours)
        )

    def flavour(self, branch: Branch) -> Flavour:
        """The module for the cards: the open one where it can be, as NVIDIA advises since 560."""
        return "open" if "open" in self.flavours and "open" in branch.flavours else "proprietary"

    @property
    def text(self) -> str:
        """`open modules, branch 570 or newer`."""
        modules = " or ".join(sorted(self.flavours)) or "no"
        branches = "any branch"
        if self.first is not None and self.last is not None:
            branches = f"branches {self.first} to {self.last}"
        elif self.first is not None:
            branches = f"branch {self.first} or newer"
        elif self.last is not None:
            branches = f"branch {self.last} or older"
        return f"{modules} modules, {branches}"


def requirement_of(generation: Generation) -> Requirement:
    """What one generation needs."""
    return Requirement(
        frozenset(generation.flavours), generation.first_branch, generation.last_branch
    )


def common(generations: Iterable[Generation]) -> Requirement:
    """What all of them need in one guest: one kernel has one NVIDIA driver."""
    requirement = Requirement()
    for generation in generations:
        requirement = requirement.intersect(requirement_of(generation))
    return requirement


def best_branch(requirement: Requirement, offered: Collection[int], today: date) -> Branch | None:
    """The branch to install of those offered; None where none is right.

    The oldest long-term branch with a year of support left, since it changes least; else the branch
    that is supported longest.
    """
    right = [each for each in BRANCHES if each.number in offered and requirement.admits(each)]
    lasting = [
        each
        for each in right
        if each.kind == "long-term"
        and each.ends is not None
        and (each.ends - today).days >= _SHORTEST_LIFE
    ]
    if lasting:
        return min(lasting, key=lambda branch: branch.number)
    return max(right, key=lambda branch: (branch.ends or date.min, branch.number), default=None)


def branch_named(number: int) -> Branch | None:
    """The row of a branch, None where the table has none."""
    return next((each for each in BRANCHES if each.number == number), None)
