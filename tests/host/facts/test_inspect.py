"""The facts of a host of production."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden import compare
from support.production_host import AUDIO, DISK, GPU, PF, RELEASE, VF, production
from support.tree import Leaf, grow
from wholecard.host.agent.facts_text import host_text
from wholecard.host.facts.host import Cpu, Framebuffer, Host, HugePagePool, KernelUse, Memory
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.memory import read_memlock
from wholecard.pci import Address, Function

GIB = 1 << 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The host's tree."""
    return grow(tmp_path / "root", production())


def at(host: Host, address: str) -> Function:
    function = host.function(Address.parse(address))
    assert function is not None
    return function


def test_gpu(root: Path) -> None:
    """A GPU's place, link, memory, resets and serial number are read."""
    gpu = at(inspect(root), GPU)
    assert (gpu.path, gpu.parents) == ("0000:40/01.1/00.0", (Address(0, 0x40, 1, 1),))
    assert (gpu.link_speed, gpu.link_width, gpu.link_speed_max, gpu.link_width_max) == (
        16.0, 16, 32.0, 16,
    )  # fmt: skip
    assert gpu.bars == (1 << 24, 0, 128 * GIB)
    assert gpu.bar_starts == (0xD0000000, 0, 0x4000000000)
    assert (gpu.reset_methods, gpu.power, gpu.serial) == (("flr", "bus"), "active", "1654922000123")
    assert (gpu.driver, gpu.driver_module, gpu.modules) == ("nvidia", "nvidia", ("nouveau",))
    assert (gpu.device_name, gpu.subsystem_name) == ("GH100 [H100 SXM5 80GB]", "H100 SXM5")
    assert (gpu.sriov_total, gpu.sriov_vfs, gpu.numa_node, gpu.iommu_group) == (16, 0, 1, 21)


def test_sleeping(root: Path) -> None:
    """What sleeps is left asleep: no link, no serial number, and a sentence that says so."""
    host = inspect(root)
    audio = at(host, AUDIO)
    assert (audio.power, audio.link_speed, audio.link_width_max, audio.serial) == (
        "suspended", None, None, "",
    )  # fmt: skip
    assert host.unread == (f"{AUDIO} sleeps: reading its link and serial number would wake it",)


def test_vf(root: Path) -> None:
    """A VF knows its PF and has its revision; a PF says how many VFs it has."""
    host = inspect(root)
    assert (at(host, VF).physfn, at(host, VF).revision) == (Address(0, 0x61, 0, 0), "a1")
    assert (at(host, PF).sriov_total, at(host, PF).sriov_vfs) == (8, 1)


def test_processors_and_memory(root: Path) -> None:
    """Processors are counted by socket, core and thread, memory and huge pages by node."""
    host = inspect(root)
    assert host.cpu == Cpu(
        "AuthenticAMD", "AMD EPYC 9354", 2, 4, 8, 52, "svm", ((0, "0-3"), (1, "4-7")), "2-7", "x86"
    )
    assert host.memory == Memory(
        2113620992 << 10,
        ((0, 1056810496 << 10), (1, 1056810496 << 10)),
        (
            HugePagePool(GIB, 960, 959),
            HugePagePool(GIB, 480, 480, 0),
            HugePagePool(GIB, 480, 480, 1),
        ),
        64 << 20,
    )


def test_boot(root: Path) -> None:
    """Firmware, secure boot, distribution, and what of VFIO the kernel lacks."""
    boot = inspect(root).boot
    assert (boot.firmware, boot.secure_boot, boot.image_based) == ("uefi", True, "")
    assert (boot.distribution, boot.like) == ("rocky 9.5", "rhel centos fedora")
    assert (boot.builtin, boot.missing) == (("vfio",), ("pci_stub",))


def test_uses(root: Path) -> None:
    """A disk is found below LVM and multipath, a route below a VLAN and a bond."""
    assert inspect(root).uses == (
        KernelUse(PF, "default-route", "bond0.7 on eth0"),
        KernelUse(PF, "network", "eth0"),
        KernelUse(DISK, "disk", "/dev/mapper/vg-root at /"),
    )


def test_text(root: Path) -> None:
    """What a person sees of it is this."""
    compare("production.txt", host_text(inspect(root)) + "\n")


