"""Disks that are the host's own though no mount shows it, and those that only have data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.nodes import APART, bare
from support.tree import Leaf, grow
from wholecard.core import RefusedError, Severity
from wholecard.host.changing import in_use
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, desired_cards, resolve
from wholecard.host.facts.host import Host, KernelUse
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.kernel_use import read_uses
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.planning.plan import plan
from wholecard.pci import Address

AT = "0000:02:00.1"
FOLDER = f"devices/pci0000:00/0000:00:03.0/{AT}/nvme/nvme1/nvme1n1"
DISK = {"sys/class/block/nvme1n1": f"-> ../../{FOLDER}", f"sys/{FOLDER}/dev": "259:0\n"}
PART = {
    "sys/class/block/nvme1n1p1": f"-> ../../{FOLDER}/nvme1n1p1",
    f"sys/{FOLDER}/nvme1n1p1/dev": "259:1\n",
    f"sys/{FOLDER}/nvme1n1p1/partition": "1\n",
}
# With the kernel's own multipath the disk is below a subsystem, and its controllers are named.
NVME_PATHS = "devices/virtual/nvme-subsystem/nvme-subsys1"
SHARED = {
    "sys/class/block/nvme1n1": f"-> ../../{NVME_PATHS}/nvme1n1",
    f"sys/{NVME_PATHS}/nvme1n1/dev": "259:0\n",
    "sys/class/block/nvme1n1p1": f"-> ../../{NVME_PATHS}/nvme1n1/nvme1n1p1",
    f"sys/{NVME_PATHS}/nvme1n1/nvme1n1p1/partition": "1\n",
    f"sys/{NVME_PATHS}/nvme1n1/nvme1n1p1/holders/md127": "",
    "sys/class/nvme-subsystem/nvme-subsys1/nvme1": (
        f"-> ../../../devices/pci0000:00/0000:00:03.0/{AT}/nvme/nvme1"
    ),
}
RPOOL = {"proc/spl/kstat/zfs/rpool/state": "ONLINE\n", "proc/spl/kstat/zfs/arcstats": "x\n"}


def on(number: str, kind: str, label: str = "") -> dict[str, str]:
    """What udev has found on a disk or partition."""
    return {
        f"run/udev/data/b{number}": "S:disk/by-id/x\nE:ID_SERIAL=secret\n"
        f"E:ID_FS_TYPE={kind}\n" + (f"E:ID_FS_LABEL={label}\n" if label else "")
    }


def holder(name: str, mapped: str = "", below: str = "") -> dict[str, str]:
    files = {
        f"sys/{FOLDER}{below}/holders/{name}": f"-> ../../../{name}",
        f"sys/class/block/{name}": f"-> ../../devices/virtual/block/{name}",
        f"sys/devices/virtual/block/{name}/dev": "252:0\n",
    }
    return {**files, f"sys/devices/virtual/block/{name}/dm/name": mapped} if mapped else files


TREES = {
    "empty": (DISK, "", ""),
    "a Ceph OSD on LVM": ({**DISK, **holder("dm-0", "ceph--x-osd--block--y")},
        "disk", "nvme1n1 is held by dm-0 (ceph--x-osd--block--y)"),
    "LVM in a partition": ({**DISK, **PART, **holder("dm-3", "vg-vm", "/nvme1n1p1")},
        "disk", "nvme1n1p1 is held by dm-3 (vg-vm)"),
    "mdraid": ({**DISK, **holder("md127")}, "disk", "nvme1n1 is held by md127"),
    "bcache": ({**DISK, **holder("bcache0")}, "disk", "nvme1n1 is held by bcache0"),
    "multipath": ({**DISK, **holder("dm-1", "mpatha")}, "disk", "nvme1n1 is held by dm-1 (mpatha)"),
    "NVMe's own multipath": (SHARED, "disk", "nvme1n1p1 is held by md127"),
    "a raw Ceph OSD": ({**DISK, **on("259:0", "ceph_bluestore")},
        "disk", "nvme1n1 has ceph_bluestore, which a service opens"),
    "a member of an imported pool": (
        {**DISK, **PART, **RPOOL, **on("259:1", "zfs_member", "rpool")},
        "disk", "nvme1n1 is in the ZFS pool rpool"),
    "a pool known by its mount": (
        {**DISK, **on("259:0", "zfs_member", "tank"),
         "proc/self/mountinfo": "22 1 0:30 / / rw - zfs tank/ROOT rw\n"},
        "disk", "nvme1n1 is in the ZFS pool tank"),
    "partitions and a pool, udev unread": ({**DISK, **PART, **RPOOL},
        "disk", "nvme1n1 has partitions, which may be those of ZFS (rpool)"),
    "a pool that is not imported": ({**DISK, **PART, **RPOOL, **on("259:1", "zfs_member", "guest")},
        "data", "nvme1n1 has zfs_member"),
    "a guest's disk": ({**DISK, **PART, **RPOOL, **on("259:1", "ntfs")},
        "data", "nvme1n1 has ntfs"),
    "partitions alone": ({**DISK, **PART}, "data", "nvme1n1 has partitions"),
    "an array that waits": ({**DISK, **on("259:0", "linux_raid_member")},
        "data", "nvme1n1 has linux_raid_member"),
    "mounted": ({**DISK, **PART, "proc/self/mountinfo": "22 1 259:1 / / rw - ext4 /dev/x rw\n"},
        "disk", "/dev/x at /"),
    "a partition without its disk's link": (
        {"sys/class/block/x1/partition": "1\n", "sys/class/block/x1/dev": "../..\n"}, "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_uses(tmp_path: Path, name: str) -> None:
    """The host's own disks are in use without a mount; other content is data."""
    files, kind, what = TREES[name]
    uses = read_uses(grow(tmp_path, dict[str, Leaf](files)))
    assert uses == ((KernelUse(AT, kind, what),) if kind else ())


