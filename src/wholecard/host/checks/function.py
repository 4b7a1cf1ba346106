"""The functions themselves: do they respond, can they be reset, how wide is their link. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.core.units import counted
from wholecard.host.checks.iommu_group import given_addresses
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Card, Function
from wholecard.pci.known_models import RESET_BUGS, widest_link

# A link's width has six bits (PCI Express base specification, Link Status). A read of a device
# that does not respond gives all ones.
WIDTH_ALL_ONES = 63
_FEW = 3


def check_domain(cards: Iterable[Card]) -> list[Finding]:
    """WC119: nova cannot read this address."""
    return [
        Finding(
            "WC119",
            card.slot,
            Severity.ERROR,
            f"Card {card.slot} is in PCI domain {card.functions[0].address.domain:x}. nova knows "
            "domains up to ffff and skips the card without a message.",
            "Switch off Intel VMD for this slot in the firmware setup; then the card is in domain "
            "0000.",
        )
        for card in cards
        if card.functions[0].address.in_wide_domain
    ]


def check_alive(cards: Iterable[Card]) -> list[Finding]:
    """WC121: functions that do not respond, or that did not wake from a power state."""
    findings = []
    for card in cards:
        for function in card.functions:
            why = _why_dead(function)
            if why:
                findings.append(
                    Finding(
                        "WC121",
                        str(function.address),
                        Severity.ERROR,
                        f"{function.address} {function.ids} does not respond: {why}.",
                        "Switch the host off and on: a warm reboot often does not bring such a "
                        "card back. Look for the cause:\n"
                        f"  dmesg | grep -e {function.address} -e 'Unknown header type'",
                    )
                )
    return findings


def _why_dead(function: Function) -> str:
    if "ffff" in (function.vendor, function.device) or function.class_code == "ffffff":
        return "its ids read as all ones"
    if function.link_width == WIDTH_ALL_ONES:
        return "its link reads as all ones (unknown header type 7f)"
    if function.power == "error":
        return "it did not leave its sleep state (runtime power state error)"
    return ""


def check_reset(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC120: no reset of its own; then VFIO can only reset the whole bus, if all of it is given."""
    cards = tuple(cards)
    given = set(given_addresses(cards, desired))
    findings = []
    for function in (function for card in cards for function in card.gpu):
        if not _resets_alone(host, function):
            others = [each for each in _bus(host, function) if str(each.address) not in given]
            findings.append(_no_reset(function, others))
    return findings


def _resets_alone(host: Host, function: Function) -> bool:
    methods = function.reset_methods
    if methods is None or _why_dead(function):
        return True
    if set(methods) == {"bus"}:
        return len(_bus(host, function)) == 1
    return bool(methods)


def _bus(host: Host, function: Function) -> list[Function]:
    """Every function on the function's own bus, which one bus reset resets together."""
    bus = (function.address.domain, function.address.bus)
    return [each for each in host.functions if (each.address.domain, each.address.bus) == bus]


def _no_reset(function: Function, others: list[Function]) -> Finding:
    """`others` are functions on its bus that are not selected."""
    subject = str(function.address)
    message = f"{function.address} {function.ids} has no reset of its own"
    if function.parents and not others:
        return Finding(
            "WC120",
            subject,
            Severity.NOTE,
            f"{message}. VFIO resets the whole bus instead; this works only if one server has all "
            "devices on that bus.",
        )
    if others:
        names = ", ".join(str(other.address) for other in others)
        why = f"and a reset of its bus would also reset {names}"
    else:
        why = "and there is no bridge above it to reset its bus"
    return Finding(
        "WC120",
        subject,
        Severity.WARNING,
        f"{message}, {why}: a server gets the card in the state in which the last one left it.",
        "Put the card into a slot that has its own root port. Until then, if a guest leaves the "
        "card in a bad state, switch the host off and on.",
    )