BLOCK = "sys/devices/pci0000:80/0000:80:01.3/0000:81:00.0/block/sda"
SDA: dict[str, Leaf] = {
    "sys/class/block/sda": f"-> ../../{BLOCK[4:]}",
    "sys/class/block/sda1": f"-> ../../{BLOCK[4:]}/sda1",
    f"{BLOCK}/dev": "8:0\n",
    f"{BLOCK}/sda1/dev": "8:1\n",
}
MOUNT = "22 1 {0} / {1} rw - {2} rw\n"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({}, []),
        (
            {"proc/self/mountinfo": MOUNT.format("8:1", "/boot\\040efi", "vfat /dev/sda1")},
            ["/dev/sda1 at /boot efi"],
        ),
        (
            {"proc/self/mountinfo": MOUNT.format("0:40", "/srv", "btrfs /dev/sda1")},
            ["/dev/sda1 at /srv"],
        ),
        (
            {
                "proc/self/mountinfo": MOUNT.format("0:40", "/srv", "btrfs /dev/sdz"),
                "sys/class/block/sdz": "-> ../../devices/virtual/block/sdz",
                "sys/devices/virtual/block/sdz/dev": "8:9\n",
                "sys/fs/btrfs/0c/devices/sdz": "",
                "sys/fs/btrfs/0c/devices/sda1": "",
            },
            ["/dev/sdz at /srv"],
        ),
        ({"proc/swaps": "Filename Type\n/dev/sda1 partition 1 0 -2\n"}, ["/dev/sda1 as swap"]),
        ({"proc/self/mountinfo": "garbage\n - \n1 2 3\n", "proc/swaps": "\n\n"}, []),
    ],
)
def test_disks(tmp_path: Path, more: dict[str, Leaf], what: list[str]) -> None:
    """A disk is used when something of it is mounted or swap, by number, by source, by btrfs."""
    uses = inspect(grow(tmp_path, {**SDA, **more})).uses
    assert [(use.address, use.kind, use.what) for use in uses] == [
        (DISK, "disk", each) for each in what
    ]


NET = "sys/devices/pci0000:60/0000:61:00.0/net/eth0"
ETH0: dict[str, Leaf] = {"sys/class/net/eth0": f"-> ../../{NET[4:]}"}
ROUTE = (
    "Iface Destination Gateway Flags RefCnt Use Metric Mask\n{0} 00000000 0 {1} 0 0 0 00000000\n"
)
ZERO = "0" * 32


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({f"{NET}/operstate": "down\n"}, []),
        ({f"{NET}/operstate": "up\n"}, [("network", "eth0")]),
        ({f"{NET}/operstate": "unknown\n", f"{NET}/flags": "0x1003\n"}, [("network", "eth0")]),
        ({f"{NET}/operstate": "unknown\n", f"{NET}/flags": "0x1002\n"}, []),
        ({"proc/net/route": ROUTE.format("eth0", "0003")}, [("default-route", "eth0")]),
        ({"proc/net/route": ROUTE.format("eth0", "0200")}, []),
        (
            {
                "proc/net/ipv6_route": f"{ZERO} 00 {ZERO} 00 {ZERO} 00000400 0 0 00000003 eth0\n"
                f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 1 0 00200200 lo\n"
            },
            [("default-route", "eth0")],
        ),
        (
            {
                "proc/net/route": ROUTE.format("br-ex", "0003"),
                "sys/class/net/br-ex": "-> ../../devices/virtual/net/br-ex",
                "sys/devices/virtual/net/br-ex/operstate": "unknown\n",
                "sys/class/net/ovs-system": "-> ../../devices/virtual/net/ovs-system",
                "sys/devices/virtual/net/ovs-system/": "",
                f"{NET}/master": "-> ../../../../virtual/net/ovs-system",
            },
            [("default-route", "br-ex on eth0")],
        ),
    ],
)
def test_network(tmp_path: Path, more: dict[str, Leaf], found: list[tuple[str, str]]) -> None:
    """A link is used when it is up or a default route ends at it, also through Open vSwitch."""
    uses = inspect(grow(tmp_path, {**ETH0, **more})).uses
    assert [(use.kind, use.what) for use in uses] == found


VGA: dict[str, Leaf] = {
    "sys/bus/pci/devices/0000:02:00.0/class": "0x030000",
    "sys/bus/pci/devices/0000:02:00.0/boot_vga": "1",
    "sys/bus/pci/devices/0000:02:00.0/resource": (
        "0x00000000e0000000 0x00000000efffffff 0x0000000000042208\n"
    ),
}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, None),
        ({"proc/iomem": "e0000000-efffffff : PCI\n  e0000000-e07fffff : efifb\n"}, "efifb"),
        ({"proc/iomem": "d0000000-efffffff : PCI\n  d0000000-d07fffff : efifb\n"}, None),
        (
            {
                "proc/iomem": "00000000-00000000 : PCI Bus 0000:00\n"
                "  00000000-00000000 : 0000:02:00.0\n    00000000-00000000 : BOOTFB\n"
            },
            "BOOTFB",
        ),
        ({"proc/fb": "0 simpledrmdrmfb\n"}, "simpledrm"),
        ({"proc/fb": "0 EFI VGA\n"}, "efifb"),
        ({"proc/fb": "0 nouveaudrmfb\n"}, None),
    ],
)
def test_framebuffers(tmp_path: Path, more: dict[str, Leaf], name: str | None) -> None:
    """A console of the firmware is found by its address, by what is around it, or by name."""
    found = inspect(grow(tmp_path, {**VGA, **more})).framebuffers
    assert found == ((Framebuffer(name, "0000:02:00.0"),) if name else ())


UNIT = "usr/lib/systemd/system/libvirtd.service"


