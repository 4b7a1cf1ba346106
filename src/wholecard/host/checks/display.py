"""Displays: the host's console on a card, framebuffers on its memory, the BMC's own. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.host.checks.iommu_group import function_at, given_addresses
from wholecard.host.checks.kernel import VFIO_EVICTS_CONSOLE, surely_has, surely_older
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Framebuffer, Host
from wholecard.pci import Card, Function, is_bmc_display

# linux: drivers/firmware/sysfb.c makes the console's device on every firmware; before 5.15 the
# old drivers still made their own and listened to video=NAME:off.
_SYSFB = (5, 15)
_OLD_DRIVERS = frozenset({"efifb", "vesafb"})


def check_boot_display(cards: Iterable[Card]) -> list[Finding]:
    """WC106: the firmware's console is on a card."""
    return [
        Finding(
            "WC106",
            card.slot,
            Severity.WARNING,
            f"Card {card.slot} is the boot display: if a guest gets it, the host loses its "
            "console.",
            "Make the board's own display the primary one in the firmware setup, or use a "
            "serial console (console=ttyS0).",
        )
        for card in cards
        if card.boot_display
    ]


def check_bmc(cards: Iterable[Card]) -> list[Finding]:
    """WC118: a selected card is the host's own console display."""
    return [
        Finding(
            "WC118",
            str(function.address),
            Severity.ERROR,
            f"{function.address} {function.ids} is the display of the board's management "
            "controller or of a hypervisor, not a GPU. If a guest gets it, the host loses its "
            "remote console.",
            f"Do not select it: name the other cards with --card, without {function.address}.",
        )
        for card in cards
        for function in card.gpu
        if is_bmc_display(function)
    ]


def check_framebuffers(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC112: a console framebuffer uses memory of a selected function."""
    addresses = set(given_addresses(cards, desired))
    findings = []
    for framebuffer in host.framebuffers:
        if framebuffer.address in addresses:
            function = function_at(host, framebuffer.address)
            if function is not None:
                findings.append(_held(host, framebuffer, function))
    return findings


def _held(host: Host, framebuffer: Framebuffer, function: Function) -> Finding:
    release = host.boot.release
    message = f"The console framebuffer {framebuffer.name} uses memory of {function.address}"
    vga = function.class_code.startswith("0300")
    if function.driver == "vfio-pci":
        severity = Severity.ERROR
        message += ", which is on vfio-pci: no guest can map it (BAR: can't reserve)."
    elif vga and surely_has(release, VFIO_EVICTS_CONSOLE):
        severity = Severity.NOTE
        message += "; vfio-pci removes the framebuffer when it binds, and the screen goes dark."
    elif vga and not surely_older(release, VFIO_EVICTS_CONSOLE):
        severity = Severity.WARNING
        message += "; it is not known whether this kernel's vfio-pci removes it when it binds."
    else:
        severity = Severity.ERROR
        message += ", and this kernel's vfio-pci does not remove it: no guest can map the memory."
    if framebuffer.name in _OLD_DRIVERS and surely_older(release, _SYSFB):
        argument = f"video={framebuffer.name}:off"
    else:
        argument = "initcall_blacklist=sysfb_init"
    fix = (
        "Make another display the primary one in the firmware setup. Without another display, boot "
        f"with this on the kernel's command line; the host then has only a serial console:\n"
        f"  {argument}"
    )
    return Finding("WC112", str(function.address), severity, message, fix)
