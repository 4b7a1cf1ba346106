"""The power fails before any changing call: what lasted is finished or undone to the byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.power import Disk, Recorder, recorded, restore
from support.transactions import TREE, Node, fast_folder
from support.tree import grow
from wholecard.host.changing.apply import finish
from wholecard.host.changing.rollback import rollback

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners can be put back by root alone")

Look = Callable[[Recorder], Disk]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory."""
    for place in fast_folder(tmp_path):
        yield Node(place, monkeypatch)


def disks_of(node: Node, run: Callable[[], object], look: Look) -> list[tuple[Disk, str]]:
    """The different disks that a power cut in the run can leave.

    Beside each is the copy of the image that a tool had made at that moment on a disk of its own,
    as proxmox-boot-tool does on EFI partitions.
    """
    disks: list[tuple[Disk, str]] = []

    def take(recorder: Recorder) -> None:
        disk = look(recorder), node.copy.read_text()
        if disk not in disks[-1:]:
            disks.append(disk)

    with recorded(node.root, take):
        run()
    return disks


def boot(node: Node, disk: tuple[Disk, str]) -> None:
    """The host starts again from this disk: sysfs is as at every boot."""
    restore(node.root, disk[0])
    node.copy.write_text(disk[1])
    memory = {path: leaf for path, leaf in TREE.items() if path.startswith(("sys/", "proc/"))}
    for driver in node.root.glob("sys/devices/**/driver"):
        driver.unlink()
    grow(node.root, {**memory, "proc/sys/kernel/random/boot_id": "boot-two\n"})


def stored(node: Node) -> dict[str, object]:
    """What a disk holds of the host."""
    return {path: value for path, value in node.seen().items() if not path.startswith("proc")}


@pytest.mark.parametrize("look", [Recorder.lasting, Recorder.early_names])
@pytest.mark.parametrize("then", [finish, rollback])
def test_power_cut_in_apply(node: Node, look: Look, then: Callable[[Path], object]) -> None:
    """After a power cut in apply the host is given back whole, and finishing finishes first.

    The tools of the test sync nothing: what they wrote lasts because apply syncs it.
    """
    before = stored(node)
    disks = disks_of(node, node.apply, look)
    assert len(disks) > 20
    for number, disk in enumerate(disks):
        boot(node, disk)
        if node.status()["state"] != "clean":
            then(node.root)
        if node.status()["state"] == "applied":
            # Nothing that counts as done has lost its bytes.
            assert {row["state"] for row in node.status()["drift"]} <= {"as-applied", "changed"}
            outputs = ("boot/initrd.img-6.1", "boot/efi/grub.cfg")
            assert all((node.root / path).read_bytes() for path in outputs), number
            rollback(node.root)
        assert stored(node) == before, number


@pytest.mark.parametrize("look", [Recorder.lasting, Recorder.early_names])
def test_power_cut_in_rollback(node: Node, look: Look) -> None:
    """After a power cut in rollback the next one gives the host back whole."""
    before = stored(node)
    node.apply()
    disks = disks_of(node, lambda: rollback(node.root), look)
    assert len(disks) > 10
    for number, disk in enumerate(disks):
        boot(node, disk)
        if node.status()["state"] != "clean":
            rollback(node.root)
        assert stored(node) == before, number
