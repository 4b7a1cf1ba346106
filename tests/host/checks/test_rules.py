"""Each rule fires on the facts that it is about, says what is so, and keeps still on others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from support.hosts import GIB, boot, foreign, host
from support.hosts import bound as function
from wholecard.core import Severity, exit_status
from wholecard.host.checks.registry import check
from wholecard.host.config_files import (
    FABRIC_MANAGER,
    NVSWITCH_HOOK,
    OTHER_QEMU_HOOK,
    FileText,
    Settings,
)
from wholecard.host.desired_state import DesiredState, HugePages
from wholecard.host.facts.host import Cpu, Framebuffer, Host, HugePagePool, Iommu, KernelUse, Memory
from wholecard.pci import Address, Function

GPU = "0000:01:00.0"
OTHER = "0000:02:00.0"
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
GIB_128 = 128 * GIB
H100: dict[str, Any] = {
    "bars": (16 << 20, 0, GIB_128, 0, 32 << 20, 0),
    "bar_starts": (1 << 44,) * 6,
}
ROOT_PORT = function(
    "0000:00:01.0", "8086:3c04", class_code="060400", driver="pcieport", iommu_group=90, parents=()
)


class Case(NamedTuple):
    """A host, its desired state, and of one rule the severities and a part of the message."""

    rule: str
    name: str
    host: Host
    severities: Sequence[Severity] = ()
    says: str = ""
    desired: DesiredState = DesiredState(("0000:01:00",))


def one(**fields: Any) -> Host:
    """A host with one GPU, changed so."""
    return host(function(GPU, **fields))


def h100s(count: int, **fields: Any) -> Host:
    return host(
        *(function(f"0000:{bus:02x}:00.0", **H100) for bus in range(1, count + 1)), **fields
    )


def slots(count: int) -> DesiredState:
    return DesiredState(tuple(f"0000:{bus:02x}:00" for bus in range(1, count + 1)))


def fb(release: str, **fields: Any) -> Host:
    changed: dict[str, Any] = {"class_code": "030000", "driver": "nouveau", **fields}
    return host(
        function(GPU, **changed),
        boot=boot(release=release),
        framebuffers=(Framebuffer("efifb", GPU),),
    )


def pools(*totals: int) -> tuple[HugePagePool, ...]:
    """1 GiB pages, so many on each node in turn, and of the whole host."""
    nodes = tuple(HugePagePool(GIB, total, total, node) for node, total in enumerate(totals))
    return (HugePagePool(GIB, sum(totals), sum(totals)), *nodes)


def huge(host_pools: tuple[HugePagePool, ...], total: int = 256, **fields: Any) -> Host:
    return host(function(GPU, **fields), memory=Memory(total=total * GIB, hugepages=host_pools))


def wanting(count: int, size: str = "1G") -> DesiredState:
    return DesiredState(("0000:01:00",), hugepages=(HugePages(size, count),))


TWINS = (function(GPU), function(OTHER, driver="nvidia"))
MODPROBE_IDS = foreign("/etc/modprobe.d/gpu.conf", "options vfio-pci ids=10de:2330\n")
AMD = Cpu(vendor="AuthenticAMD", physical_bits=48)

IOMMU_CASES = [
    Case("WC129", "command line", host(function(GPU), boot=boot(
        command_line="vfio_iommu_type1.allow_unsafe_interrupts=1")), [WARNING], "is not needed"),
    Case("WC129", "modprobe.d", host(function(GPU), settings=foreign(
        "/etc/modprobe.d/v.conf", "options vfio_iommu_type1 \\\n allow_unsafe_interrupts=Y\n")),
        [WARNING], "/etc/modprobe.d/v.conf"),
    Case("WC129", "set to 0", host(function(GPU), boot=boot(
        command_line="vfio-iommu-type1.allow_unsafe_interrupts=0"))),
    Case("WC129", "in a comment", host(function(GPU), settings=foreign(
        "/etc/modprobe.d/v.conf", "# options vfio_iommu_type1 allow_unsafe_interrupts=1\n"))),
    Case("WC133", "Intel's on AMD", host(function(GPU), iommu=Iommu("amd-vi", True, True)),
        [NOTE], "this host has AMD-Vi"),
    Case("WC133", "no value", host(function(GPU), iommu=Iommu("amd-vi", True, True),
        boot=boot(command_line="amd_iommu=on")), [NOTE], "amd_iommu=on"),
    Case("WC133", "its own", one()),
    Case("WC134", "off ahead", host(function(GPU), boot=boot(
        next_command_line="quiet intel_iommu=off")), [ERROR], "intel_iommu=off"),
    Case("WC134", "gone ahead", host(function(GPU), boot=boot(next_command_line="quiet")),
        [WARNING], "lack"),
    Case("WC134", "a list", host(function(GPU), boot=boot(
        next_command_line="intel_iommu=on,sm_on iommu=pt"))),
    Case("WC134", "not known", one()),
    Case("WC134", "gone on AMD, which is on by itself", host(
        function(GPU), iommu=Iommu("amd-vi", True), boot=boot(next_command_line="quiet"))),
]  # fmt: skip

BINDING_CASES = [
    Case(
        "WC108",
        "built in",
        host(function(GPU, driver="nouveau"), boot=boot(builtin=("nouveau",))),
        [WARNING],
        "nouveau is built into the kernel",
    ),
    Case(
        "WC108",
        "built in, no display",
        host(
            function(GPU),
            function(
                "0000:01:00.1",
                "10de:22a3",
                class_code="0c0330",
                driver="xhci_hcd",
                modules=("xhci_pci",),
                iommu_group=1,
            ),
            boot=boot(builtin=("xhci_pci",)),
        ),
        [NOTE],
        "0000:01:00.1",
    ),
    Case(
        "WC108",
        "in the initramfs",
        host(
            function(GPU, driver=None, modules=("nvidia",)),
            settings=foreign("/etc/initramfs-tools/modules", "nvidia\n"),
        ),
        [WARNING],
        "nothing loads vfio-pci before",
    ),
    Case(
        "WC108",
        "dracut",
        host(
            function(GPU, driver=None, modules=("nvidia_drm",)),
            settings=foreign("/etc/dracut.conf.d/n.conf", 'add_drivers+=" nvidia-drm "\n'),
        ),
        [WARNING],
        "nvidia_drm",
    ),
    Case(
        "WC108",
        "taken already",
        host(function(GPU, modules=("nouveau",)), boot=boot(builtin=("nouveau",))),
    ),
    Case("WC113", "one of two", host(*TWINS), [NOTE], "0000:02:00 not selected"),
    Case("WC113", "both", host(*TWINS), desired=slots(2)),
    Case("WC113", "of other ids", host(function(GPU), function(OTHER, "10de:2331"))),
    Case(
        "WC114",
        "command line",
        host(*TWINS, boot=boot(command_line="vfio-pci.ids=1234:5678,10de:2330")),
        [ERROR],
        OTHER,
    ),
    Case("WC114", "modprobe.d", host(*TWINS, settings=MODPROBE_IDS), [ERROR], OTHER),
    Case("WC114", "no stranger", host(*TWINS, settings=MODPROBE_IDS), desired=slots(2)),
    Case(
        "WC114",
        "another board's maker",
        host(
            TWINS[0],
            function(OTHER, subsystem_vendor="1043"),
            boot=boot(command_line="vfio-pci.ids=10de:2330:10de"),
        ),
    ),
    Case(
        "WC114",
        "another class",
        host(
            TWINS[0],
            function(OTHER, class_code="030000"),
            boot=boot(command_line="vfio-pci.ids=10de:2330:ffffffff:ffffffff:030200:ffffff"),
        ),
    ),
    Case(
        "WC115",
        "built in",
        host(*TWINS, settings=MODPROBE_IDS, boot=boot(builtin=("vfio_pci",))),
        [WARNING],
        "no effect",
    ),
    Case("WC115", "a module", host(*TWINS, settings=MODPROBE_IDS)),
    Case(
        "WC115",
        "by the command line",
        host(*TWINS, boot=boot(builtin=("vfio_pci",), command_line="vfio-pci.ids=10de:2330")),
    ),
    Case(
        "WC131",
        "disk",
        host(function(GPU), uses=(KernelUse(GPU, "disk", "/dev/sda1 at /srv"),)),
        [ERROR],
        "/dev/sda1 at /srv",
    ),
    Case(
        "WC131",
        "a companion",
        host(function(GPU), uses=(KernelUse("0000:05:00.0", "network", "e0"),)),
        [ERROR],
        "e0",
        DesiredState(("0000:01:00",), companions=("0000:05:00.0",)),
    ),
    Case(
        "WC131",
        "parked",
        host(function(GPU), uses=(KernelUse("0000:05:00.0", "default-route", "e0"),)),
        [ERROR],
        "e0",
        DesiredState(("0000:01:00",), parked=("0000:05:00.0",)),
    ),
    Case(
        "WC131",
        "elsewhere",
        host(function(GPU), uses=(KernelUse(OTHER, "disk", "/dev/sda1 at /"),)),
    ),
]

KERNEL_CASES = [
    Case("WC116", "missing", host(function(GPU, driver=None), boot=boot(missing=("vfio_pci",))),
        [ERROR], "no vfio_pci"),
    Case("WC116", "in use all the same", host(function(GPU), boot=boot(missing=("vfio_pci",)))),
    Case("WC116", "something else", host(function(GPU, driver=None), boot=boot(
        missing=("pci_stub",)))),
    Case("WC117", "built in", host(function(GPU), boot=boot(builtin=("vfio_pci",))), [NOTE]),
    Case("WC117", "a module", one()),
    Case("WC127", "before driver_override", host(function(GPU), boot=boot(
        release="3.10.0-ancient")), [ERROR], "3.16"),
    Case("WC127", "Grace Hopper", host(function(GPU, "10de:2342"), boot=boot(
        release="6.8.0-45-generic")), [WARNING], "6.9"),
    Case("WC127", "Grace Hopper, backported", host(function(GPU, "10de:2342"), boot=boot(
        release="5.14.0-503.el9.aarch64+64k"))),
    Case("WC127", "Grace Hopper, NVIDIA's kernel", host(function(GPU, "10de:2342"), boot=boot(
        release="6.8.0-1015-nvidia-64k"))),
    Case("WC127", "backported", host(function(GPU), boot=boot(release="3.10.0-1160.el7.x86_64"))),
    Case("WC127", "no number", host(function(GPU), boot=boot(release=""))),
    Case("WC128", "on", host(function(GPU), boot=boot(secure_boot=True)), [NOTE]),
    Case("WC128", "off", host(function(GPU), boot=boot(secure_boot=False))),
    Case("WC128", "not known", one()),
    Case("WC130", "initramfs-tools", host(function(GPU), settings=foreign(
        "/etc/initramfs-tools/modules", "vfio\nvfio_virqfd\n")), [WARNING], "6.2"),
    Case("WC130", "dracut", host(function(GPU), settings=foreign(
        "/etc/dracut.conf.d/v.conf", 'force_drivers+=" vfio vfio-virqfd "')), [WARNING]),
    Case("WC130", "modules-load.d", host(function(GPU), settings=foreign(
        "/etc/modules-load.d/v.conf", "vfio_virqfd")), [WARNING]),
    Case("WC130", "older kernel", host(function(GPU), boot=boot(release="6.1.0-28-amd64"),
        settings=foreign("/etc/modules", "vfio_virqfd"))),
    Case("WC130", "in a comment", host(function(GPU), settings=foreign(
        "/etc/modules", "# vfio_virqfd\nvfio"))),
]  # fmt: skip

DISPLAY_CASES = [
    Case("WC112", "before 5.15", fb("5.10.0-32-amd64"), [ERROR], "does not remove it"),
    Case("WC112", "taken off", fb("6.12.1-amd64"), [NOTE], "goes dark"),
    Case("WC112", "backported?", fb("5.14.0-503.el9.x86_64"), [WARNING], "not known"),
    Case("WC112", "bound and held", fb("6.12.1-amd64", driver="vfio-pci"), [ERROR], "reserve"),
    Case("WC112", "no VGA", fb("6.12.1-amd64", class_code="038000"), [ERROR]),
    Case("WC112", "on another", host(function(GPU), framebuffers=(Framebuffer("efifb", OTHER),))),
    Case("WC118", "ASPEED", one(ids="1a03:2000", class_code="030000"), [ERROR], "1a03:2000"),
    Case("WC118", "Matrox", one(ids="102b:0538", class_code="030000"), [ERROR]),
    Case("WC118", "QEMU", one(ids="1234:1111", class_code="030000"), [ERROR]),
    Case("WC118", "a GPU", one()),
    Case("WC118", "not selected", host(
        function(GPU), function(OTHER, "1a03:2000", class_code="030000"))),
]  # fmt: skip

FUNCTION_CASES = [
    Case("WC119", "VMD", host(function("10000:01:00.0")), [ERROR], "10000",
        DesiredState(("10000:01:00",))),
    Case("WC119", "the last that nova knows", host(function("ffff:01:00.0")),
        desired=DesiredState(("ffff:01:00",))),
    Case("WC120", "none, on the root bus", one(reset_methods=(), parents=()), [WARNING],
        "no bridge"),
    Case("WC120", "none, a stranger on the bus", host(
        function(GPU, reset_methods=()), function("0000:01:01.0", "8086:1533",
        class_code="020000", iommu_group=1)), [WARNING], "0000:01:01.0"),
    Case("WC120", "none, alone on the bus", one(reset_methods=()), [NOTE], "whole bus"),
    Case("WC120", "bus, shared", host(
        function(GPU, reset_methods=("bus",)), function("0000:01:01.0", "8086:1533",
        class_code="020000", iommu_group=1)), [WARNING]),
    Case("WC120", "bus, alone", one(reset_methods=("bus",))),
    Case("WC120", "FLR", one(reset_methods=("flr", "bus"))),
    Case("WC120", "not known", one(reset_methods=None)),
    Case("WC121", "ids", one(ids="ffff:ffff"), [ERROR], "ids"),
    Case("WC121", "link", one(link_width=63), [ERROR], "7f"),
    Case("WC121", "asleep for good", one(power="error"), [ERROR], "sleep"),
    Case("WC121", "asleep", one(power="suspended", link_width=None)),
    Case("WC121", "well", one(power="active", link_width=16)),
    Case("WC122", "narrow", one(link_width=8, link_width_max=16), [WARNING], "8 of 16 lanes"),
    Case("WC122", "a narrow slot", host(
        function(GPU, link_width=8, link_width_max=16, parents=(ROOT_PORT.address,)),
        Function(**{**ROOT_PORT.__dict__, "link_width_max": 8})), [WARNING], "only 8"),
    Case("WC122", "slow", one(link_speed=2.5, link_speed_max=32.0), [NOTE], "2.5 of 32 GT/s"),
    Case("WC122", "full", one(link_width=16, link_width_max=16, link_speed=32.0,
        link_speed_max=32.0)),
    Case("WC122", "down or not read", one(link_width=0, link_width_max=16)),
    Case("WC132", "two nodes", host(function(GPU), cpu=Cpu(nodes=((0, "0-7"), (1, "8-15")))),
        [NOTE], "2 NUMA nodes"),
    Case("WC132", "known", host(function(GPU, numa_node=1), cpu=Cpu(
        nodes=((0, "0-7"), (1, "8-15"))))),
    Case("WC132", "one node", host(function(GPU), cpu=Cpu(nodes=((0, "0-7"),)))),
    Case("WC135", "VFs", one(sriov_total=16, sriov_vfs=4), [ERROR], "4 virtual functions"),
    Case("WC135", "none in being", one(sriov_total=16)),
]  # fmt: skip

MEMORY_CASES = [
    Case("WC123", "one H100", h100s(1), [WARNING], "a window of 256 GiB"),
    Case("WC123", "eight", h100s(8), [WARNING], "All 8 together need 2 TiB", slots(8)),
    Case("WC123", "too many for the host", h100s(8, cpu=Cpu("GenuineIntel", physical_bits=42)),
        [WARNING], "at most 42", slots(8)),
    Case("WC123", "small", one(bars=(256 << 20,), bar_starts=(1 << 44,))),
    Case("WC123", "16 GiB each", host(
        *(function(f"0000:{bus:02x}:00.0", bars=(16 * GIB,)) for bus in (1, 2))), desired=slots(2)),
    Case("WC123", "below 4 GiB", one(bars=(256 << 20, 1 << 30), bar_starts=(0xC0000000, 0))),
    Case("WC123", "AMD's 40 bits are believed", host(
        *(function(f"0000:{bus:02x}:00.0", bars=(32 * GIB,)) for bus in (1, 2, 3, 4)), cpu=AMD),
        desired=slots(4)),
    Case("WC123", "and on Intel not", host(
        *(function(f"0000:{bus:02x}:00.0", bars=(32 * GIB,)) for bus in (1, 2, 3, 4))),
        [WARNING], "A guest with 2 cards", slots(4)),
    Case("WC124", "AMD, 1.5 TiB", host(function(GPU), cpu=AMD, memory=Memory(1536 * GIB)),
        [NOTE], "1.5 TiB"),
    Case("WC124", "AMD, 768 GiB", host(function(GPU), cpu=AMD, memory=Memory(768 * GIB))),
    Case("WC124", "Intel", host(function(GPU), memory=Memory(1536 * GIB))),
    Case("WC125", "64 MiB", host(function(GPU), memory=Memory(256 * GIB, memlock=64 << 20)),
        [NOTE], "64 MiB"),
    Case("WC125", "without limit", host(function(GPU), memory=Memory(256 * GIB, memlock=-1))),
    Case("WC125", "not known", one()),
    Case("WC126", "too few", huge(pools(4, 4)), [WARNING], "the host has 8", wanting(100)),
    Case("WC126", "enough", huge(pools(50, 50)), desired=wanting(100)),
    Case("WC126", "more than there is", huge(pools(0, 0), 64), [WARNING, ERROR], "nothing is left",
        wanting(64)),
    Case("WC126", "almost all", huge(pools(31, 31), 64), [WARNING], "2 GiB is left"),
    Case("WC126", "on the other node", huge(pools(8, 0), numa_node=1), [WARNING], "NUMA node 1"),
    Case("WC126", "on its node", huge(pools(8, 0), numa_node=0)),
    Case("WC126", "no such size", huge(pools(8, 8)), desired=wanting(100, "3 apples")),
    Case("WC126", "not known", one(), desired=wanting(100)),
]  # fmt: skip

GROUP_CASES = [
    Case("WC103", "a companion", host(
        function(GPU), function("0000:05:00.0", "8086:1533", class_code="020000", driver="igb")),
        [ERROR], "not on vfio-pci", DesiredState(("0000:01:00",), companions=("0000:05:00.0",))),
    Case("WC103", "parked elsewhere", host(
        function(GPU), function("0000:05:00.0", "8086:1533", class_code="020000", driver=None)),
        [WARNING], "not on pci-stub", DesiredState(("0000:01:00",), parked=("0000:05:00.0",))),
    Case("WC103", "parked", host(function(GPU), function(
        "0000:05:00.0", "8086:1533", class_code="020000", driver="pci-stub")),
        desired=DesiredState(("0000:01:00",), parked=("0000:05:00.0",))),
    Case("WC104", "left behind", host(function(GPU), function(
        "0000:05:00.0", "8086:1533", class_code="020000", iommu_group=1, driver="igb")),
        [ERROR], "(on igb) shares IOMMU group 1"),
    Case("WC104", "claimed at the next boot", host(function(GPU), function("0000:05:00.0",
        "8086:1533", class_code="020000", iommu_group=1, driver=None, modules=("igb",))),
        [ERROR], "without a driver"),
    Case("WC104", "a host bridge", host(function(GPU), function("0000:00:03.0", "1022:1452",
        class_code="060000", iommu_group=1, driver=None, modules=("edac",)))),
    Case("WC104", "claimed by nothing", host(function(GPU), function(
        "0000:05:00.0", "8086:1533", class_code="020000", iommu_group=1, driver=None))),
    Case("WC104", "a companion that the card needs", host(function(GPU), function("0000:00:0e.0",
        "8086:201d", class_code="010400", iommu_group=1, driver="vmd")), [ERROR], "(on vmd)"),
    Case("WC104", "on shpchp", host(function(GPU), function(
        "0000:05:00.0", "8086:1533", class_code="060401", iommu_group=1, driver="shpchp"))),
    Case("WC104", "selected with it", host(function(GPU), function(
        "0000:05:00.0", "8086:1533", class_code="020000", iommu_group=1)),
        desired=DesiredState(("0000:01:00",), companions=("0000:05:00.0",))),
    Case("WC104", "parked", host(function(GPU), function("0000:05:00.0", "8086:1533",
        class_code="020000", iommu_group=1, driver="pci-stub")),
        desired=DesiredState(("0000:01:00",), parked=("0000:05:00.0",))),
    Case("WC111", "no such companion", one(), [ERROR], "0000:07:00.0",
        DesiredState(("0000:01:00",), companions=("0000:07:00.0",))),
    Case("WC111", "no address", one(), [ERROR], "x", DesiredState(("0000:01:00",), parked=("x",))),
    Case("WC111", "there", host(function(GPU), function("0000:05:00.0", "8086:1533")),
        desired=DesiredState(("0000:01:00",), companions=("0000:05:00.0",))),
]  # fmt: skip

SWITCH = (
    function(
        "0000:00:01.0",
        "8086:2030",
        class_code="060400",
        parents=(),
        link_width=4,
        link_width_max=16,
    ),
    function(
        "0000:01:00.0",
        "1002:1478",
        class_code="060400",
        driver="pcieport",
        parents=(Address(0, 0, 1, 0),),
        link_width=4,
        link_width_max=16,
    ),
    function(
        "0000:02:00.0",
        "1002:1479",
        class_code="060400",
        driver="pcieport",
        parents=(Address(0, 0, 1, 0), Address(0, 1, 0, 0)),
        link_width=16,
        link_width_max=16,
    ),
)
BEHIND = tuple(bridge.address for bridge in SWITCH)


def behind_switch(*more: Function, **fields: Any) -> Host:
    """A card behind the switch above, whose link is narrow."""
    changed = {"link_width": 16, "link_width_max": 16, "parents": BEHIND, **fields}
    return host(*SWITCH, function("0000:03:00.0", "1002:744c", **changed), *more)


THIRD = DesiredState(("0000:03:00",))


def processor_gpu(on: bool, words: str, ids: str = "8086:3e92", **fields: Any) -> Host:
    """A GPU of the processor in no group, beside a function that is in one."""
    gpu = {"class_code": "030000", "parents": (), "iommu_group": None, **fields}
    return host(
        function("0000:00:02.0", ids, **gpu),
        function(GPU),
        groups_predicted=not on,
        iommu=Iommu("vt-d", on=on),
        boot=boot(command_line="ro", next_command_line=words),
    )


PROCESSOR = DesiredState(("0000:00:02",))
MODEL_CASES = [
    Case("WC161", "left out", processor_gpu(True, "intel_iommu=on,igfx_off"), [ERROR],
         "is in no IOMMU group although the IOMMU is on: vfio-pci cannot bind it (error -22). "
         "intel_iommu=igfx_off", PROCESSOR),
    Case("WC161", "in no group", processor_gpu(True, "intel_iommu=on"), [ERROR], "-22", PROCESSOR),
    Case("WC161", "to be left out", processor_gpu(False, "intel_iommu=igfx_off"), [ERROR],
         "will be in no IOMMU group", PROCESSOR),
    Case("WC161", "not known yet", processor_gpu(False, "intel_iommu=on"), desired=PROCESSOR),
    Case("WC161", "igfx_off and another maker's", processor_gpu(False, "intel_iommu=igfx_off",
         "1002:1638"), desired=PROCESSOR),
    Case("WC167", "QAT", host(function(GPU, "8086:37c8", class_code="0b4000")), [ERROR],
         "does not bind"),
    Case("WC167", "allowed", host(function(GPU, "8086:37c8", class_code="0b4000"),
         boot=boot(command_line="vfio_pci.disable_denylist=1"))),
    Case("WC167", "a newer QAT", host(function(GPU, "8086:4940", class_code="0b4000"))),
    Case("WC106", "boot display", one(boot_vga=True), [WARNING], "the host loses its console"),
    Case("WC106", "a console on the screen", host(function(GPU, boot_vga=True),
         boot=boot(command_line="console=tty1 console=tty0")), [WARNING]),
    Case("WC106", "a serial console", host(function(GPU, boot_vga=True),
         boot=boot(command_line="console=tty0 console=ttyS0,115200n8")), [NOTE],
         "its console on ttyS0 remains"),
    Case("WC106", "another display", one(boot_vga=False)),
    Case("WC122", "the card's own switch", behind_switch(), [WARNING],
         "that of the card's own switch, 0000:01:00.0", THIRD),
    Case("WC122", "inside the card", behind_switch(link_width=1, link_width_max=1), [WARNING],
         "has 4 of 16 lanes", THIRD),
    Case("WC122", "a switch of the board", host(
        *SWITCH, function("0000:03:00.0", link_width=16, link_width_max=16, parents=BEHIND)),
        desired=THIRD),
    Case("WC122", "a switch that two cards share", behind_switch(
        function("0000:04:00.0", "1002:744c", parents=BEHIND)), desired=THIRD),
    Case("WC122", "a card of eight lanes", host(
        function(GPU, "10de:25b6", link_width=8, link_width_max=16))),
    Case("WC122", "fewer than its eight", host(
        function(GPU, "10de:25b6", link_width=4, link_width_max=16)), [WARNING], "4 of 8 lanes"),
    Case("WC122", "a cable", one(link_width=4, link_width_max=16, removable=True)),
    Case("WC165", "MI300X", host(function(GPU, "1002:74a1", class_code="120000")), [WARNING],
         "Only a reboot of the host"),
    Case("WC165", "Navi 10", host(function(GPU, "1002:7312")), [WARNING], "next server"),
    Case("WC165", "Navi 10 with vendor-reset", host(
        function(GPU, "1002:7312", reset_methods=("device_specific", "bus")))),
    Case("WC165", "another", one()),
    *(
        Case("WC118", ids, host(function(GPU, ids, class_code="030000")), [ERROR], "the board's")
        for ids in ("1d0f:1111", "1002:515e", "1002:515f", "1002:4752", "1ab8:4005")
    ),
    Case("WC118", "by the kernel's driver for it", host(
        function(GPU, "abcd:0001", class_code="030000", modules=("hibmc_drm",))), [ERROR]),
    Case("WC118", "a GPU of AMD's", host(function(GPU, "1002:744c", class_code="030000"))),
]  # fmt: skip


_SWITCHES = tuple(
    function(f"0000:{bus:02x}:00.0", "10de:22a3", class_code="068000", driver="nvidia-nvswitch",
             iommu_group=114)
    for bus in (0x55, 0x56)
)  # fmt: skip


def board(*switches: Function, **fields: Any) -> Host:
    """Two GPUs, and NVSwitches."""
    return host(*(function(f"0000:0{bus}:00.0", **fields) for bus in (1, 2)), *switches)


def managed(text: str, *foreign: FileText, files: tuple[FileText, ...] = ()) -> Host:
    """The board on a host with Fabric Manager's file."""
    settings = Settings(files, (FileText(FABRIC_MANAGER, text), *foreign))
    return dataclasses.replace(board(*_SWITCHES), settings=settings)


