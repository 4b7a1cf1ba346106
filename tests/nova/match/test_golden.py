"""Our matching against answers that real novas gave: the short form of the long comparison."""

from __future__ import annotations

import pytest

from differential.environments import RELEASES
from differential.harness import compared
from differential.record import COUNT, digest, recorded

RENEW = "the cases have changed: ask the novas again with `make renew-nova`"


@pytest.mark.parametrize("major", RELEASES)
def test_same_as_recorded(major: int) -> None:
    """On each case we say what nova of this release said, but for differences that are known."""
    asked, answers = recorded(major)
    assert asked == digest(), RENEW
    outcome = compared(major, answers, COUNT)
    assert outcome.unknown == []
    assert outcome.cases == COUNT
    assert outcome.seen["supports True"] > COUNT // 20
