"""What Placement may have of a device_spec whose ids are open, and of one whose are not."""

from __future__ import annotations

import pytest

from wholecard.nova.lint.checks.resource_classes import Reported
from wholecard.nova.match import RequestGroup

IDS = ("10de", "2331")
H100 = "CUSTOM_PCI_10DE_2331"


def group(resource_class: str, *traits: str) -> RequestGroup:
    return RequestGroup("1", resource_class, frozenset(traits))


@pytest.mark.parametrize(
    ("reported", "asked", "has", "satisfies"),
    [
        (Reported(IDS, H100, frozenset()), group(H100), True, True),
        (Reported(IDS, H100, frozenset()), group("CUSTOM_GPU"), False, False),
        (Reported(IDS, H100, frozenset({"CUSTOM_A"})), group(H100, "CUSTOM_A"), True, True),
        (Reported(IDS, H100, frozenset()), group(H100, "CUSTOM_A"), True, False),
        # Traits that nova refuses may be anything once they are fixed.
        (Reported(IDS, H100, None), group("CUSTOM_GPU", "CUSTOM_A"), False, True),
        # Open ids: any class that nova makes of ids, and no name that a person gave.
        (Reported(("10de", "*"), None, frozenset()), group(H100), True, True),
        (Reported(("10de", "*"), None, frozenset()), group("CUSTOM_GPU"), False, False),
    ],
)
def test_satisfies(reported: Reported, asked: RequestGroup, has: bool, satisfies: bool) -> None:
    """A request is satisfied by its class and its traits; what is not known may be anything."""
    assert (reported.has_class(asked), reported.satisfies(asked)) == (has, satisfies)


@pytest.mark.parametrize(
    ("ids", "other", "may"),
    [
        (IDS, IDS, True),
        (IDS, ("10de", "20b5"), False),
        (("10de", "*"), ("10de", "20b5"), True),
        (("10de", "*"), ("1002", "20b5"), False),
        (("*", "*"), ("1002", "20b5"), True),
        (IDS, None, False),
    ],
)
def test_may_have(ids: tuple[str, str], other: tuple[str, str] | None, may: bool) -> None:
    """Open ids may be any; a request without ids is about none."""
    assert Reported(ids, H100, frozenset()).may_have(other) == may


@pytest.mark.parametrize(
    ("resource_class", "asked", "near"),
    [
        ("CUSTOM_H100", "CUSTOM_H10O", True),
        ("CUSTOM_H100", "CUSTOM_A30", False),
        (None, H100, False),
    ],
)
def test_is_near(resource_class: str | None, asked: str, near: bool) -> None:
    """A class that differs by a letter is near; one that is not known is not."""
    assert Reported(IDS, resource_class, frozenset()).is_near(group(asked)) == near