_ALL = DesiredState(slots(2).cards, companions=("0000:55:00.0", "0000:56:00.0"))
BOARD_CASES = [
    Case("WC180", "all GPUs", board(*_SWITCHES), [WARNING], "2 of the 2 GPUs", slots(2)),
    Case("WC180", "one GPU", board(*_SWITCHES), [WARNING], "(0000:55:00.0, 0000:56:00.0) stay"),
    Case("WC180", "some switches", board(*_SWITCHES), [WARNING], "stay with the host",
        DesiredState(slots(2).cards, companions=_ALL.companions[:1])),
    Case("WC180", "all switches, one GPU", board(*_SWITCHES), [WARNING], "the other GPUs stay",
        DesiredState(slots(1).cards, companions=_ALL.companions)),
    Case("WC180", "the whole board", board(*_SWITCHES), [NOTE], "whole board is selected", _ALL),
    Case("WC180", "hidden switches", board(ids="10de:2901"), [WARNING], "not PCI devices"),
    Case("WC180", "no switches", board(), desired=slots(2)),
    Case("WC180", "a card beside the board", board(*_SWITCHES, class_code="030000")),
    Case("WC180", "an nForce bridge",
        board(function("0000:00:0a.0", "10de:0057", class_code="068000"))),
    Case("WC181", "the default mode", managed("# FABRIC_MODE=1\n"), [ERROR], "FABRIC_MODE=0"),
    Case("WC181", "vGPU", managed("FABRIC_MODE=1\nFABRIC_MODE = 2\n"), [ERROR], "FABRIC_MODE=2"),
    Case("WC181", "shared", managed("FABRIC_MODE=1\n")),
    Case("WC181", "no Fabric Manager", board(*_SWITCHES)),
    Case("WC181", "the whole board", managed("FABRIC_MODE=0\n"), desired=_ALL),
    Case("WC182", "no hook", managed("FABRIC_MODE=1\n"), [WARNING], "nothing activates"),
    Case("WC182", "ours", managed("FABRIC_MODE=1\n", files=(FileText(NVSWITCH_HOOK, "#!"),))),
    Case("WC182", "another", managed("FABRIC_MODE=1\n", FileText(OTHER_QEMU_HOOK, "fmpm -l"))),
    Case("WC182", "planned", managed("FABRIC_MODE=1\n"),
        desired=DesiredState(slots(1).cards, modules=("0000:01:00.0=1",))),
    Case("WC182", "another mode", managed("")),
    Case("WC180", "with Fabric Manager", managed("FABRIC_MODE=1\n")),
]  # fmt: skip


