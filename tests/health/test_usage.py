"""Card-seconds: lifetimes within the time that is counted, times the flavor's cards."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from support.health_reports import NOW, PROJECT, cloud, server
from wholecard.health.usage import CardSeconds, cards_now, cards_of

HOUR = timedelta(hours=1)
SINCE = NOW - 2 * HOUR


def at(hours: float) -> datetime:
    """So many hours before now."""
    return NOW - hours * HOUR


@pytest.mark.parametrize(
    ("launched", "terminated", "cards", "hours"),
    [
        (at(1), None, 1, 1.0),
        (at(1), None, 4, 4.0),
        (at(48), None, 1, 2.0),
        (at(48), at(0.5), 2, 3.0),
        (at(48), at(3), 1, 0.0),
        (None, None, 1, 0.0),
    ],
    ids=["an hour", "four cards", "since long", "deleted", "deleted before", "never launched"],
)
def test_one_reading(
    launched: datetime | None, terminated: datetime | None, cards: int, hours: float
) -> None:
    """A server counts from its launch, or the beginning, to its end, or now."""
    one = server(launched_at=launched, terminated_at=terminated, cards=cards)
    known = cloud(finished=(one,)) if terminated else cloud(servers=(one,))
    assert CardSeconds(SINCE).add(known) == {PROJECT: hours * 3600}


def test_many_readings() -> None:
    """What was counted stays: through a resize, a deletion, a missed reading, a clock set back."""
    usage = CardSeconds(SINCE)
    one = server(launched_at=at(48))
    assert usage.add(cloud(servers=(one,), now=at(1.5))) == {PROJECT: 1800}
    resized = server(launched_at=at(48), cards=2)
    assert usage.add(cloud(servers=(resized,), now=at(1))) == {PROJECT: 1800 + 3600}
    assert usage.add(cloud(servers=(resized,), now=at(1.2))) == {PROJECT: 5400}
    gone = server(launched_at=at(48), cards=2, terminated_at=at(0.5))
    assert usage.add(cloud(finished=(gone,))) == {PROJECT: 5400 + 3600}
    assert usage.add(cloud(finished=(gone,), now=NOW + HOUR)) == {PROJECT: 9000}


def test_deleted_between_the_two_lists() -> None:
    """A server that both lists have counts once, to its end."""
    one, gone = server(launched_at=at(1)), server(launched_at=at(1), terminated_at=at(0.5))
    assert CardSeconds(SINCE).add(cloud(servers=(one,), finished=(gone,))) == {PROJECT: 1800}


@pytest.mark.parametrize(
    ("alias", "only", "count"),
    [
        ("gpu:2", (), 2),
        ("gpu", (), 1),
        ("gpu:2, audio:2", (), 4),
        ("gpu:2,audio:2", ("gpu",), 2),
        ("gpu:many", (), 0),
        ("", (), 0),
    ],
)
def test_cards_of_a_flavor(alias: str, only: tuple[str, ...], count: int) -> None:
    """The counts of the aliases, all or those that are named."""
    assert cards_of({"pci_passthrough:alias": alias}, only) == count


def test_cards_now() -> None:
    """The cards of all servers of a project."""
    rows = [server(id="a", cards=2), server(id="b"), server(id="c", project="other")]
    assert cards_now(rows) == {PROJECT: 3, "other": 1}
