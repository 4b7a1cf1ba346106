"""What is given together: drivers, groups, companions, and what the host itself uses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Finding, Severity, UsageError
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Address, Card, Function, IommuGroup

_WANTED_DRIVER = "vfio-pci"
_PARKING_DRIVER = "pci-stub"


def check_drivers(
    host: Host, cards: Iterable[Card], wish: DesiredState | None = None
) -> list[Finding]:
    """WC103: functions that are not on the driver they are to have; WC111 for one that is gone."""
    findings = [
        driver_finding(each)
        for card in cards
        for each in card.functions
        if each.driver != _WANTED_DRIVER
    ]
    if wish is None:
        return findings
    for addresses, wanted in ((wish.companions, _WANTED_DRIVER), (wish.parked, _PARKING_DRIVER)):
        for text in addresses:
            function = function_at(host, text)
            if function is None:
                findings.append(_not_there(text))
            elif function.driver != wanted:
                findings.append(_beside_finding(function, wanted, cards))
    return findings


def driver_finding(function: Function) -> Finding:
    """WC103 for a function that vfio-pci does not have."""
    return Finding(
        "WC103",
        str(function.address),
        Severity.ERROR if function.driver else Severity.WARNING,
        f"{function.address} {function.ids} {_held(function)}, not on {_WANTED_DRIVER}.",
        f"wholecard-host apply --card {function.address.slot_key}.0, then reboot",
    )


def _beside_finding(function: Function, wanted: str, cards: Iterable[Card]) -> Finding:
    slots = " ".join(f"--card {card.slot}.0" for card in cards)
    return Finding(
        "WC103",
        str(function.address),
        Severity.ERROR if function.driver else Severity.WARNING,
        f"{function.address} {function.ids} {_held(function)}, not on {wanted} as the wish says.",
        f"Apply the same wish (wholecard-host apply {slots} and the rest of it), then reboot.",
    )


def _held(function: Function) -> str:
    return f"is on {function.driver}" if function.driver else "has no driver"


def _not_there(text: str) -> Finding:
    return Finding(
        "WC111",
        text,
        Severity.ERROR,
        f"The wish names {text}, and this host has no function there.",
        "See what the host has (inspect), and name the function by its address of today.",
    )


def check_together(
    host: Host, cards: Iterable[Card], wish: DesiredState | None = None
) -> list[Finding]:
    """WC104 and WC107: what shares a group with `cards` and is not given with them.

    What the wish names as a companion or as parked is seen to, and is no finding.
    """
    cards = tuple(cards)
    given = {card.slot for card in cards}
    seen_to = {*wish.companions, *wish.parked} if wish else set()
    findings = []
    for card in cards:
        left = [
            each
            for each in card.companions
            if each.address.slot_key not in given and str(each.address) not in seen_to
        ]
        others = {each.address.slot_key: host.card_of(each.address) for each in left}
        for other in others.values():
            if other is not None:
                findings.append(_shared(host, card, other, given))
        findings.extend(
            _left_behind(host, card, each) for each in left if others[each.address.slot_key] is None
        )
    return findings


def _shared(host: Host, card: Card, other: Card, given: set[str]) -> Finding:
    together = " ".join(f"--card {slot}.0" for slot in sorted({*given, other.slot}))
    return Finding(
        "WC107",
        card.slot,
        Severity.ERROR,
        f"Card {card.slot} shares {_group_names(host, card)} with card {other.slot} "
        f"({_list(other.functions)}), which is not to be given.",
        f"Give these cards together: {together}; or put one into another slot.",
    )


def _left_behind(host: Host, card: Card, companion: Function) -> Finding:
    held = f"on {companion.driver}" if companion.driver else "without a driver"
    return Finding(
        "WC104",
        str(companion.address),
        Severity.ERROR,
        f"{companion.address} {companion.ids} ({held}) shares {_group_names(host, card)} with "
        f"card {card.slot} and is part of no card.",
        "Put the card into a slot with a group of its own, or switch on ACS in the firmware.",
    )


def check_viable(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC105: groups of `cards` that VFIO would not open now. Predicted groups are not judged."""
    if host.groups_predicted:
        return []
    groups = {group.number: group for card in cards for group in host.groups_of(card)}
    return [_not_viable(group) for group in groups.values() if not group.viable]


def _not_viable(group: IommuGroup) -> Finding:
    holders = ", ".join(f"{each.address} ({each.driver})" for each in group.blockers)
    return Finding(
        "WC105",
        group.name,
        Severity.ERROR,
        f"{group.name} is not viable: held by {holders}.",
        "Bind every endpoint of the group to vfio-pci.",
    )


def check_uses(
    host: Host, cards: Iterable[Card], wish: DesiredState | None = None
) -> list[Finding]:
    """WC131: functions to be given or parked that the host itself has a use for."""
    taken = set(given_addresses(cards, wish))
    if wish:
        taken.update(wish.parked)
    return [
        Finding(
            "WC131",
            use.address,
            Severity.ERROR,
            f"The host uses {use.address}: {_use_text(use.kind)} {use.what}. Given away, it is "
            "gone from the host.",
            "Leave this card out, or first move what the host has there to another device "
            "(findmnt and ip route show it).",
        )
        for use in host.uses
        if use.address in taken
    ]


def _use_text(kind: str) -> str:
    known = {
        "disk": "a disk in use,",
        "network": "a network link that is up,",
        "default-route": "the default route goes over",
    }
    return known.get(kind, kind)


def given_addresses(cards: Iterable[Card], wish: DesiredState | None = None) -> Iterator[str]:
    """The addresses of every function that is given: the cards' and the wish's companions."""
    for card in cards:
        yield from (str(each.address) for each in card.functions)
    if wish:
        yield from wish.companions


def function_at(host: Host, text: str) -> Function | None:
    """The function whose address is written so; None for none and for what is no address."""
    try:
        return host.function(Address.parse(text))
    except UsageError:
        return None


def _group_names(host: Host, card: Card) -> str:
    return " and ".join(group.name for group in host.groups_of(card))


def _list(functions: Iterable[Function]) -> str:
    return ", ".join(str(function.address) for function in functions)