CASES = [
    *BOARD_CASES,
    *IOMMU_CASES, *BINDING_CASES, *KERNEL_CASES, *DISPLAY_CASES, *FUNCTION_CASES, *MEMORY_CASES,
    *GROUP_CASES, *MODEL_CASES,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case.rule} {case.name}" for case in CASES])
def test_rule(case: Case) -> None:
    """The rule gives the findings of its case and no others."""
    cards = [card for card in case.host.cards if card.slot in case.desired.cards]
    assert len(cards) == len(case.desired.cards)
    findings = [
        each for each in check(case.host, cards, desired=case.desired) if each.rule == case.rule
    ]
    assert [each.severity for each in findings] == list(case.severities)
    assert case.says in " ".join(each.message for each in findings)


def test_each_rule_fires_and_keeps_still() -> None:
    """The table has for each of the rules from WC112 on a case that fires and one that does not."""
    rules = {case.rule for case in CASES}
    assert rules >= {f"WC{number}" for number in range(112, 136)}
    assert {case.rule for case in CASES if case.severities} == rules
    assert {case.rule for case in CASES if not case.severities} == rules


def test_good_host_is_still() -> None:
    """A host in order has no findings at all, not even notes."""
    good = one(reset_methods=("flr",), numa_node=0)
    assert check(good, good.cards, desired=DesiredState(("0000:01:00",))) == []


