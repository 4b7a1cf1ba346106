"""What several cards need together, and the branch that is taken."""

from __future__ import annotations

from datetime import date

import pytest

from wholecard.guest.drivers.known_drivers import BRANCHES, GENERATIONS
from wholecard.guest.drivers.records import Branch
from wholecard.guest.drivers.requirement import Requirement, best_branch, common

BY_NAME = {each.name: each for each in GENERATIONS}
ALL = tuple(branch.number for branch in BRANCHES)
TODAY = date(2026, 11, 30)


def _common(*names: str) -> Requirement:
    return common(BY_NAME[name] for name in names)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("Volta",), "proprietary modules, branch 580 or older"),
        (("Hopper",), "open or proprietary modules, branch 525 or newer"),
        (("Volta", "Hopper"), "proprietary modules, branches 525 to 580"),
        (("Ampere", "Blackwell"), "open modules, branch 570 or newer"),
        (("Hopper", "Grace Hopper"), "open modules, branch 525 or newer"),
        (("Blackwell", "Blackwell Ultra"), "open modules, branch 580 or newer"),
        (("Volta", "Blackwell"), "no modules, branches 570 to 580"),
        (("Kepler", "Hopper"), "proprietary modules, branches 525 to 470"),
    ],
)
def test_the_intersection(names: tuple[str, ...], text: str) -> None:
    """Two cards in one guest need what both need, in either order."""
    assert _common(*names).text == text
    assert _common(*reversed(names)) == _common(*names)


def test_what_excludes_each_other() -> None:
    """Without a common flavour, or with the first branch after the last, nothing is possible."""
    assert not _common("Volta", "Blackwell").possible
    assert not _common("Kepler", "Hopper").possible
    assert _common("Volta", "Hopper").possible


@pytest.mark.parametrize(
    ("names", "today", "branch"),
    [
        (("Hopper",), TODAY, 580),
        (("Volta",), TODAY, 580),
        (("Volta", "Hopper"), TODAY, 580),
        (("Blackwell Ultra",), TODAY, 580),
        # 580 has less than a year left, and 620 has no proprietary module.
        (("Hopper",), date(2027, 12, 1), 620),
        (("Volta",), date(2027, 12, 1), 580),
        (("Volta", "Blackwell"), TODAY, None),
        (("Kepler",), TODAY, None),
    ],
)
def test_the_branch(names: tuple[str, ...], today: date, branch: int | None) -> None:
    """The oldest long-term branch with a year of support left, else the one supported longest."""
    best = best_branch(_common(*names), ALL, today)
    assert (best.number if best else None) == branch


def test_what_is_offered_counts() -> None:
    """Of branches that are on offer alone, the longest supported is taken."""
    best = best_branch(_common("Hopper"), (550, 595), TODAY)
    assert best is not None
    assert best.number == 595


def test_the_flavour() -> None:
    """The open module is taken wherever cards and branch have it."""
    rows = {branch.number: branch for branch in BRANCHES}

    def flavour(name: str, branch: Branch) -> str:
        return _common(name).flavour(branch)

    assert flavour("Hopper", rows[580]) == "open"
    assert flavour("Volta", rows[580]) == "proprietary"
    assert not _common("Volta").admits(rows[620])
