"""Records that are quick to make."""

from __future__ import annotations

from dataclasses import replace

from wholecard.core.quick_record import quick_record


@quick_record(frozen=True, slots=True)
class Card:
    """Two fields, one with a default."""

    address: str
    total: int = 1


def test_as_frozen_ones() -> None:
    """They compare, hash, print and are replaced as frozen dataclasses are."""
    card = Card("0000:41:00.0")
    assert {card, Card("0000:41:00.0", 1)} == {card}
    assert replace(card, total=2) == Card("0000:41:00.0", 2)
    assert repr(card) == "Card(address='0000:41:00.0', total=1)"
    assert not hasattr(card, "__dict__")