@pytest.mark.parametrize("name", [name for name, tree in TREES.items() if tree[1]])
@pytest.mark.parametrize("role", ["card", "companion"])
def test_refused(tmp_path: Path, name: str, role: str) -> None:
    """A disk in use refuses the plan, as a card's or a companion's; data is a warning."""
    files, kind, what = TREES[name]
    tree: dict[str, Leaf] = {**bare(APART), **files}
    host = inspect(grow(tmp_path, tree))
    if role == "card":
        desired = resolve(host, (), all_cards=True)
    else:
        desired = DesiredState(("0000:01:00",), companions=(AT,))
    cards = desired_cards(host, desired)
    findings = [f for f in check(host, cards, desired=desired) if f.rule == "WC131"]
    severity = Severity.ERROR if kind == "disk" else Severity.WARNING
    assert [(finding.severity, finding.subject) for finding in findings] == [(severity, AT)]
    assert what in findings[0].message
    now = [finding.rule for finding in in_use.find(tmp_path, host, [Address.parse(AT)])]
    assert now == (["WC152"] if kind == "disk" else [])
    if kind == "disk":
        with pytest.raises(RefusedError, match="WC131 The host itself"):
            plan(host, desired)
    elif role == "card":
        plan(host, desired)


def test_console(tmp_path: Path) -> None:
    """A serial port that is the kernel's console is in use, and no other is."""
    port = f"devices/pci0000:00/0000:00:03.0/{AT}/tty/ttyS4"
    tree: dict[str, Leaf] = {
        **bare(APART),
        "sys/class/tty/console/active": "tty0 ttyS4 ../x\n",
        "sys/class/tty/ttyS4": f"-> ../../{port}",
        f"sys/{port}/dev": "4:68\n",
        "sys/class/tty/ttyS5": f"-> ../../{port[:-1]}5",
    }
    host = inspect(grow(tmp_path, tree))
    assert host.uses == (KernelUse(AT, "console", "ttyS4"),)
    with pytest.raises(RefusedError, match="WC131 The host itself"):
        plan(host, resolve(host, (), all_cards=True))
    assert [f.rule for f in in_use.find(tmp_path, host, [Address.parse(AT)])] == ["WC155"]


def test_console_by_argument(tmp_path: Path) -> None:
    """Without the list of active consoles the arguments say which they are."""
    port = f"devices/pci0000:00/0000:00:03.0/{AT}/tty/ttyS4"
    uses = read_uses(grow(tmp_path, {
        "proc/cmdline": "ro console=tty0 console=ttyS4,115200\n",
        "sys/class/tty/ttyS4": f"-> ../../{port}",
    }))  # fmt: skip
    assert uses == (KernelUse(AT, "console", "ttyS4"),)


@pytest.mark.parametrize("name", TREES)
def test_facts_travel(tmp_path: Path, name: str) -> None:
    """The uses are the same in the facts' JSON and in a snapshot, which has no serial number."""
    tree: dict[str, Leaf] = {**bare(APART), **TREES[name][0]}
    host = inspect(grow(tmp_path / "host", tree))
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
    save(tmp_path / "host", tmp_path / "host.tar.gz")
    with open_snapshot(tmp_path / "host.tar.gz") as root:
        assert inspect(root).uses == host.uses
        udev = list((root / "run/udev/data").glob("b*"))
        assert not any("secret" in file.read_text() for file in udev)