def test_unknown_facts_are_still() -> None:
    """A function of which nothing but its ids and driver is known gives no finding of its own."""
    bare = host(
        Function(Address.parse(GPU), "10de", "2330", class_code="030200", driver="vfio-pci"),
        memory=Memory(),
        cpu=Cpu(),
        boot=boot(release="", command_line=""),
    )
    assert check(bare, bare.cards) == []


@pytest.mark.parametrize(
    ("release", "name", "argument"),
    [
        ("5.10.0-32-amd64", "efifb", "video=efifb:off"),
        ("5.10.0-32-amd64", "simplefb", "initcall_blacklist=sysfb_init"),
        ("5.15.0-91-generic", "efifb", "initcall_blacklist=sysfb_init"),
        ("6.12.1-amd64", "BOOTFB", "initcall_blacklist=sysfb_init"),
    ],
)
def test_framebuffer_argument(release: str, name: str, argument: str) -> None:
    """WC112 gives the argument that this kernel listens to, on a line of its own."""
    held = host(
        function(GPU, class_code="030000"),
        boot=boot(release=release),
        framebuffers=(Framebuffer(name, GPU),),
    )
    (finding,) = (each for each in check(held, held.cards) if each.rule == "WC112")
    assert finding.fix.splitlines()[-1] == f"  {argument}"


