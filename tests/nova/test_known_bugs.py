"""nova's known bugs: their messages, and in which releases they are."""

from __future__ import annotations

import pytest

from wholecard.core.releases import LATEST, release
from wholecard.nova.known_bugs import KNOWN_BUGS, MOVE_TAKES_OTHER_CARD, by_bug

SAID = [
    (1969496, "Attempt to consume PCI device 1:0000:41:00.1 from empty pool", True),
    (1969496, "from empty pool: Attempt to consume PCI device", False),
    (1986838, "ERROR nova.pci.stats Failed to allocate PCI devices for instance. Unass", True),
    (2115905, "Failed to delete resource provider with UUID 5d1f from the placement API. Got 409: "
     "Unable to delete resource provider 5d1f: Resource provider has allocations..", True),
    (2115905, "Failed to delete resource provider with UUID 5d1f. Got 500", False),
    (1633120, "Trying to remove device with allocated ownership 5d1f because of PCI device", True),
    (None, "Resource provider inventory and allocation data migration failed: {\"errors\": "
     "[{\"detail\": \"Unable to allocate inventory: Unable to create allocation for 'GPU' on "
     "resource provider '5d1f'. The requested amount would exceed the capacity.\"}]}", True),
    (1941005, "", False),
    (1941005, "No valid host was found. ", False),
]  # fmt: skip


@pytest.mark.parametrize(("bug", "text", "is_said"), SAID)
def test_words(bug: int | None, text: str, is_said: bool) -> None:
    """A bug is recognised by its message in a log; one without a message is not."""
    known = MOVE_TAKES_OTHER_CARD if bug is None else by_bug(bug)
    assert known.is_in_log(text) is is_said


@pytest.mark.parametrize("bug", KNOWN_BUGS, ids=lambda bug: bug.name)
def test_each_says_what_to_do(bug: object) -> None:
    """Each bug is in the release before its fix and not in that, and says what to do."""
    known = next(each for each in KNOWN_BUGS if each is bug)
    assert known.what
    assert known.do
    assert not known.is_in(known.since - 1)
    if known.fixed is None:
        assert known.is_in(LATEST.nova)
        return
    assert known.is_in(known.fixed - 1)
    assert not known.is_in(known.fixed)
    assert release(str(known.fixed)).nova <= LATEST.nova


def test_a_bug_that_is_none() -> None:
    """A number that is not in the table is an error."""
    with pytest.raises(KeyError):
        by_bug(1)
