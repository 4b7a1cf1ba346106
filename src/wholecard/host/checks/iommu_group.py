"""What belongs together: drivers, groups, companions, and what the host itself uses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wholecard.core import Finding, Severity, UsageError
from wholecard.core.units import counted
from wholecard.host.checks.how_to_apply import how_to_apply
from wholecard.host.config_files import TABLE
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Address, Card, Function, IommuGroup
from wholecard.pci.vfio_drivers import NEEDS_VARIANT, PCI_STUB, is_same_driver


def check_drivers(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC103: functions without the driver that they need; WC111 for one that is gone.

    Where nothing is bound, as before apply, that is one finding for all.
    """
    cards = tuple(cards)
    beside = {text: function_at(host, text) for text in _beside(desired)}
    findings = [_gone(text) for text, function in beside.items() if function is None]
    if cards and _is_untouched(cards, beside.values()):
        return [*findings, _nothing_bound(host, cards)]
    parked = desired.parked if desired else ()
    return [
        *findings,
        *_card_drivers(host, cards),
        *_beside_drivers(host, beside, parked, cards),
    ]


def _card_drivers(host: Host, cards: Iterable[Card]) -> Iterator[Finding]:
    for card in cards:
        for function in card.functions:
            if not is_same_driver(function.driver, function.guest_driver):
                yield driver_finding(host, function)


def _beside_drivers(
    host: Host,
    beside: Mapping[str, Function | None],
    parked: Sequence[str],
    cards: Iterable[Card],
) -> Iterator[Finding]:
    """WC103 for companions and parked functions, by the addresses that the desired state names."""
    for text, function in beside.items():
        if function is not None:
            driver = PCI_STUB if text in parked else function.guest_driver
            if not is_same_driver(function.driver, driver):
                yield _beside_finding(host, function, driver, cards)


def _is_untouched(cards: Iterable[Card], beside: Iterable[Function | None]) -> bool:
    """Whether no function has a driver of guests or of parked functions."""
    functions = [*(function for card in cards for function in card.functions), *beside]
    return not any(f is not None and (f.is_on_vfio or f.driver == PCI_STUB) for f in functions)


def _beside(desired: DesiredState | None) -> tuple[str, ...]:
    return (*desired.companions, *desired.parked) if desired else ()


def _nothing_bound(host: Host, cards: tuple[Card, ...]) -> Finding:
    """WC103 for all cards: a warning before apply, an error where apply should have bound them."""
    slots = " ".join(f"--card {card.slot}.0" for card in cards)
    names = ", ".join(f"{card.slot} ({_drivers_text(card)})" for card in cards)
    applied = host.settings.file(TABLE).text is not None
    return Finding(
        "WC103",
        cards[0].slot if len(cards) == 1 else counted(len(cards), "card"),
        Severity.ERROR if applied else Severity.WARNING,
        f"No function is bound for guests yet: {names}.",
        "Reboot. After that, wholecard-host verify says what is wrong."
        if applied
        else how_to_apply(host, slots),
    )


def _drivers_text(card: Card) -> str:
    return ", ".join(dict.fromkeys(function.driver or "no driver" for function in card.functions))


def driver_finding(host: Host, function: Function) -> Finding:
    """WC103 for a function that vfio-pci, or its variant for the function, does not have."""
    severity = Severity.ERROR if function.driver else Severity.WARNING
    message = (
        f"{function.address} {function.ids} {_driver_text(function)}, not on "
        f"{function.guest_driver}."
    )
    if function.is_on_vfio:
        message = message[:-1] + ", the variant driver that this kernel has for it."
        if function.ids in NEEDS_VARIANT:
            message += " A guest does not see its memory."
        else:
            severity = Severity.WARNING
    return Finding(
        "WC103",
        str(function.address),
        severity,
        message,
        how_to_apply(host, f"--card {function.address.slot_key}.0"),
    )


def _beside_finding(host: Host, function: Function, driver: str, cards: Iterable[Card]) -> Finding:
    """WC103 for a companion or a parked function."""
    slots = " ".join(f"--card {card.slot}.0" for card in cards)
    return Finding(
        "WC103",
        str(function.address),
        Severity.ERROR if function.driver else Severity.WARNING,
        f"{function.address} {function.ids} {_driver_text(function)}, not on {driver} as "
        "requested.",
        how_to_apply(host, slots, " with all your other options (--companion, --park)"),
    )


def _driver_text(function: Function) -> str:
    return f"is on {function.driver}" if function.driver else "is without a driver"


def _gone(text: str) -> Finding:
    return Finding(
        "WC111",
        text,
        Severity.ERROR,
        f"The desired state names {text}, but this host has no function at that address.",
        "Find the function's present address with inspect, and use that address.",
    )


