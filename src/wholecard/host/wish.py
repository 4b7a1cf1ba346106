"""The wish: which cards are to be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.host.host import Host
from wholecard.pci import Address, Card


@dataclass(frozen=True)
class HugePages:
    """`count` huge pages of `size` (`2M`, `1G`), set aside when the host boots."""

    size: str
    count: int


@dataclass(frozen=True)
class Wish:
    """What a host is to give, and what the site asks of it besides.

    `cards` are the slots of the cards to be given (`0000:01:00`), sorted; cards not named are not
    given. `companions` are addresses of endpoints outside the cards' slots that are bound and
    given along. `parked` are addresses that pci-stub keeps, given to nobody. `isolated_cpus` is a
    list as the kernel takes it (`2-31`). `loader` and `initramfs` insist on a boot tool by the
    names of `Boot`; empty takes what the host has.
    """

    cards: tuple[str, ...]
    companions: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    hugepages: tuple[HugePages, ...] = ()
    isolated_cpus: str = ""
    loader: str = ""
    initramfs: str = ""


def resolve(host: Host, addresses: Sequence[str], all_cards: bool = False) -> Wish:
    """Turn what a person typed into a wish.

    An address may name any function of a card. `all_cards` is every card but the boot display.
    Raises UsageError for an address that is no card's, listing the cards there are, and for an
    empty wish.
    """
    slots = {_card_at(host, text).slot for text in addresses}
    if all_cards:
        slots.update(card.slot for card in host.cards if not card.boot_display)
    if not slots:
        raise UsageError("no card named", cards_there(host), "Name one with --card ADDRESS.")
    return Wish(tuple(sorted(slots)))


def wished_cards(host: Host, wish: Wish) -> tuple[Card, ...]:
    """The cards of the wish that the host has."""
    return tuple(card for card in host.cards if card.slot in wish.cards)


def cards_there(host: Host) -> str:
    """One line for each card of the host, for an error's details."""
    if not host.cards:
        return "This host has no cards."
    return "\n".join(["Cards on this host:", *(f"  {card.title}" for card in host.cards)])


def _card_at(host: Host, text: str) -> Card:
    # A slot without a function is what we print as a card's name, so it is taken too.
    card = host.card_of(Address.parse(text if "." in text else f"{text}.0"))
    if card is None:
        raise UsageError(
            f"{text} is no card", cards_there(host), "Name one of the cards of this host."
        )
    return card
