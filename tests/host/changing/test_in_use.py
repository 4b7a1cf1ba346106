"""Who uses a function: every kind of use is found, and idleness is too."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from support.nodes import Device, card, pci_tree, with_groups
from support.tree import Leaf, grow
from wholecard.core import WholecardError
from wholecard.host.changing import in_use
from wholecard.host.facts.host import Framebuffer, KernelUse
from wholecard.host.facts.inspect import inspect
from wholecard.pci import Address

GPU, AUDIO, DISK, NIC = "0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"
DEVICES: list[Device] = [
    ("0000:00:02.0", (), "1b36:000c", "060400", "pcieport", {}),
    *card("0000:01:00", "0000:00:02.0"),
    (DISK, ("0000:00:02.0",), "1b36:0010", "010802", "nvme", {}),
    (NIC, ("0000:00:02.0",), "8086:1521", "020000", "igb", {}),
]
ALL = [Address.parse(text) for text in (GPU, AUDIO, DISK, NIC)]
BELOW = "sys/devices/pci0000:00/0000:00:02.0"
NVME = f"{BELOW}/{DISK}/nvme/nvme0"

# Everything that a host has and nobody uses.
IDLE: dict[str, Leaf] = {
    **with_groups(pci_tree(DEVICES), {10: [GPU, AUDIO, DISK, NIC]}),
    f"{BELOW}/{GPU}/drm/card1/dev": "226:1\n",
    f"{BELOW}/{GPU}/drm/card1/uevent": "MAJOR=226\nMINOR=1\nDEVNAME=dri/card1\n",
    f"{BELOW}/{GPU}/drm/renderD129/dev": "226:129\n",
    f"{BELOW}/{GPU}/drm/renderD129/uevent": "DEVNAME=dri/renderD129\n",
    f"{BELOW}/{GPU}/vfio-dev/vfio0/dev": "511:0\n",
    f"{BELOW}/{GPU}/vfio-dev/vfio0/uevent": "DEVNAME=vfio/devices/vfio0\n",
    f"{BELOW}/{AUDIO}/sound/card0/controlC0/dev": "116:2\n",
    f"{BELOW}/{AUDIO}/sound/card0/controlC0/uevent": "DEVNAME=snd/controlC0\n",
    f"proc/driver/nvidia/gpus/{GPU}/information": "Model: \t X\nDevice Minor: \t 3\n",
    f"{NVME}/nvme0n1/dev": "259:0\n",
    f"{NVME}/nvme0n1/uevent": "DEVNAME=nvme0n1\n",
    f"{NVME}/nvme0n1/nvme0n1p2/dev": "259:2\n",
    "sys/class/block/nvme0n1": f"-> ../../../{NVME}/nvme0n1",
    "sys/class/block/nvme0n1p2": f"-> ../../../{NVME}/nvme0n1/nvme0n1p2",
    f"{NVME}/nvme0n1/nvme0n1p2/holders/dm-0": "-> ../../../../../../../../virtual/block/dm-0",
    "sys/devices/virtual/block/dm-0/dev": "253:0\n",
    "sys/devices/virtual/block/dm-0/dm/name": "vg-data\n",
    "sys/devices/virtual/block/dm-0/slaves/nvme0n1p2": (
        f"-> ../../../../../../{NVME}/nvme0n1/nvme0n1p2"
    ),
    "sys/class/block/dm-0": "-> ../../devices/virtual/block/dm-0",
    f"{BELOW}/{NIC}/net/eth0/flags": "0x1002\n",
    f"{BELOW}/{NIC}/net/eth0/operstate": "down\n",
    "sys/class/net/eth0": f"-> ../../../{BELOW}/{NIC}/net/eth0",
    "sys/class/net/lo/flags": "0x9\n",
    f"{BELOW}/{GPU}/graphics/fb0/": "",
    "sys/class/graphics/fb0": f"-> ../../../{BELOW}/{GPU}/graphics/fb0",
    "sys/class/vtconsole/vtcon0/name": "(S) VGA+\n",
    "sys/class/vtconsole/vtcon0/bind": "1\n",
    "sys/class/vtconsole/vtcon1/name": "(M) frame buffer device\n",
    "sys/class/vtconsole/vtcon1/bind": "0\n",
    "proc/sys/kernel/random/boot_id": "boot-one\n",
    "proc/1/comm": "systemd\n",
    "proc/1/fd/0": "-> /dev/null",
    "proc/1/fd/3": "-> /dev/vfio/11",
    "proc/2/comm": "gone",
    "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n",
    "run/libvirt/qemu/other.xml": "<domstatus><domain/></domstatus>",
}

DOMAIN = """<domstatus state='running'><domain type='kvm'><devices>
<hostdev mode='subsystem' type='pci' managed='yes'>
  <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
  <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>
