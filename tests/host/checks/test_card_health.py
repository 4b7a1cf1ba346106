"""The findings of cards' health: each fires on its cause, and none on a card in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.production_host import link
from support.sick_host import (
    DEAD,
    GPU,
    GPU_2,
    PORT,
    PORT_2,
    SERVER,
    aer,
    card,
    kernel_log,
    qemu_log,
)
from support.tree import Leaf, grow
from wholecard.core import Finding, Severity
from wholecard.host.checks.card_health import MANY_CORRECTABLE, check_health, with_links
from wholecard.host.facts.health import read_host_health

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
STOP = f"vfio_err_notifier_handler({GPU}) Unrecoverable error detected. Please"
QEMU = qemu_log(f"2026-11-29T10:00:00.000000Z qemu-system-x86_64: {STOP}")


def narrow(width: int, slot: int = 16) -> dict[str, Leaf]:
    """A card with a link of so many lanes in a slot of so many."""
    port = {**link(width=width), "max_link_width": f"{slot}\n"}
    return card(port_files=port, **link(width=width))


def said(*lines: str) -> dict[str, Leaf]:
    """A card in order, with these lines in the kernel's log."""
    return {**card(), **kernel_log("Linux version", *lines)}


def findings(tmp_path: Path, tree: dict[str, Leaf]) -> list[Finding]:
    """What is said of the host of this tree, its log whole where the tree has none."""
    root = grow(tmp_path, {**kernel_log("Linux version"), **tree})
    return check_health(with_links(*read_host_health(root)))


CASES: dict[str, tuple[dict[str, Leaf], list[tuple[str, Severity, str]]]] = {
    "in order": (card(), []),
    "all ones": (card(config=DEAD), [("WC580", E, GPU)]),
    "asleep": (card(config=DEAD, power__runtime_status="suspended\n", power_state="D3cold\n"), []),
    "D3cold and active": (card(power_state="D3cold\n"), [("WC580", E, GPU)]),
    "error": (card(power_state="error\n"), [("WC580", E, GPU)]),
    "unreachable": (
        said(f"vfio-pci {GPU}: Unable to change power state from D3cold to D0, device "
             "inaccessible"), [("WC580", E, GPU)],
    ),
    "fatal": (card(**aer(fatal=1)), [("WC581", E, GPU)]),
    "non-fatal": (card(**aer(nonfatal=2)), [("WC581", W, GPU)]),
    "fatal at the port": (card(port_files=aer(fatal=1)), [("WC581", E, PORT)]),
    "contained": (
        said(f"pcieport {PORT}: DPC: containment event, status:0x1f01 source:0x0000"),
        [("WC581", E, PORT)],
    ),
    "a few": (card(**aer(3)), [("WC582", N, GPU)]),
    "many": (card(port_files=aer(MANY_CORRECTABLE)), [("WC582", W, PORT)]),
    "narrow link": (narrow(8), [("WC583", E, GPU[:-2])]),
    "narrow slot": (narrow(8, slot=8), [("WC583", N, GPU[:-2])]),
    "narrower than a narrow slot": (narrow(4, slot=8), [("WC583", E, GPU[:-2])]),
    "slow link": (card(port_files=link("2.5"), **link("2.5")), []),
    "no reset": (
        said(f"vfio-pci {GPU}: not ready 65535ms after FLR; giving up"),
        [("WC584", E, GPU[:-2])],
    ),
    "no recovery": (
        said(f"pcieport {PORT}: AER: device recovery failed"), [("WC584", E, GPU[:-2])],
    ),
    "Xid of a program": (
        said(f"NVRM: Xid (PCI:{GPU[:-2]}): 31, pid=1, MMU Fault"), [("WC585", W, GPU[:-2])],
    ),
    "Xid of the card": (
        said(f"NVRM: Xid (PCI:{GPU[:-2]}): 79, fallen off"), [("WC585", E, GPU[:-2])],
    ),
    "a stopped server": ({**card(), **QEMU}, [("WC586", E, GPU[:-2])]),
    "a slow BAR": (
        {**card(), **qemu_log(f"x: Failed to mmap {GPU} BAR 1. Performance may be slow")}, [],
    ),
    "a lost log": (
        {**card(), **kernel_log("x", first=9)}, [("WC588", N, "the kernel's log before second 9")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_findings(tmp_path: Path, name: str) -> None:
    """Each cause has its finding, on the function, port or card that it is of."""
    tree, expected = CASES[name]
    found = findings(tmp_path, tree)
    assert [(one.rule, one.severity, one.subject) for one in found] == expected
    assert all(one.fix for one in found if one.severity is not N)


def test_other_card(tmp_path: Path) -> None:
    """What one card has is not said of the other."""
    found = findings(tmp_path, {**card(**aer(fatal=1)), **card(PORT_2, GPU_2)})
    assert [one.subject for one in found] == [GPU]


def test_words(tmp_path: Path) -> None:
    """A finding names the numbers, the kinds and the server."""
    tree = {**card(port_files=aer(120), **aer(nonfatal=1)), **QEMU}
    assert [one.message for one in findings(tmp_path, tree)] == [
        f"{GPU} 10de:2330 had 0 fatal errors and 1 non-fatal error since boot "
        "(nonfatal UnsupReq 1).",
        f"The port {PORT} above card 0000:41:00 had 120 correctable errors since boot "
        "(correctable BadTLP 120).",
        f"QEMU stopped the server {SERVER} at 2026-11-29T10:00:00.000000Z, because card "
        "0000:41:00 had an unrecoverable error.",
    ]
