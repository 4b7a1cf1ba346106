"""Which card is meant, by what does not change when buses are renumbered."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.host.facts.host import Host
from wholecard.pci import Address, Card
from wholecard.pci.function import Function, slot_path


@dataclass(frozen=True)
class CardIdentity:
    """A card: the place that it sits in, what it is, and which one it is.

    `place` is the path of the slot that it is plugged into, from the root bus down
    (`0000:40/01.1/00`), which is wiring; `ids` and `subsystem` are of its GPU; `serial` is empty
    where it is not known. `slot` is its address at that time and no part of its identity. `buses`
    is how many bridges of its own it has, each of which takes a bus number.
    """

    place: str
    ids: str
    subsystem: str
    serial: str
    slot: str
    title: str
    functions: tuple[str, ...] = ()
    buses: int = 0

    def same_card(self, other: CardIdentity) -> bool | None:
        """Whether both are one card: by the serial number, None where only the model is known."""
        if (self.ids, self.subsystem) != (other.ids, other.subsystem):
            return False
        if self.serial and other.serial:
            return self.serial == other.serial
        return None


def place_of(function: Function) -> str:
    """The path of a function's slot: its own without the function's number."""
    return slot_path(function).rpartition(".")[0]


def card_place(host: Host, card: Card) -> str:
    """The place of the slot that the card is plugged into, whatever switch the card has itself."""
    bridges = {bridge.address: bridge for bridge in own_bridges(host, card)}
    outermost = next((bridges[at] for at in card.gpu[0].parents if at in bridges), card.gpu[0])
    return place_of(outermost)


def identity(host: Host, card: Card) -> CardIdentity:
    """The card as it is now."""
    gpu = card.gpu[0]
    return CardIdentity(
        place=card_place(host, card),
        ids=gpu.ids,
        subsystem=f"{gpu.subsystem_vendor or '?'}:{gpu.subsystem_device or '?'}",
        serial=card.serial,
        slot=card.slot,
        title=card.title,
        functions=tuple(str(function.address) for function in card.functions),
        buses=len(own_bridges(host, card)),
    )


def own_bridges(host: Host, card: Card) -> tuple[Function, ...]:
    """The bridges on the card itself: those above its functions, below the slot that it is in.

    A bridge is the card's own where everything behind it is the card's; the port that the card is
    plugged into is the board's, which is the uppermost of those.
    """
    own = {function.address for function in card.functions}
    ends = [function for function in host.functions if not function.is_bridge]

    def only_card(port: Address) -> bool:
        return all(end.address in own for end in ends if port in end.parents)

    # Without the board's port; a card without a switch has only that one above it.
    inner = {port for port in card.gpu[0].parents if only_card(port)}
    inner.discard(next((port for port in card.gpu[0].parents if port in inner), None))
    bridges = (function for function in host.functions if function.is_bridge)
    return tuple(each for each in bridges if inner & {each.address, *each.parents})


def card_named(host: Host, text: str) -> Card:
    """The card that a person means: by slot, address, place or serial number.

    Raises UsageError where none fits, or several do.
    """
    fitting = [card for card in host.cards if text in _names(host, card)]
    if len(fitting) == 1:
        return fitting[0]
    lines = "\n".join(f"{card.title}, place {card_place(host, card)}"
                      + (f", serial {card.serial}" if card.serial else "")
                      for card in host.cards)  # fmt: skip
    what = f"{len(fitting)} cards are" if fitting else "the host has no card"
    raise UsageError(
        f"{what} named {text}", lines or "It has no card.",
        "Name it by its slot (0000:41:00), its place or its serial number.",
    )  # fmt: skip


def _names(host: Host, card: Card) -> frozenset[str]:
    names = {card.slot, card.slot.removeprefix("0000:"), card_place(host, card), card.serial}
    for function in card.functions:
        address = str(function.address)
        names |= {address, address.removeprefix("0000:"), slot_path(function)}
    return frozenset(names - {""})