@pytest.mark.parametrize(("count", "bits"), [(1, 41), (2, 42), (4, 43), (8, 44)])
def test_address_bits(count: int, bits: int) -> None:
    """WC123 names the bits whose eighth holds the window: H100 by H100 one more each doubling."""
    many = h100s(count)
    (finding,) = (each for each in check(many, many.cards) if each.rule == "WC123")
    assert f"--property hw:maxphysaddr_bits={bits}" in finding.fix


@pytest.mark.parametrize(
    ("distribution", "like", "package"),
    [
        ("debian 13", "", "apt install linux-image-amd64"),
        ("ubuntu 24.04", "debian", "apt install linux-modules-extra-6.12.1-amd64"),
        ("rocky 9.5", "rhel centos fedora", "dnf install kernel-modules-6.12.1-amd64"),
        ("opensuse-leap 15.6", "suse opensuse", "zypper install kernel-default"),
        ("gentoo", "", "CONFIG_VFIO_PCI"),
    ],
)
def test_missing_package(distribution: str, like: str, package: str) -> None:
    """WC116 names the package of this distribution that has vfio-pci."""
    lacking = boot(missing=("vfio_pci",), distribution=distribution, like=like)
    (finding,) = (
        each
        for each in check(host(function(GPU, driver=None), boot=lacking), ())
        if each.rule == "WC116"
    )
    assert package in finding.fix