def check_link(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC122: a link narrower than the card could have (a warning) or slower (a note)."""
    findings = []
    for card in cards:
        function = card.gpu[0]
        # The link of a card with a switch of its own is that of the switch; a cable has its own.
        link = own_switch(host, card) or function
        width, width_max = link.link_width, widest_link(link)
        speed, speed_max = link.link_speed, link.link_speed_max
        if width and width_max and width < width_max < WIDTH_ALL_ONES and not function.removable:
            findings.append(_narrow(host, function, link, width_max))
        if speed and speed_max and speed < speed_max:
            findings.append(
                Finding(
                    "WC122",
                    str(function.address),
                    Severity.NOTE,
                    f"The link of {link.address} runs at {speed:g} of {speed_max:g} GT/s. Many "
                    "GPUs slow it down while idle; check again under load.",
                )
            )
    return findings


def own_switch(host: Host, card: Card) -> Function | None:
    """The upstream port of a switch that is on the card itself, None where it has none.

    On such a card (AMD's since Vega 10, Intel's Arc) the endpoint's link is wiring inside. The
    switch is the card's where it is its maker's, and nothing of another maker is below it.
    """
    gpu = card.gpu[0]
    switch = None
    # The first is a root port: the slot.
    for address in reversed(gpu.parents[1:]):
        bridge = host.function(address)
        below = [f for f in host.functions if address in f.parents]
        makers = {f.vendor for f in below}
        displays = {f.address.slot_key for f in below if f.is_display}
        if bridge is None or makers | {bridge.vendor} != {gpu.vendor} or displays != {card.slot}:
            break
        switch = bridge
    return switch


def _narrow(host: Host, function: Function, link: Function, width_max: int) -> Finding:
    message = (
        f"The link of {function.address} {function.ids} has {link.link_width} of {width_max} lanes."
    )
    if link is not function:
        message += f" It is that of the card's own switch, {link.address}."
    bridge = host.function(link.parents[-1]) if link.parents else None
    if bridge is not None and bridge.link_width_max and bridge.link_width_max < width_max:
        message += f" The slot below {bridge.address} has only {bridge.link_width_max}."
        fix = "Put the card into a slot with all its lanes, or accept the narrower link."
    else:
        fix = (
            "Look in the card's data sheet: some have fewer lanes than their chip says. Otherwise "
            "reseat the card and its riser, and check that the firmware does not split the slot "
            "(bifurcation)."
        )
    return Finding("WC122", str(function.address), Severity.WARNING, message, fix)


def check_removable(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC164: a card that a person can pull out comes after the initramfs has claimed."""
    ports = {function.address for function in host.functions if function.external_facing}
    to_try = (
        " To try it, blacklist its native driver, and bind it after each boot: wholecard-host "
        "apply --now --card ADDRESS"
    )
    if host.boot.is_from_image:
        to_try = ""
    return [
        Finding(
            "WC164",
            card.slot,
            Severity.WARNING,
            f"Card {card.slot} is behind Thunderbolt or USB4. It appears only after it is "
            "authorized, when the initramfs has already claimed the functions. So its native "
            "driver may bind it; and a server loses it when the cable is unplugged.",
            f"Put the card into a slot for production.{to_try}",
        )
        for card in cards
        if card.gpu[0].removable or ports & {*card.gpu[0].parents}
    ]


def check_reset_bugs(cards: Iterable[Card]) -> list[Finding]:
    """WC165: models whose reset does not bring them back."""
    findings = []
    for bug in RESET_BUGS:
        slots = [card.slot for card in cards if any(bug.has(gpu) for gpu in card.gpu)]
        if slots:
            findings.append(
                Finding(
                    "WC165",
                    ", ".join(slots) if len(slots) < _FEW else counted(len(slots), "card"),
                    Severity.WARNING,
                    f"{bug.name} ({', '.join(slots)}): {bug.effect}",
                    bug.fix,
                )
            )
    return findings


def check_numa(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC132: the host has several NUMA nodes, and the card's node is not known."""
    nodes = max(len(host.cpu.nodes), len(host.memory.nodes))
    if nodes < 2:
        return []
    return [
        Finding(
            "WC132",
            card.slot,
            Severity.NOTE,
            f"The host has {nodes} NUMA nodes, and the firmware does not report the NUMA node of "
            f"card {card.slot}: nova cannot place a server's memory on the same node.",
        )
        for card in cards
        if all(function.numa_node is None for function in card.gpu)
    ]


def check_virtual_functions(cards: Iterable[Card]) -> list[Finding]:
    """WC135: a card that is selected whole has VFs."""
    return [
        Finding(
            "WC135",
            str(function.address),
            Severity.ERROR,
            f"{function.address} {function.ids} has {function.sriov_vfs} virtual functions; a "
            "card that is given as a whole must have no virtual functions.",
            "If no server uses them, remove them, and remove the setting that creates them at "
            "boot:\n"
            f"  echo 0 > /sys/bus/pci/devices/{function.address}/sriov_numvfs",
        )
        for card in cards
        for function in card.functions
        if function.sriov_vfs > 0
    ]
