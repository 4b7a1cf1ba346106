"""What became of functions between two boots, and what would become of them."""

from __future__ import annotations

import pytest

from support.cards_on_board import GPU, NIC, SWITCH, board, gpu, nic, port, switch_card
from support.hosts import host
from wholecard.host.facts.host import Host
from wholecard.moving.card_identity import card_named, identity
from wholecard.moving.renumbered import How, Will, compared, predicted, renumbered
from wholecard.pci import Address


def told(before: Host, after: Host) -> list[tuple[str, str, How]]:
    return [(str(row.before), str(row.after), row.how) for row in renumbered(before, after)]


def test_nothing() -> None:
    """The same host twice: nothing changed."""
    one = board()
    assert compared(one, one) == compared(one, board(boot_id="other"))
    assert renumbered(one, board()) == ()


def test_a_switch_less() -> None:
    """Without the card with the switch all buses after it are two lower; the places stay."""
    before, after = board(), board(first=gpu(1, 0x41, "S9"), shift=-2)
    assert told(before, after) == [
        ("0000:44:00.0", "0000:42:00.0", How.PATH), ("0000:45:00.0", "0000:43:00.0", How.PATH),
    ]  # fmt: skip
    found = compared(before, after)
    assert [str(each.address) for each in found.gone] == [
        "0000:41:00.0", "0000:42:01.0", "0000:43:00.0",
    ]  # fmt: skip
    # The address that a GPU left is another function's now.
    assert [str(each.address) for each in found.new] == ["0000:41:00.0"]


@pytest.mark.parametrize(("serial", "how"), [("S2", How.SERIAL), ("", How.MODEL)])
def test_moved(serial: str, how: How) -> None:
    """A card in another slot is known by its serial number, else as the only one of its model."""
    before = host(port(1), port(2), *gpu(1, 0x41, serial))
    after = host(port(1), port(2), *gpu(2, 0x42, serial))
    (row,) = renumbered(before, after)
    assert (str(row.before), str(row.after), row.how, row.moved) == (
        "0000:41:00.0", "0000:42:00.0", how, True,
    )  # fmt: skip


def test_exchanged() -> None:
    """Two cards that changed places have changed addresses; another serial is another card."""
    before = host(port(1), port(2), *gpu(1, 0x41, "A"), *gpu(2, 0x42, "B"))
    after = host(port(1), port(2), *gpu(1, 0x41, "B"), *gpu(2, 0x42, "A"))
    assert told(before, after) == [
        ("0000:41:00.0", "0000:42:00.0", How.SERIAL), ("0000:42:00.0", "0000:41:00.0", How.SERIAL),
    ]  # fmt: skip
    other = host(port(1), port(2), *gpu(1, 0x41, "C"), *gpu(2, 0x42, "B"))
    found = compared(before, other)
    assert (found.renumbered, len(found.gone), len(found.new)) == ((), 1, 1)


def test_predicted() -> None:
    """Without a card of two bridges, what is numbered after it goes down by two; all else stays."""
    before = board()
    card = identity(before, card_named(before, "0000:43:00"))
    assert (card.place, card.buses) == ("0000:40/01.0/00", 2)
    rows = predicted(before, card.place, -card.buses)
    assert [(str(row.function.address), row.will, str(row.expected)) for row in rows] == [
        (GPU, Will.CHANGE, "0000:42:00.0"), (NIC, Will.CHANGE, "0000:43:00.0"),
    ]  # fmt: skip
    after = board(first=(), shift=-2, boot_id="after")
    real = {str(row.before): row.after for row in renumbered(before, after)}
    assert {str(row.function.address): row.expected for row in rows} == real


@pytest.mark.parametrize(
    ("place", "buses", "expected"),
    [
        # The last port: nothing is numbered after it.
        ("0000:40/04.0/00", None, []),
        # A port before the others, still empty: all behind later ports may change.
        ("0000:40/00.1/00", None, ["0000:42:01.0", SWITCH, GPU, NIC]),
        ("0000:40/02.0/00", None, [NIC]),
        # Another root bus.
        ("0000:80/01.0/00", None, []),
    ],
)
def test_may_change(place: str, buses: int | None, expected: list[str]) -> None:
    """What is numbered after a slot may change when a card comes; nothing is promised."""
    rows = predicted(board(), place, buses)
    ends = [str(row.function.address) for row in rows if str(row.function.address) in expected]
    assert ends == expected
    assert all(row.will is Will.MAY and row.expected is None for row in rows)
    if not expected:
        assert rows == ()


def test_end_of_the_numbers() -> None:
    """Where a bus number would leave its 8 bits no address is expected."""
    full = host(port(1), port(2), *gpu(1, 0x41, "A"), *nic(2, 0xFF))
    (row,) = predicted(full, "0000:40/01.0/00", 1)
    assert (row.will, row.expected) == (Will.CHANGE, None)
    assert Address.parse("0000:ff:00.0") == row.function.address


def test_switch_card() -> None:
    """A card's own bridges are those below the board's port."""
    one = host(port(1), *switch_card(1, 0x41))
    card = identity(one, one.cards[0])
    assert (card.buses, card.place, card.slot) == (2, "0000:40/01.0/00", "0000:43:00")