</hostdev>
<interface type='hostdev'>
  <source><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x3'/></source>
</interface>
</devices></domain></domstatus>"""


def found(root: Path) -> list[tuple[str, str, str]]:
    return [
        (each.rule, each.subject, each.message.split(": ", 1)[1])
        for each in in_use.find(root, inspect(root), ALL)
    ]


def test_idle(tmp_path: Path) -> None:
    """What nobody uses is in nobody's way."""
    assert found(grow(tmp_path, IDLE)) == []


OPEN = "systemd (pid 1) has {} open."
CASES: list[tuple[dict[str, Leaf], list[tuple[str, str, str]]]] = [
    (
        {"proc/1/fd/3": "-> /dev/vfio/10"},
        # The group's file is held for all of its functions; it is said once.
        [("WC150", GPU, OPEN.format("/dev/vfio/10"))],
    ),
    (
        {"proc/1/fd/3": "-> /dev/vfio/devices/vfio0"},
        [("WC150", GPU, OPEN.format("/dev/vfio/devices/vfio0"))],
    ),
    (
        {"proc/1/fd/3": "-> /dev/dri/card1", "proc/1/fd/4": "-> /dev/dri/card1"},
        [("WC154", GPU, OPEN.format("/dev/dri/card1"))],
    ),
    (
        {"proc/1/fd/3": "-> /dev/dri/renderD129"},
        [("WC154", GPU, OPEN.format("/dev/dri/renderD129"))],
    ),
    ({"proc/1/fd/3": "-> /dev/nvidia3"}, [("WC154", GPU, OPEN.format("/dev/nvidia3"))]),
    (
        {"proc/1/fd/3": "-> /dev/snd/controlC0"},
        [("WC154", AUDIO, OPEN.format("/dev/snd/controlC0"))],
    ),
    (
        {"run/libvirt/qemu/instance-1.xml": DOMAIN},
        [
            ("WC151", GPU, "the running domain instance-1 has it."),
            ("WC151", NIC, "the running domain instance-1 has it."),
        ],
    ),
    (
        {"proc/self/mountinfo": "22 1 259:2 / /srv rw shared:1 - xfs /dev/nvme0n1p2 rw\n"},
        [("WC152", DISK, "a disk below it, /dev/nvme0n1p2 at /srv.")],
    ),
    (
        {"proc/self/mountinfo": "22 1 0:40 / /srv rw - btrfs /dev/nvme0n1p2 rw\n"},
        [("WC152", DISK, "a disk below it, /dev/nvme0n1p2 at /srv.")],
    ),
    (
        {"proc/self/mountinfo": "22 1 253:0 / /srv rw - xfs /dev/mapper/vg-data rw\n"},
        [("WC152", DISK, "a disk below it, /dev/mapper/vg-data at /srv.")],
    ),
    (
        {"proc/swaps": "Filename\n/dev/dm-0 partition 1 0 -2\n"},
        [("WC152", DISK, "a disk below it, /dev/dm-0 as swap.")],
    ),
    (
        {
            f"{BELOW}/{NIC}/net/eth0/flags": "0x1003\n",
            f"{BELOW}/{NIC}/net/eth0/operstate": "unknown\n",
        },
        [("WC153", NIC, "its network link eth0 is up.")],
    ),
    (
        {f"{BELOW}/{NIC}/net/eth0/operstate": "up\n"},
        [("WC153", NIC, "its network link eth0 is up.")],
    ),
    (
        {"sys/class/vtconsole/vtcon1/bind": "1\n"},
        [("WC155", GPU, "it shows the host's console (fb0).")],
    ),
]