def test_early_driver_is_ordered() -> None:
    """WC108 does not fire where a softdep loads vfio-pci before the driver in the initramfs."""
    early = foreign("/etc/initramfs-tools/modules", "nvidia\n")
    ordered = foreign("/etc/modprobe.d/x.conf", "softdep nvidia pre: vfio-pci\n")
    both = type(early)(foreign=(*early.foreign, *ordered.foreign))
    card = function(GPU, driver=None, modules=("nvidia",))
    rules = [each.rule for each in check(host(card, settings=both), host(card).cards)]
    assert "WC108" not in rules


def test_reboot_waits() -> None:
    """WC101 says to reboot where the next boot has the arguments already."""
    waiting = host(
        function(GPU),
        iommu=Iommu("vt-d", on=False),
        boot=boot(next_command_line="ro intel_iommu=on iommu=pt"),
    )
    (finding,) = (each for each in check(waiting, ()) if each.rule == "WC101")
    assert finding.fix.endswith("systemctl reboot")


def test_notes_do_not_fail() -> None:
    """A host with notes alone exits 0."""
    noted = host(function(GPU), boot=boot(secure_boot=True, builtin=("vfio_pci",)))
    findings = check(noted, noted.cards)
    assert [each.rule for each in findings] == ["WC117", "WC128"]
    assert exit_status(findings) == 0


