"""What is read of cards' health: counters, first bytes, logs; and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
    received,
)
from support.tree import grow
from wholecard.host.facts.card_events import KINDS
from wholecard.host.facts.card_health import Errors
from wholecard.host.facts.health import read_host_health

SLOT = GPU[:-2]


def test_counters(tmp_path: Path) -> None:
    """AER's totals and the kinds that are not zero are read of a card and of the port above it."""
    tree = card(port_files={**aer(2), **received(5, 1)}, **aer(3, 1, 2))
    health, _ = read_host_health(grow(tmp_path, tree))
    (only,) = health.cards
    (gpu,), (port,) = only.functions, only.ports
    kinds = (("correctable BadTLP", 3), ("nonfatal UnsupReq", 1), ("fatal MalfTLP", 2))
    assert (only.slot, gpu.address, port.address) == (SLOT, GPU, PORT)
    assert gpu.errors == Errors(3, 1, 2, kinds)
    assert gpu.received is None
    assert port.errors == Errors(2, 0, 0, (("correctable BadTLP", 2),))
    assert port.received == Errors(5, 1, 0)
    assert (gpu.config, gpu.power_state, gpu.link_width, gpu.driver) == (
        "alive",
        "D0",
        16,
        "vfio-pci",
    )


@pytest.mark.parametrize(
    ("config", "files", "expected"),
    [
        (DEAD, {}, "dead"),
        (b"", {}, "unread"),
        (DEAD, {"power__runtime_status": "suspended\n"}, "asleep"),
        (DEAD, {"power_state": "D3cold\n"}, "asleep"),
    ],
    ids=["all ones", "empty", "suspended", "D3cold"],
)
def test_first_bytes(tmp_path: Path, config: bytes, files: dict[str, str], expected: str) -> None:
    """A card that answers with ones is dead, and one that sleeps is not read."""
    health, _ = read_host_health(grow(tmp_path, card(config=config, **files)))
    assert health.cards[0].functions[0].config == expected


def test_counters_of_an_old_kernel(tmp_path: Path) -> None:
    """Without counters, or with garbled ones, there are none; not zeros."""
    tree = card(aer_dev_fatal="TOTAL_ERR_FATAL many\n", power_state="")
    health, _ = read_host_health(grow(tmp_path, tree))
    assert health.cards[0].functions[0].errors is None