@pytest.mark.parametrize(
    ("tree", "limit"),
    [
        ({}, None),
        ({UNIT: "[Service]\n"}, 8 << 20),
        ({UNIT: "[Service]\nLimitMEMLOCK=64M\n"}, 64 << 20),
        ({UNIT: "[Service]\nLimitMEMLOCK=1G:2G\n"}, 1 << 30),
        ({UNIT: "LimitMEMLOCK=64M", f"etc/systemd/system/{UNIT[23:]}": "LimitMEMLOCK=4096"}, 4096),
        (
            {UNIT: "LimitMEMLOCK=64M", f"etc/systemd/system/{UNIT[23:]}.d/a.conf":
             "[Service]\nLimitMEMLOCK = infinity\n"},
            -1,
        ),
        ({UNIT: "", "etc/systemd/system.conf": "[Manager]\nDefaultLimitMEMLOCK=1M\n"}, 1 << 20),
        (
            {UNIT: "LimitMEMLOCK=1M", "usr/lib/systemd/system/virtqemud.service": "",
             "etc/systemd/system/multi-user.target.wants/libvirtd.service": "-> /nowhere"},
            1 << 20,
        ),
    ],
)  # fmt: skip
def test_memlock(tmp_path: Path, tree: dict[str, Leaf], limit: int | None) -> None:
    """libvirt's limit is its unit's or a drop-in's, else systemd's default."""
    assert read_memlock(grow(tmp_path, tree)) == limit


_BTRFS = "/dev/sda1 / btrfs ro 0 0\n"


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        ({"proc/mounts": "/dev/sda1 / ext4 rw 0 0\n"}, ""),
        ({}, ""),
        ({"proc/mounts": _BTRFS, "usr/sbin/transactional-update": ""}, "transactional-update"),
        ({"etc/fstab": _BTRFS, "usr/sbin/transactional-update": ""}, "transactional-update"),
        ({"proc/mounts": f"{_BTRFS}overlay / overlay rw 0 0\n"}, ""),
        ({"proc/mounts": "overlay / squashfs ro 0 0\n"}, "read-only"),
        (
            {"proc/mounts": "/dev/sda9 / ext4 rw 0 0\n/dev/sda3 /usr btrfs ro 0 0\n"},
            "read-only /usr",
        ),
        ({"run/ostree-booted": "", "usr/bin/bootc": ""}, "bootc"),
        ({"run/ostree-booted": "", "usr/bin/bootc": "", "usr/bin/rpm-ostree": ""}, "rpm-ostree"),
        ({"proc/cmdline": "root=1 ostree=/ostree/boot.1/x/0\n"}, "ostree"),
        ({"usr/bin/bootc": ""}, ""),
    ],
)
def test_image_based(tmp_path: Path, tree: dict[str, Leaf], kind: str) -> None:
    """A system that an update replaces as a whole is known by how it runs, not by its tools."""
    assert inspect(grow(tmp_path, tree)).boot.image_based == kind


SPY = """
import sys
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
from wholecard.host.agent.cli import main
main(["inspect", "--json", "--root", sys.argv[1]])
print(chr(10).join(opened), file=sys.stderr)
"""


def test_never_read(root: Path) -> None:
    """No `config` is opened, and the vital product data of nothing that sleeps or is not a card."""
    done = subprocess.run(
        [sys.executable, "-c", SPY, str(root)], capture_output=True, text=True, check=True
    )
    opened = done.stderr.splitlines()
    assert not [path for path in opened if path.endswith("config")]
    assert [path for path in opened if path.endswith("vpd")] == [
        f"{root}/sys/bus/pci/devices/{GPU}/vpd"
    ]


LEAN = """
import sys
from wholecard.host.agent.cli import main
main(["inspect", "--json", "--root", sys.argv[1]])
heavy = {"argparse", "dataclasses", "enum", "inspect", "json", "logging", "pathlib", "re",
         "shutil", "subprocess", "tarfile", "typing"}
print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_lean(root: Path) -> None:
    """inspect --json imports nothing that takes longer than its reading."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {SOURCE!r})\n{LEAN}",
         str(root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.split() == []


SOURCE = str(Path(__file__).parents[3] / "src")


def test_kernel_log_unread(tmp_path: Path) -> None:
    """A log that is there and cannot be read is said."""
    grow(tmp_path, {"dev/kmsg/": "", "proc/sys/kernel/osrelease": RELEASE})
    assert inspect(tmp_path).unread == ("the kernel's log: only root may read it",)


GARBLED = sorted(
    path for path, leaf in production().items()
    if not path.endswith("/") and not str(leaf).startswith("-> ")
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(GARBLED), st.binary(max_size=60), max_size=12),
    st.sets(st.sampled_from(GARBLED), max_size=12),
)
@settings(max_examples=25)
def test_garbled(garbled: dict[str, bytes], gone: set[str]) -> None:
    """Whatever is garbled or gone, all functions are listed and what is printed is JSON."""
    tree = {path: leaf for path, leaf in production().items() if path not in gone}
    with tempfile.TemporaryDirectory() as folder:
        root = grow(Path(folder), {**tree, **garbled})
        host = inspect(root)
        assert [str(each.address) for each in host.functions] == sorted(ADDRESSES)
        assert Host.from_json(json.loads("".join(host.to_lines()))) == host
        host_text(host)


ADDRESSES = ["0000:40:01.1", GPU, AUDIO, PF, VF, DISK]
