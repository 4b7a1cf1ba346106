"""Which functions of a host a kind of card matches. Pure.

nova gives a card by its display or accelerator function, so a kind matches those alone. A kind
with `extra_function: true` matches the other endpoints instead, and one with `device_type: type-VF`
matches VFs, which no other kind does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from wholecard.host.facts.host import Host
from wholecard.pci import Address, Function

if TYPE_CHECKING:
    from wholecard.site.model import CardKind, Match, Site


def meets(match: Match, host_name: str, function: Function) -> bool:
    """Whether everything that `match` gives is true of the function, of whatever type it is."""
    if match.parent is not None or (match.hosts and host_name not in match.hosts):
        return False
    subsystem = f"{function.subsystem_vendor}:{function.subsystem_device}"
    return (
        match.vendor in (None, function.vendor)
        and match.product in (None, function.device)
        and match.subsystem in (None, subsystem)
        and (match.address is None or Address.parse(match.address) == function.address)
    )


def matched_functions(kind: CardKind, host_name: str, host: Host) -> tuple[Function, ...]:
    """The functions of the host that one of the kind's matches fits, of whatever type they are.

    Of a kind for servers without those that another kind leaves to the host.
    """
    return tuple(
        function
        for function in host.functions
        if any(meets(match, host_name, function) for match in kind.match)
        and not any(meets(match, host_name, function) for match in kind.kept)
    )


def functions_of(kind: CardKind, host_name: str, host: Host) -> tuple[Function, ...]:
    """The functions of the host that the kind matches, by address."""
    matched = matched_functions(kind, host_name, host)
    return tuple(function for function in matched if can_match(kind, function))


def can_match(kind: CardKind, function: Function) -> bool:
    """Whether a function is of the type that the kind matches: see the head of this file."""
    if function.is_bridge or (function.physfn is not None) != (kind.device_type == "type-VF"):
        return False
    return function.is_display != kind.extra_function


def count_of(kind: CardKind, host_name: str, host: Host) -> int:
    """How many of the kind the host has: cards by slot, extra functions and VFs by function."""
    functions = functions_of(kind, host_name, host)
    if kind.extra_function or kind.device_type == "type-VF":
        return len(functions)
    # A card with two GPUs in one slot is one card.
    return len({function.address.slot_key for function in functions})


def bound_outside(site: Site, host_name: str, host: Host) -> Iterator[tuple[str, Function]]:
    """Functions of whole cards that no guest gets, each with its card's kind.

    They are bound to vfio-pci with the card, so that its IOMMU group is viable.
    """
    selected = {name: functions_of(kind, host_name, host) for name, kind in site.cards.items()}
    given = {function.address for functions in selected.values() for function in functions}
    for name, kind in site.for_servers.cards.items():
        if kind.parts is None and not kind.extra_function and kind.device_type != "type-VF":
            functions = _functions_of_cards(selected[name], host)
            yield from ((name, each) for each in functions if each.address not in given)


def _functions_of_cards(selected: Iterable[Function], host: Host) -> Iterator[Function]:
    """All functions of the cards that have one of these, each once."""
    cards = {card.slot: card for each in selected if (card := host.card_of(each.address))}
    for card in cards.values():
        yield from card.functions


def bound_text(functions: Iterable[Function]) -> str:
    """`Audio device, USB controller`: what these are, each once."""
    names = (function.class_name or function.ids for function in functions)
    return ", ".join(dict.fromkeys(names))


def matched_twice(site: Site, host_name: str, host: Host) -> Iterator[tuple[Function, str, str]]:
    """Functions of the host that two kinds match, with both kinds' names in the site's order."""
    kinds: dict[Address, str] = {}
    for name, kind in site.cards.items():
        for function in functions_of(kind, host_name, host):
            first = kinds.setdefault(function.address, name)
            if first != name:
                yield function, first, name