LINES = {
    f"vfio-pci {GPU}: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer":
        "aer-fatal",
    f"vfio-pci {GPU}: AER: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction":
        "aer-nonfatal",
    f"pcieport {PORT}: PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Receiver ID)":
        "aer-correctable",
    f"vfio-pci {GPU}: AER: aer_status: 0x00100000, aer_mask: 0x00000000": "aer-firmware",
    f"pcieport {PORT}: DPC: containment event, status:0x1f01 source:0x0000": "containment",
    f"pcieport {PORT}: AER: device recovery failed": "recovery-failed",
    f"vfio-pci {GPU}: AER: can't recover (no error_detected callback)": "recovery-failed",
    f"vfio-pci {GPU}: not ready 65535ms after bus reset; giving up": "reset-failed",
    f"vfio-pci {GPU}: Unable to change power state from D3cold to D0, device inaccessible":
        "unreachable",
    f"vfio-pci {GPU}: can't change power state from D3cold to D0 (config space inaccessible)":
        "unreachable",
    f"pcieport {PORT}: pciehp: Slot(12-1): Link Down": "link-down",
    f"vfio-pci {GPU}: vfio_bar_restore: reset recovery - restoring BARs": "vfio-reset-recovery",
    f"vfio-pci {GPU}: runtime resume failed -13": "vfio-resume-failed",
    f"NVRM: Xid (PCI:{SLOT}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.":
        "xid",
    f"amdgpu {GPU}: amdgpu: GPU reset begin!": "gpu-reset",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_kernel_lines(tmp_path: Path, line: str) -> None:
    """Each sentence of the kernel is known, with its card and its second."""
    health, _ = read_host_health(grow(tmp_path, {**card(), **kernel_log("Linux version", line)}))
    (event,) = health.events
    assert (event.kind, event.slot, event.seconds) == (LINES[line], SLOT, 1.0)
    assert event.message == line
    assert event.number == (79 if event.kind == "xid" else None)


def test_other_lines(tmp_path: Path) -> None:
    """Lines about other devices, and what the kernel says at every boot, are no events."""
    log = kernel_log(
        f"vfio-pci {GPU}: enabling device (0000 -> 0003)",
        f"pcieport {PORT}: AER: enabled with IRQ 24",
        f"pcieport {PORT}: DPC: enabled with IRQ 24",
        "nvme 0000:81:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction",
        "NVRM: Xid (PCI:0000:99:00): 79, GPU has fallen off the bus.",
    )
    health, _ = read_host_health(grow(tmp_path, {**card(), **log}))
    assert health.events == ()
    assert (health.log_from, health.unread) == (0.0, ())


def test_qemu_lines(tmp_path: Path) -> None:
    """QEMU's sentences of this boot are known, with the server; older ones and others are not."""
    ready = "2026-11-29T10:00:00.000000Z qemu-system-x86_64:"
    stop = (f"vfio_err_notifier_handler({GPU}) Unrecoverable error detected. "
            "Please collect any data possible and then kill the guest")  # fmt: skip
    log = qemu_log(
        f"2026-11-28T10:00:00.000000Z qemu-system-x86_64: {stop}",
        f"{ready} {stop}",
        f"{ready} Failed to mmap {GPU} BAR 1. Performance may be slow",
        f"{ready} vfio: Cannot reset device {GPU}, no available reset mechanism.",
        f"{ready} warning: vfio 0000:99:00.0: x",
    )
    # The 29th at 00:00 UTC.
    tree = {**card(), **log, "proc/stat": "cpu 1 2 3\nbtime 1795910400\n"}
    health, _ = read_host_health(grow(tmp_path, tree))
    assert [event.kind for event in health.events] == [
        "vfio-unrecoverable", "vfio-slow", "vfio-no-reset",
    ]  # fmt: skip
    first = health.events[0]
    assert (first.server, first.domain, first.slot) == (SERVER, "instance-00000007", SLOT)
    assert first.time == "2026-11-29T10:00:00.000000Z"


def test_every_kind_is_tried() -> None:
    """The two tests above have a line of each kind."""
    tried = {*LINES.values(), "vfio-unrecoverable", "vfio-slow", "vfio-no-reset"}
    assert tried == set(KINDS)


def test_overwritten_log(tmp_path: Path) -> None:
    """A ring buffer that has lost its beginning is named, and what is left is read."""
    line = f"pcieport {PORT}: DPC: containment event, status:0x1f01 source:0x0000"
    health, _ = read_host_health(grow(tmp_path, {**card(), **kernel_log("x", line, first=700)}))
    assert [event.kind for event in health.events] == ["containment"]
    assert health.log_from == 700.0
    assert health.unread == ("the kernel's log before second 700: it was overwritten",)


def test_shared_port(tmp_path: Path) -> None:
    """A line of a port above two cards belongs to no single one."""
    tree = card()
    second = card(gpu="0000:41:01.0")
    line = f"pcieport {PORT}: AER: device recovery failed"
    health, _ = read_host_health(grow(tmp_path, {**tree, **second, **kernel_log("x", line)}))
    assert len(health.cards) == 2
    assert [(event.slot, event.address) for event in health.events] == [("", PORT)]


def test_domain(tmp_path: Path) -> None:
    """The running domain that has a card is its user; a card without one has none."""
    state = (
        "<domstatus><domain><devices><hostdev mode='subsystem' type='pci'><source><address "
        "domain='0x0000' bus='0x41' slot='0x00' function='0x0'/></source></hostdev></devices>"
        "</domain></domstatus>"
    )
    tree = {**card(), **card(PORT_2, GPU_2), "run/libvirt/qemu/instance-00000007.xml": state}
    health, _ = read_host_health(grow(tmp_path, tree))
    assert [(one.slot, one.domain) for one in health.cards] == [
        (SLOT, "instance-00000007"), (GPU_2[:-2], ""),
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_ordinary_user(tmp_path: Path) -> None:
    """What only root may read is named."""
    root = grow(tmp_path, {**card(), **qemu_log(), "dev/kmsg": ("", 0)})
    (root / "var/log/libvirt/qemu").chmod(0)
    health, _ = read_host_health(root)
    (root / "var/log/libvirt/qemu").chmod(0o755)
    assert health.log_from is None
    assert [text.partition(":")[0] for text in health.unread] == ["the kernel's log", "QEMU's logs"]
