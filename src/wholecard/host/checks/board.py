"""Boards of cards: what must be set up besides the cards themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wholecard.core import Finding, Severity
from wholecard.host.config_files import FABRIC_MANAGER, NVSWITCH_HOOK, OTHER_QEMU_HOOK
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.pci import Card, Function
from wholecard.pci.boards import is_on_nvlink_board, nvswitches

_MODE = re.compile(r"^[ \t]*FABRIC_MODE[ \t]*=[ \t]*([0-9])", re.MULTILINE)
_SHARED = "1"


def check_nvswitches(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC180: GPUs of a board with NVSwitches, which need a fabric manager somewhere.

    Where the host has it, WC181 and WC182 say what is missing for a board that several servers use.
    """
    switches = nvswitches(host.functions)
    on_board = _count_on_board(cards, switches)
    if not on_board:
        return []
    every = _count_on_board(host.cards, switches)
    given = set(desired.companions) if desired else set()
    left = [str(switch.address) for switch in switches if str(switch.address) not in given]
    count = f"{on_board} of the {every} GPUs of a board with NVSwitches"
    if switches and not left and on_board == every:
        return [_whole(count, len(switches))]
    mode = fabric_mode(host)
    if mode is None:
        return [_in_part(count, _staying_text(left, bool(switches)), switches)]
    if mode != _SHARED:
        return [_not_shared(count, mode)]
    return [] if _has_hook(host, desired) else [_no_hook(count)]


def fabric_mode(host: Host) -> str | None:
    """What Fabric Manager's file sets, None where the host has none.

    Source: NVIDIA Fabric Manager User Guide, "Fabric Manager Config Options": 0 is bare metal or
    the whole board in one server, and the default; 1 is shared NVSwitch, 2 is vGPU.
    """
    files = {entry.path: entry.text or "" for entry in host.settings.foreign}
    if FABRIC_MANAGER not in files:
        return None
    modes = _MODE.findall(files[FABRIC_MANAGER])
    return modes[-1] if modes else "0"


def _has_hook(host: Host, desired: DesiredState | None) -> bool:
    return (
        bool(desired and desired.modules)
        or host.settings.file(NVSWITCH_HOOK).text is not None
        or any(entry.path == OTHER_QEMU_HOOK for entry in host.settings.foreign)
    )


def _not_shared(count: str, mode: str) -> Finding:
    return Finding(
        "WC181",
        "NVSwitch",
        Severity.ERROR,
        f"{count} are selected, and Fabric Manager has FABRIC_MODE={mode}. It connects a server's "
        "GPUs alone only with FABRIC_MODE=1: CUDA fails in the guest with error 802.",
        f"Write FABRIC_MODE=1 into {FABRIC_MANAGER}, and restart nvidia-fabricmanager.",
    )


def _no_hook(count: str) -> Finding:
    return Finding(
        "WC182",
        "NVSwitch",
        Severity.WARNING,
        f"{count} are selected, Fabric Manager is in shared mode, and nothing activates the "
        "partition of a server's GPUs before its guest starts.",
        "Write hosts.NAME.modules into the site file, and plan with what it prints: wholecard site "
        "host NAME. The plan installs libvirt's hook.",
    )


def _count_on_board(cards: Iterable[Card], switches: tuple[Function, ...]) -> int:
    return sum(is_on_nvlink_board(card.gpu[0], switches) for card in cards)


def _staying_text(left: Sequence[str], has_switches: bool) -> str:
    """What of the board the host keeps: `left` are the switches that are not selected."""
    if not has_switches:
        return "the switches (not PCI devices of this host)"
    return f"switches ({', '.join(left)})" if left else "the other GPUs"


def _whole(count: str, switches: int) -> Finding:
    return Finding(
        "WC180",
        "NVSwitch",
        Severity.NOTE,
        f"The whole board is selected: {count}, and the {switches} switches.",
        "Give the whole board to one server. Its guest must run NVIDIA's fabric manager "
        "(FABRIC_MODE=0); without it CUDA does not start.",
    )


def _in_part(count: str, stays: str, switches: Iterable[Function]) -> Finding:
    fix = (
        "Run NVIDIA's fabric manager for the host (FABRIC_MODE=1, shared NVSwitch), and activate "
        "the partition of a server's GPUs before its guest starts."
    )
    companions = " ".join(f"--companion {switch.address}" for switch in switches)
    if companions:
        fix += f" Or give one server the whole board: --all-cards {companions}"
    return Finding(
        "WC180",
        "NVSwitch",
        Severity.WARNING,
        f"{count} are selected, and {stays} stay with the host. In a guest CUDA fails with error "
        "802 (system not yet initialized) until a fabric manager has set up the NVLinks of its "
        "GPUs.",
        fix,
    )
