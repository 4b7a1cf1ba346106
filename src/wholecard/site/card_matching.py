"""Which functions of a host a kind of card means. Pure.

A card is given by its display or accelerator function, so that is what a kind matches; a kind with
`companion: true` matches what is given besides: anything but bridges and such functions. A VF is
meant by `device_type: type-VF` alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.host.facts.host import Host
from wholecard.pci import Address, Card, Function
from wholecard.site.model import CardKind, Match, Site


def meets(match: Match, host_name: str, function: Function) -> bool:
    """Whether all that `match` gives holds of the function, whatever the function is."""
    if match.hosts and host_name not in match.hosts:
        return False
    subsystem = f"{function.subsystem_vendor}:{function.subsystem_device}"
    return (
        match.vendor in (None, function.vendor)
        and match.product in (None, function.device)
        and match.subsystem in (None, subsystem)
        and (match.address is None or Address.parse(match.address) == function.address)
    )


def met(kind: CardKind, host_name: str, host: Host) -> tuple[Function, ...]:
    """The functions of the host of which one of the kind's matches holds, whatever they are."""
    return tuple(
        function
        for function in host.functions
        if any(meets(match, host_name, function) for match in kind.match)
    )


def functions_of(kind: CardKind, host_name: str, host: Host) -> tuple[Function, ...]:
    """The functions of the host that the kind means, by address."""
    return tuple(each for each in met(kind, host_name, host) if can_mean(kind, each))


def can_mean(kind: CardKind, function: Function) -> bool:
    """Whether a function is of the sort that the kind gives: see the head of this file."""
    if function.is_bridge or (function.physfn is not None) != (kind.device_type == "type-VF"):
        return False
    return function.is_display != kind.companion


def cards_of(kind: CardKind, host_name: str, host: Host) -> tuple[Card, ...]:
    """The cards of the host that have a function of the kind."""
    slots = {each.address.slot_key for each in functions_of(kind, host_name, host)}
    return tuple(card for card in host.cards if card.slot in slots)


def count_of(kind: CardKind, host_name: str, host: Host) -> int:
    """How many of the kind the host has: its functions, but a slot once for a card."""
    found = functions_of(kind, host_name, host)
    if kind.companion or kind.device_type == "type-VF":
        return len(found)
    return len({each.address.slot_key for each in found})


def meant_twice(site: Site, host_name: str, host: Host) -> Iterator[tuple[Function, str, str]]:
    """Functions of the host that two kinds mean, with both kinds' names in the site's order."""
    kinds: dict[Address, str] = {}
    for name, kind in site.cards.items():
        for function in functions_of(kind, host_name, host):
            first = kinds.setdefault(function.address, name)
            if first != name:
                yield function, first, name