@pytest.mark.parametrize(("driver", "parks"), [("igb", True), ("vmd", False)])
def test_parking(driver: str, parks: bool) -> None:
    """WC104 names --park where the host can do without the function, and not where it cannot."""
    companion = function("0000:05:00.0", "8086:1533", iommu_group=1, class_code="020000",
                         driver=driver)  # fmt: skip
    whole = host(function(GPU), companion)
    used = dataclasses.replace(whole, uses=(KernelUse("0000:05:00.0", "network", "eth0"),))
    for each, wanted in ((whole, parks), (used, False)):
        fixes = [f.fix for f in check(each, each.cards) if f.rule == "WC104"]
        assert ["--park 0000:05:00.0" in fix for fix in fixes] == [wanted]


def test_one_cause_of_ids() -> None:
    """WC114 is one finding for ids that this boot and the next have on their command lines."""
    line = "ro vfio-pci.ids=10de:2330"
    both = host(*TWINS, boot=boot(command_line=line, next_command_line=line))
    (finding,) = (f for f in check(both, both.cards[:1]) if f.rule == "WC114")
    sources = "(the kernel's command line and the next boot's command line)"
    assert sources in finding.message


@pytest.mark.parametrize("kind", ["bootc", "transactional-update"])
def test_no_apply_on_images(kind: str) -> None:
    """No fix on a system from an image names `apply`, which is refused there."""
    named = set()
    for case in CASES:
        image = dataclasses.replace(
            case.host, boot=dataclasses.replace(case.host.boot, image_based=kind)
        )
        cards = tuple(card for card in image.cards if card.slot in case.desired.cards)
        for finding in check(image, cards, desired=case.desired):
            if "apply" in finding.fix.lower():
                raise AssertionError(f"{case.name}: {finding.fix}")
            if "plan --for-image" in finding.fix:
                named.add(finding.rule)
    assert named >= {"WC101", "WC103", "WC108", "WC114", "WC115", "WC126", "WC134"}
