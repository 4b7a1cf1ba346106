"""Which functions belong to a card: APUs, cards with a switch of their own, whole groups."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.hosts import Groups, alone, by_slot, function
from wholecard.pci import Address, Card, Function, find_cards, predicted_groups

APU = (
    function("0000:c6:00.0", "1002:1900", "030000", driver="amdgpu"),
    function("0000:c6:00.1", "1002:1640", "040300"),
    function("0000:c6:00.2", "1022:15c7", "108000", driver="ccp"),
    function("0000:c6:00.3", "1022:15b9", "0c0330", driver="xhci_hcd"),
    function("0000:c6:00.6", "1022:15e3", "040300", driver="snd_hda_intel"),
)
DISCRETE = (
    function("0000:b5:00.0", "1002:7312", "030000"),
    function("0000:b5:00.1", "1002:ab38", "040300"),
    function("0000:b5:00.2", "1002:7316", "0c0330", driver="xhci_hcd"),
    function("0000:b5:00.3", "1002:7314", "0c8000"),
)

ROOT, UP = Address(0, 0, 1, 1), Address(0, 1, 0, 0)
PORTS = (Address(0, 2, 1, 0), Address(0, 2, 2, 0))


def arc(*more: Function) -> tuple[Function, ...]:
    """An Arc card: a GPU and its audio behind two ports of the card's own switch."""
    return (
        function("0000:03:00.0", "8086:e212", "030000", parents=(ROOT, UP, PORTS[0])),
        function("0000:04:00.0", "8086:e2f7", "040300", parents=(ROOT, UP, PORTS[1])),
        *more,
    )


def behind(address: str, ids: str, class_code: str, *parents: Address) -> Function:
    return function(address, ids, class_code, parents=parents or (ROOT, UP, Address(0, 2, 4, 0)))


def members(card: Card) -> list[str]:
    return [str(each.address)[5:] for each in card.functions]


def test_apu() -> None:
    """The processor's functions in its graphics' slot stay with the host, with their groups."""
    (card,) = find_cards(APU, alone(APU))
    assert members(card) == ["c6:00.0", "c6:00.1"]
    assert [each.address.function for each in card.kept] == [2, 3, 6]
    assert card.companions == ()
    assert card.has(APU[1].address)
    assert not card.has(APU[3].address)


def test_apu_predicted() -> None:
    """With the IOMMU off an APU's functions are predicted in groups of their own."""
    groups = predicted_groups(APU)
    assert [len(group.functions) for group in groups] == [2, 1, 1, 1]
    (card,) = find_cards(APU, groups)
    assert members(card) == ["c6:00.0", "c6:00.1"]


def test_apu_in_one_group() -> None:
    """What shares the GPU's group goes with it, whoever made it."""
    (card,) = find_cards(APU, by_slot(APU))
    assert (len(card.functions), card.kept) == (len(APU), ())


@pytest.mark.parametrize("group", [alone, by_slot])
def test_discrete(group: Callable[[tuple[Function, ...]], Groups]) -> None:
    """A card's own USB belongs to it, also in a group of its own."""
    (card,) = find_cards(DISCRETE, group(DISCRETE))
    assert (len(card.functions), card.kept) == (len(DISCRETE), ())


def test_own_switch() -> None:
    """Audio in another slot behind the card's own switch is the card's, in any group."""
    (card,) = find_cards(arc(), alone(arc()))
    assert members(card) == ["03:00.0", "04:00.0"]
    assert card.slot == "0000:03:00"
    assert card.has(arc()[1].address)


@pytest.mark.parametrize(
    ("other", "cards"),
    [
        pytest.param(behind("0000:05:00.0", "8086:125b", "020000"), 1, id="a network port"),
        pytest.param(behind("0000:05:00.0", "10ec:8168", "040300"), 1, id="another maker"),
        pytest.param(
            behind("0000:00:1f.3", "8086:a0c8", "040100", Address(0, 0, 0x1E, 0)), 1, id="the host"
        ),
    ],
)
def test_not_of_the_switch(other: Function, cards: int) -> None:
    """Behind or beside the switch, what is no audio of the GPU's maker stays with the host."""
    found = find_cards(arc(other), alone(arc(other)))
    assert [members(card) for card in found] == [["03:00.0", "04:00.0"]] * cards


def test_switch_with_two_gpus() -> None:
    """A switch with two GPUs is no card's own."""
    two = arc(behind("0000:05:00.0", "8086:e212", "030000"))
    assert [members(card) for card in find_cards(two, alone(two))] == [["03:00.0"], ["05:00.0"]]


def test_audio_on_the_board() -> None:
    """A GPU below a root port has no switch, so audio elsewhere is not its own."""
    pair = (
        function("0000:00:02.0", "8086:9a49", "030000"),
        function("0000:00:1f.3", "8086:a0c8", "040100"),
    )
    (card,) = find_cards(pair, alone(pair))
    assert members(card) == ["00:02.0"]
