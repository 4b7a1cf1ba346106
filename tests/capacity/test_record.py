"""Units of a provider: given, reserved and free."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.capacity.record import units_of
from wholecard.cloud.placement.provider_tree import Inventory


@pytest.mark.parametrize(
    ("total", "reserved", "used", "expected"),
    [
        (1, 0, 0, (0, 0, 1)),
        (1, 0, 1, (1, 0, 0)),
        (1, 1, 0, (0, 1, 0)),
        (1, 1, 1, (1, 0, 0)),
        (16, 4, 3, (3, 4, 9)),
        (16, 4, 14, (14, 2, 0)),
        (1, 0, 2, (1, 0, 0)),
    ],
    ids=["free", "given", "reserved", "one-time use", "slices", "reserved in use", "overcounted"],
)
def test_parts(total: int, reserved: int, used: int, expected: tuple[int, int, int]) -> None:
    """A unit that a server has is given, whether it is reserved or not."""
    card = units_of("x", Inventory("VGPU", total, reserved, used), frozenset())
    assert (card.given, card.reserved, card.free) == expected


@given(
    total=st.integers(0, 40), reserved=st.integers(0, 50), used=st.integers(0, 50),
    ratio=st.sampled_from([0.5, 1.0, 1.5, 4.0]),
)  # fmt: skip
def test_parts_are_the_total(total: int, reserved: int, used: int, ratio: float) -> None:
    """Given, reserved and free are none below 0, and together the total."""
    inventory = Inventory("VGPU", total, reserved, used, ratio)
    card = units_of("x", inventory, frozenset())
    assert min(card.given, card.reserved, card.free) >= 0
    assert card.given + card.reserved + card.free == card.total
    assert card.free == max(0, min(inventory.free, card.total))
