"""What keeps cards from being given, as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.host.host import Host
from wholecard.host.wish import Wish
from wholecard.pci import Card, Function, Group

_WANTED_DRIVER = "vfio-pci"


def check(host: Host, cards: Iterable[Card], *, wish: Wish | None = None) -> list[Finding]:
    """Everything that stands against giving `cards` together, in the order of the rules' codes.

    What `wish` names as a companion or as parked is seen to, and is no finding.
    """
    cards = tuple(cards)
    findings = [
        *check_iommu(host),
        *(finding for card in cards for finding in _check_drivers(card)),
        *check_together(host, cards, wish),
        *check_viable(host, cards),
        *(_boot_display(card) for card in cards if card.boot_display),
    ]
    return sorted(findings, key=lambda finding: finding.rule)


def check_iommu(host: Host) -> list[Finding]:
    """WC101 and WC102: the IOMMU and its interrupt remapping."""
    iommu = host.iommu
    if not iommu.on and iommu.kind is None:
        return [
            Finding(
                "WC101",
                "IOMMU",
                Severity.ERROR,
                "The firmware announces no IOMMU (no ACPI table DMAR or IVRS).",
                "Switch on VT-d (Intel) or AMD-Vi / IOMMU (AMD) in the firmware's setup.",
            )
        ]
    if not iommu.on:
        arguments = "intel_iommu=on iommu=pt" if iommu.kind == "vt-d" else "iommu=pt"
        return [
            Finding(
                "WC101",
                "IOMMU",
                Severity.ERROR,
                "The firmware has an IOMMU, but the kernel does not use it.",
                f"Boot with {arguments} on the kernel's command line; apply sees to it.",
            )
        ]
    if iommu.interrupt_remapping is False:
        return [
            Finding(
                "WC102",
                "IOMMU",
                Severity.WARNING,
                "The kernel's log knows of no interrupt remapping; VFIO refuses to give cards.",
                "Switch on x2APIC or interrupt remapping in the firmware's setup, and take "
                "intremap=off off the kernel's command line.",
            )
        ]
    return []


def _check_drivers(card: Card) -> list[Finding]:
    return [driver_finding(each) for each in card.functions if each.driver != _WANTED_DRIVER]


def driver_finding(function: Function) -> Finding:
    """WC103 for a function that vfio-pci does not have."""
    held = f"is on {function.driver}" if function.driver else "has no driver"
    return Finding(
        "WC103",
        str(function.address),
        Severity.ERROR if function.driver else Severity.WARNING,
        f"{function.address} {function.ids} {held}, not on {_WANTED_DRIVER}.",
        f"wholecard-host apply --card {function.address.slot_key}.0, then reboot",
    )


def check_together(host: Host, cards: Iterable[Card], wish: Wish | None = None) -> list[Finding]:
    """WC104 and WC107: what shares a group with `cards` and is not given with them.

    What `wish` names as a companion or as parked is seen to, and is no finding.
    """
    cards = tuple(cards)
    given = {card.slot for card in cards}
    bound = {*wish.companions, *wish.parked} if wish else set()
    findings = []
    for card in cards:
        left = [
            each
            for each in card.companions
            if each.address.slot_key not in given and str(each.address) not in bound
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


def _not_viable(group: Group) -> Finding:
    holders = ", ".join(f"{each.address} ({each.driver})" for each in group.blockers)
    return Finding(
        "WC105",
        group.name,
        Severity.ERROR,
        f"{group.name} is not viable: held by {holders}.",
        "Bind every endpoint of the group to vfio-pci.",
    )


def _boot_display(card: Card) -> Finding:
    return Finding(
        "WC106",
        card.slot,
        Severity.WARNING,
        f"Card {card.slot} is the boot display: the host's console goes dark when it is given.",
        "Make the board's own display the primary one in the firmware's setup, or use a serial "
        "console (console=ttyS0).",
    )


def _group_names(host: Host, card: Card) -> str:
    return " and ".join(group.name for group in host.groups_of(card))


def _list(functions: Iterable[Function]) -> str:
    return ", ".join(str(function.address) for function in functions)