@pytest.mark.parametrize(("tree", "expected"), CASES)
def test_used(tmp_path: Path, tree: dict[str, Leaf], expected: list[tuple[str, str, str]]) -> None:
    """Each use is found, by its rule, its function and its user."""
    assert found(grow(tmp_path, {**IDLE, **tree})) == expected


def test_multipath(tmp_path: Path) -> None:
    """A disk of native NVMe multipath is virtual; its controllers say whose it is."""
    virtual = "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    tree: dict[str, Leaf] = {
        f"{virtual}/nvme0": f"-> ../../../../../{NVME}",
        f"{virtual}/nvme0n9/dev": "259:9\n",
        "sys/class/nvme-subsystem/nvme-subsys0": f"-> ../../../{virtual}",
        "sys/class/block/nvme0n9": "-> ../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n9",
        "proc/self/mountinfo": "22 1 259:9 / /srv rw - xfs /dev/nvme0n9 rw\n",
    }
    assert found(grow(tmp_path, {**IDLE, **tree})) == [
        ("WC152", DISK, "a disk below it, /dev/nvme0n9 at /srv.")
    ]


def test_facts(tmp_path: Path) -> None:
    """What the facts say counts besides: uses, and framebuffers that hold a BAR."""
    host = dataclasses.replace(
        inspect(grow(tmp_path, IDLE)),
        uses=(
            KernelUse(DISK, "disk", "/dev/sda2 at /"),
            KernelUse(NIC, "default-route", "eth0"),
            KernelUse("0000:00:04.0", "network", "eth9"),
        ),
        framebuffers=(Framebuffer("efifb", GPU),),
    )
    findings = in_use.find(tmp_path, host, ALL)
    assert [(each.rule, each.subject) for each in findings] == [
        ("WC155", GPU),
        ("WC152", DISK),
        ("WC153", NIC),
    ]
    assert all(each.fix for each in findings)


def test_nothing_asked(tmp_path: Path) -> None:
    """For no functions nothing is read."""
    assert in_use.find(tmp_path / "not there", None, []) == ()


@pytest.mark.parametrize(
    "text", ["<domain>", "", "<a><hostdev><source><address bus='x' slot='1'/>"]
)
def test_garbled_domain(tmp_path: Path, text: str) -> None:
    """A running domain that cannot be read is an error: nobody knows what it has."""
    root = grow(tmp_path, {**IDLE, "run/libvirt/qemu/instance-1.xml": text})
    with pytest.raises(WholecardError, match=r"cannot read the running domain .*instance-1"):
        in_use.find(root, None, ALL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be refused as nobody")
def test_unreadable_process(tmp_path: Path) -> None:
    """Where a process's files cannot be seen, the card is not said to be idle."""
    root = grow(tmp_path, IDLE)
    (root / "proc/1/fd").chmod(0)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.chdir(root)
        os.setuid(65534)
        try:
            in_use.find(Path(), None, ALL)
        except WholecardError as error:
            os._exit(5 if "process 1" in error.brief else 6)
        os._exit(7)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 5


def test_running_host() -> None:
    """The machine that the tests run on can be looked at."""
    assert isinstance(in_use.find(Path("/"), None, [Address(0xFFFF, 0xFF, 0x1F, 7)]), tuple)