def check_together(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC104 and WC107: what shares a group with `cards` and is not selected with them.

    A companion or parked function of the desired state is not a finding, nor is a function that
    VFIO lets be, such as a host bridge without a driver.
    """
    cards = tuple(cards)
    slots = {card.slot for card in cards}
    own = {function.address for card in cards for function in card.functions}
    named = {*desired.companions, *desired.parked} if desired else set()
    findings = []
    for card in cards:
        left = [
            companion
            for companion in card.companions
            if companion.address not in own and str(companion.address) not in named
        ]
        findings += _left_out(host, card, left, slots)
    return findings


def _left_out(host: Host, card: Card, left: list[Function], slots: set[str]) -> list[Finding]:
    """One finding for each other card, then one for each function of no card."""
    owners = {function: host.card_of(function.address) for function in left}
    others = {other.slot: other for other in owners.values() if other is not None}
    shared = [_shared(host, card, other, slots) for other in others.values()]
    alone = [
        function
        for function, owner in owners.items()
        if owner is None and not function.stays_free_for_vfio
    ]
    return shared + [_left_behind(host, card, function) for function in alone]


def _shared(host: Host, card: Card, other: Card, slots: set[str]) -> Finding:
    together = " ".join(f"--card {slot}.0" for slot in sorted({*slots, other.slot}))
    addresses = ", ".join(str(function.address) for function in other.functions)
    return Finding(
        "WC107",
        card.slot,
        Severity.ERROR,
        f"Card {card.slot} shares {_group_names(host, card)} with card {other.slot} "
        f"({addresses}), which is not selected.",
        f"Select these cards together: {together}; or put one into another slot.",
    )


def _left_behind(host: Host, card: Card, companion: Function) -> Finding:
    driver = f"on {companion.driver}" if companion.driver else "without a driver"
    return Finding(
        "WC104",
        str(companion.address),
        Severity.ERROR,
        f"{companion.address} {companion.ids} ({driver}) shares {_group_names(host, card)} with "
        f"card {card.slot} and is not part of a card.",
        _how_to_part(host, companion),
    )


def _how_to_part(host: Host, companion: Function) -> str:
    """What to do about a companion; parking is named only where the host can do without it."""
    address = str(companion.address)
    apart = "the card into a slot that has its own group, or switch on ACS in the firmware setup."
    # Behind Intel VMD is the card itself, in a domain that its driver makes.
    needed = companion.physfn is not None or companion.driver == "vmd"
    if needed or any(use.address == address for use in host.uses):
        return f"Put {apart}"
    return (
        f"If the host does not need it, bind it with the card: --park {address} (nobody gets it) "
        f"or --companion {address} (a guest may get it). Otherwise put {apart}"
    )


def check_viable(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC105: groups of `cards` that VFIO would not open now. Predicted groups are not checked."""
    if host.groups_predicted:
        return []
    groups = {group.number: group for card in cards for group in host.groups_of(card)}
    # Of a group in which nothing is bound, WC103 and WC104 say all that there is to say.
    return [
        _not_viable(group)
        for group in groups.values()
        if not group.viable and any(function.is_on_vfio for function in group.functions)
    ]


def _not_viable(group: IommuGroup) -> Finding:
    blockers = ", ".join(f"{each.address} ({each.driver})" for each in group.blockers)
    return Finding(
        "WC105",
        group.name,
        Severity.ERROR,
        f"{group.name} is not viable, because of {blockers}.",
        "Bind every endpoint of the group to vfio-pci, or to its variant for the endpoint.",
    )


def check_uses(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC131: functions to bind that the host itself uses."""
    addresses = set(given_addresses(cards, desired))
    if desired:
        addresses.update(desired.parked)
    return [
        Finding(
            "WC131",
            use.address,
            Severity.ERROR,
            f"The host itself uses {use.address}: {_USES.get(use.kind, use.kind)} {use.what}. If "
            "it is bound to vfio-pci, the host loses it.",
            "Do not select this card, or first move the disk's content or the network to another "
            "device (lsblk, findmnt, zpool status and ip route show them).",
        )
        if use.kind != "data"
        else Finding(
            "WC131",
            use.address,
            Severity.WARNING,
            f"A disk below {use.address} is not empty: {use.what}. The host does not use it now, "
            "but a guest can read and overwrite it.",
            "Look at its content (lsblk -f) before you give the card to a guest.",
        )
        for use in host.uses
        if use.address in addresses
    ]


_USES = {
    "disk": "a disk in use,",
    "console": "the kernel's console is on",
    "network": "a network link that is up,",
    "default-route": "the default route goes over",
}


def given_addresses(cards: Iterable[Card], desired: DesiredState | None = None) -> Iterator[str]:
    """The addresses of every function for guests: the cards' and the companions'."""
    for card in cards:
        yield from (str(function.address) for function in card.functions)
    if desired:
        yield from desired.companions


def function_at(host: Host, text: str) -> Function | None:
    """The function at the address `text`; None also where the text is not an address."""
    try:
        return host.function(Address.parse(text))
    except UsageError:
        return None


def _group_names(host: Host, card: Card) -> str:
    return " and ".join(group.name for group in host.groups_of(card))
