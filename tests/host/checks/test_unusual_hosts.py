"""Hosts that are not a plain PC or server: read from a tree, checked, planned.

Each case is the lab's node, prepared, with the files that make it unusual.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from support.nodes import APART, GROUPS_APART, RELEASE, bare, reboot
from support.tree import Leaf, grow
from wholecard.core import Finding, RefusedError, Severity, WholecardError
from wholecard.host.checks.kernel import check_modules
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, HugePages, desired_cards, resolve
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.planning.bind_now import plan_now
from wholecard.host.planning.device_bindings import bound_functions
from wholecard.host.planning.plan import plan

CARD = "0000:01:00.0"
FUNCTIONS = (CARD, "0000:01:00.1")
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
REGIONS = "sys/kernel/iommu_groups/10/reserved_regions"
MSI = "0x00000000fee00000 0x00000000feefffff msi\n"
RELAXABLE = f"0x000000003ddc6000 0x000000003dddefff direct-relaxable\n{MSI}"
DIRECT = f"0x000000003ddc6000 0x000000003dddefff direct\n{MSI}"
AMD = {"sys/firmware/acpi/tables/IVRS": "", "sys/firmware/acpi/tables/DMAR": "-> x"}
RELEASE_FILE = "proc/sys/kernel/osrelease"


VFIO_FILES = (
    "kernel/drivers/vfio/vfio.ko:\nkernel/drivers/vfio/pci/vfio-pci.ko:\n"
    "kernel/drivers/vfio/vfio_iommu_type1.ko:\nkernel/drivers/pci/pci-stub.ko:\n"
)


class Case(NamedTuple):
    """The files that make a host unusual; of one rule the severities and a part of the message."""

    rule: str
    name: str
    files: dict[str, Leaf]
    severities: tuple[Severity, ...] = ()
    says: str = ""
    refused: bool = False


def log(*messages: str, first: int = 0) -> dict[str, Leaf]:
    """The kernel's log with these messages after its first one."""
    lines = ("Linux version", "DMAR-IR: Enabled IRQ remapping in x2apic mode", *messages)
    return {"dev/kmsg": "".join(f"6,{n + first},0,-;{line}\n" for n, line in enumerate(lines))}


def command_line(words: str) -> dict[str, Leaf]:
    return {"proc/cmdline": f"root=/dev/vda1 ro intel_iommu=on iommu=pt {words}\n"}


OVERRIDE = command_line("pcie_acs_override=downstream,multifunction")

VFIO_CASES = [
    Case("WC160", "RMRR", {REGIONS: DIRECT}, (ERROR,), "0x000000003ddc6000 to", refused=True),
    Case("WC160", "a region that may be broken", {REGIONS: RELAXABLE}),
    Case("WC160", "interrupts only", {REGIONS: MSI}),
    Case("WC160", "another group's", {REGIONS.replace("10", "11"): DIRECT}),
    Case("WC160", "the log alone, on Intel", log(
        "vfio-pci 0000:01:00.1: DMAR: Device is ineligible for IOMMU domain attach due to "
        "platform RMRR requirement.  Contact your platform vendor."), (ERROR,), "01:00.1", True),
    Case("WC160", "the log, on any maker", log(
        f"vfio-pci {CARD}: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting "
        "configuring the device without a 1:1 mapping. Contact your platform vendor."),
        (ERROR,), CARD, True),
    Case("WC160", "the log of another function", log(
        "vfio-pci 0000:02:00.0: Device is ineligible for IOMMU domain attach due to platform "
        "RMRR requirement.")),
    Case("WC160", "AMD before 6.6", {
        REGIONS: DIRECT, **AMD, RELEASE_FILE: "6.1.0-38-amd64\n"}, (WARNING,), "does not start"),
    Case("WC160", "AMD since 6.6", {
        REGIONS: DIRECT, **AMD, RELEASE_FILE: "6.8.0-87-generic\n"}, (ERROR,), "not give it", True),
    Case("WC162", "active", {**OVERRIDE, **log("Warning: PCIe ACS overrides enabled; This may "
         "allow non-IOMMU protected peer-to-peer DMA")}, (WARNING,), "each other's memory"),
    Case("WC162", "a kernel without it", {**OVERRIDE, **log()}, (NOTE,), "does not know it"),
    Case("WC162", "on the command line, the log's beginning lost", {**OVERRIDE, **log(first=7)},
        (WARNING,), "each other's memory"),
    Case("WC162", "none", command_line("pci=noats")),
]  # fmt: skip

ARM = {
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n",
    "sys/firmware/acpi/tables/DMAR": "-> x",
}
SMMU: dict[str, Leaf] = {
    **ARM, "sys/firmware/acpi/tables/IORT": "", "sys/class/iommu/smmu3.0x0000000011000000/": ""
}  # fmt: skip
# The default sizes of a kernel with pages of 64 KiB.
PAGES: dict[str, Leaf] = {
    f"sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages": "0\n"
    for size in (2048, 524288, 16777216)
}
ARM_CASES = [
    Case("WC102", "an SMMU whose log says nothing", {**SMMU, **log()}),
    Case("WC102", "x86", {"dev/kmsg": "6,0,0,-;Linux version\n"},
        (WARNING,), "interrupt remapping"),
    Case("WC102", "what VFIO said", {**SMMU, **log(
        "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param")},
        (WARNING,), "interrupt remapping"),
    Case("WC133", "x86's arguments on arm64", {**SMMU, **command_line("")},
        (NOTE,), "intel_iommu=on iommu=pt on the command line does nothing"),
    Case("WC133", "its own", {**SMMU, "proc/cmdline": "root=x iommu.passthrough=1\n"}),
    Case("WC133", "a value of no IOMMU", {
        **AMD, "proc/cmdline": "root=x iommu=pt amd_iommu=pt\n"}, (NOTE,), "amd_iommu=pt on"),
    Case("WC133", "values that AMD's has", {
        **AMD, "proc/cmdline": "root=x amd_iommu=fullflush,pgtbl_v2 iommu=pt\n"}),
    Case("WC133", "a value of Intel's that is none", command_line("intel_iommu=pt"),
        (NOTE,), "intel_iommu=pt on"),
]  # fmt: skip

OTHER = "1002:5046"
BUILT_IN: dict[str, Leaf] = {
    f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/vfio/pci/vfio-pci.ko\n"
}
STUB = "pci-stub has the option ids=1002:5046"
NEW_ID = "echo 0x1002 0x5046 > /sys/bus/pci/drivers/vfio-pci/new_id"
# The card that is not selected has the same ids as the one that is.
DOORS = [
    Case("WC114", f"by {path or 'the command line'}: {text}",
         {path: text} if path else command_line(text), (ERROR,), says)
    for path, text, says in (
        ("", f"vfio-pci.ids={OTHER}", "the kernel's command line"),
        ("", f"pci-stub.ids=10de:1,{OTHER}", STUB),
        ("etc/modprobe.d/a.conf", f"options pci-stub ids={OTHER}\n", STUB),
        ("etc/modprobe.d/a.conf", f"options vfio_pci disable_vga=1 ids={OTHER}\n", "a.conf"),
        ("etc/modprobe.d/a.conf", f"install vfio-pci modprobe -i vfio-pci ids={OTHER}\n", "a.conf"),
        ("etc/initramfs-tools/modules", f"pci_stub ids={OTHER}\n", STUB),
        ("etc/initramfs-tools/modules", f"vfio-pci ids={OTHER}\n", "initramfs-tools/modules"),
        ("etc/dracut.conf.d/a.conf", f'kernel_cmdline+=" vfio-pci.ids={OTHER} "\n', "dracut.conf"),
        ("etc/rc.local", f"#!/bin/sh\n{NEW_ID}\n", "/etc/rc.local"),
        ("etc/rc.local", '#!/bin/sh\nprintf "1002:5046" >/sys/bus/pci/drivers/pci-stub/new_id\n',
         STUB),
        ("etc/systemd/system/gpu.service",
         "[Service]\nEnvironment=TOKEN=secret\n"
         "ExecStart=/bin/sh -c 'echo 1002 5046 > /sys/bus/pci/drivers/mlx5_vfio_pci/new_id'\n",
         "mlx5_vfio_pci has the option"),
    )
]  # fmt: skip
DRIVERCTL = f"etc/driverctl.d/pci-{CARD}"
DRIVERCTL_CASES = [
    Case("WC168", "the same driver", {DRIVERCTL: "vfio-pci\n"}, (NOTE,), "vfio-pci too"),
    Case("WC168", "its module's name", {DRIVERCTL: "vfio_pci\n"}, (NOTE,), "too"),
    Case("WC168", "another driver", {DRIVERCTL: "amdgpu\n"}, (ERROR,), "to amdgpu", refused=True),
    Case("WC168", "no driver", {DRIVERCTL: "none\n"}, (ERROR,), "unbinds", refused=True),
    Case("WC168", "both functions", {
        f"etc/driverctl.d/pci-{each}": "amdgpu\n" for each in FUNCTIONS}, (ERROR, ERROR),
        FUNCTIONS[1], refused=True),
    Case("WC168", "no override", {DRIVERCTL: "\n"}),
    Case("WC168", "no driver's name", {DRIVERCTL: "../../x\n"}),
    Case("WC168", "another function", {"etc/driverctl.d/pci-0000:00:04.0": "vfio-pci\n"}),
    Case("WC168", "a card that stays", {"etc/driverctl.d/pci-0000:02:00.0": "vfio-pci\n"}),
    Case("WC168", "no such function", {"etc/driverctl.d/pci-0000:77:00.0": "vfio-pci\n"}),
    Case("WC168", "another bus", {f"etc/driverctl.d/vmbus-{CARD}": "amdgpu\n"}),
    Case("WC168", "a link", {DRIVERCTL: "-> /etc/passwd"}),
]  # fmt: skip
IDS_CASES = [
    *DOORS,
    Case("WC114", "a comment", {"etc/rc.local": f"#!/bin/sh\n# {NEW_ID}\n"}),
    Case("WC114", "another driver's", {"etc/rc.local": NEW_ID.replace("vfio-pci", "nouveau")}),
    Case("WC114", "other ids", {"etc/initramfs-tools/modules": "pci_stub ids=10de:1bb0\n"}),
    *(
        Case("WC115", word, command_line(f"{word}=10de:1"), (WARNING,), says)
        for word, says in (
            ("vfio-pci-ids", "the option is vfio-pci.ids"),
            ("vfio_pci_ids", "the option is vfio-pci.ids"),
            ("vfio-pci.id", "the option is vfio-pci.ids"),
            ("vfio.ids", "the option is vfio-pci.ids"),
            ("pci-stub-ids", "the option is pci-stub.ids"),
        )
    ),
    Case("WC115", "modprobe.d", {"etc/modprobe.d/a.conf": "options vfio-pci id=10de:1\n"},
         (WARNING,), "/etc/modprobe.d/a.conf has vfio-pci.id=10de:1"),
    Case("WC115", "systemd's list", {"etc/modules": "pci_stub ids=10de:1\n"},
         (WARNING,), "passes no options on"),
    Case("WC115", "built in", {**BUILT_IN, "etc/initramfs-tools/modules": "vfio-pci ids=10de:1\n"},
         (WARNING,), "binds nothing"),
    Case("WC115", "read", command_line("vfio-pci.ids=10de:1 vfio_pci.disable_vga=1")),
]  # fmt: skip
LOADING_CASES = [
    Case("WC163", "a script", {"etc/modprobe.d/l.conf": "install vfio-pci /sbin/bind.sh\n"},
         (ERROR,), "/sbin/bind.sh", refused=True),
    Case("WC163", "never", {"etc/modprobe.d/l.conf": "install vfio_iommu_type1 /bin/false\n"},
         (ERROR,), "vfio_iommu_type1", refused=True),
    Case("WC163", "it is loaded", {"etc/modprobe.d/l.conf":
         "install vfio-pci echo vfio-pci > /sys/x/driver_override; modprobe -i vfio-pci\n"},
         (WARNING,), "its other work"),
    Case("WC163", "built in", {**BUILT_IN, "etc/modprobe.d/l.conf": "install vfio-pci /sbin/x\n"}),
    Case("WC163", "another module", {"etc/modprobe.d/l.conf": "install nouveau /bin/false\n"}),
    Case("WC163", "forbidden", {"etc/default/grub":
         'GRUB_CMDLINE_LINUX="intel_iommu=on iommu=pt module_blacklist=nouveau,vfio-pci"\n'},
         (ERROR,), "forbids vfio_pci", refused=True),
]  # fmt: skip

VIRQFD: dict[str, Leaf] = {"etc/modules-load.d/v.conf": "vfio_pci\nvfio_virqfd\n"}
EL9: dict[str, Leaf] = {RELEASE_FILE: "5.14.0-570.39.1.el9_6.x86_64\n"}
EL9_DEP = "lib/modules/5.14.0-570.39.1.el9_6.x86_64/modules.dep"
PORT = "sys/devices/pci0000:00/0000:00:02.0"
KERNEL_CASES = [
    Case("WC130", "folded by a backport", {**VIRQFD, **EL9, EL9_DEP: VFIO_FILES}, (WARNING,),
         "no module of this kernel (5.14.0-570"),
    Case("WC130", "a module of its own", {
        **VIRQFD, **EL9, EL9_DEP: f"{VFIO_FILES}kernel/drivers/vfio/vfio_virqfd.ko.xz:\n"}),
    Case("WC130", "not known, an old number", {**VIRQFD, **EL9}),
    Case("WC164", "removable", {f"{PORT}/{CARD}/removable": "removable\n"}, (WARNING,), "USB4"),
    Case("WC164", "below a port that faces outside", {f"{PORT}/external_facing": "1\n"},
         (WARNING,), "Thunderbolt"),
    Case("WC164", "fixed", {f"{PORT}/{CARD}/removable": "fixed\n"}),
    Case("WC166", "dom0", {"sys/hypervisor/type": "xen\n"}, (ERROR,), "controls the IOMMU", True),
    Case("WC166", "another", {"sys/hypervisor/type": "kvm\n"}),
]  # fmt: skip

CASES = [*VFIO_CASES, *ARM_CASES, *DRIVERCTL_CASES, *IDS_CASES, *LOADING_CASES, *KERNEL_CASES]


def unusual(root: Path, files: dict[str, Leaf]) -> Host:
    """The prepared node with these files besides."""
    grow(root, bare(APART, "on"))
    reboot(root, APART, GROUPS_APART, FUNCTIONS)
    grow(root, files)
    return inspect(root)


def findings_of(host: Host, rule: str, *addresses: str) -> list[Finding]:
    desired = resolve(host, addresses or (CARD,))
    findings = check(host, desired_cards(host, desired), desired=desired)
    return [finding for finding in findings if finding.rule == rule]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.rule} {case.name}" for case in CASES])
def test_case(tmp_path: Path, case: Case) -> None:
    """The rule says what is so, keeps still elsewhere, and refuses a plan where nothing helps."""
    host = unusual(tmp_path, case.files)
    findings = findings_of(host, case.rule)
    assert [finding.severity for finding in findings] == list(case.severities)
    assert case.says in " ".join(finding.message for finding in findings)
    if case.refused:
        with pytest.raises(RefusedError) as caught:
            plan(host, resolve(host, (CARD,)))
        assert case.rule in {finding.rule for finding in caught.value.findings}
    else:
        plan(host, resolve(host, (CARD,)))


def test_each_rule_fires_and_keeps_still() -> None:
    """Each rule of the cases has one that fires and one that does not."""
    rules = {case.rule for case in CASES}
    assert {case.rule for case in CASES if case.severities} == rules
    assert {case.rule for case in CASES if not case.severities} == rules


@pytest.mark.parametrize("case", CASES, ids=[f"{case.rule} {case.name}" for case in CASES])
def test_facts_travel(tmp_path: Path, case: Case) -> None:
    """What makes a host unusual is the same in its facts' JSON and in a snapshot."""
    host = unusual(tmp_path / "host", case.files)
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
    save(tmp_path / "host", tmp_path / "host.tar.gz")
    with open_snapshot(tmp_path / "host.tar.gz") as root:
        assert inspect(root) == host


ALIASES = f"lib/modules/{RELEASE}/modules.alias"
DEP = f"lib/modules/{RELEASE}/modules.dep"
GENERIC = "# Aliases\nalias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
MODEL = "alias vfio_pci:v00001002d00005046sv*sd*bc*sc*i* xe_vfio_pci\n"
MAKER = "alias vfio_pci:v00001002d*sv*sd*bc03sc*i* ours_vfio_pci\n"
GRACE_FILE = "kernel/drivers/vfio/pci/nvgrace-gpu/nvgrace-gpu-vfio-pci.ko.zst:\n"


def bound_by(root: Path, *, ids: str = "1002:5046", driver: str = "", **files: str) -> Host:
    """The node prepared, its first card's GPU with these ids and on `driver`."""
    devices = [
        (address, above, ids, class_code, driver, extra) if address == CARD else device
        for device in APART
        for address, above, _, class_code, _, extra in [device]
    ]
    grow(root, bare(devices, "on"))
    reboot(root, devices, GROUPS_APART, FUNCTIONS[1:])
    grow(root, {ALIASES: files.get("aliases", GENERIC)})
    grow(root, {DEP: files["dep"]} if "dep" in files else {})
    return inspect(root)


@pytest.mark.parametrize(
    ("aliases", "driver"),
    [
        (GENERIC, "vfio-pci"),
        (GENERIC + MAKER, "ours_vfio_pci"),
        # The driver's name, by which the kernel compares, is not the module's here.
        (GENERIC + MAKER + MODEL, "xe-vfio-pci"),
        (MODEL.replace("5046", "5047"), "vfio-pci"),
    ],
)
def test_variant_is_planned(tmp_path: Path, aliases: str, driver: str) -> None:
    """The function gets the variant of the kernel's most specific alias, its others vfio-pci."""
    host = bound_by(tmp_path, aliases=aliases)
    bound = bound_functions(host, resolve(host, (CARD,)))
    assert [name for _, name in bound] == [driver, "vfio-pci"]
    now = plan_now(host, (function for function, _ in bound))
    assert [action.subject for action in now] == [
        *dict.fromkeys((driver.replace("-", "_"), "vfio_iommu_type1", "vfio_pci")),
        *FUNCTIONS,
    ]


@pytest.mark.parametrize(
    ("ids", "aliases", "driver"),
    [
        ("1002:5046", MODEL, "xe-vfio-pci"),
        ("1002:5046", MODEL, "xe_vfio_pci"),
        ("1002:5046", MAKER, "ours-vfio-pci"),
        # Bound by new_id: the module has no alias for the id.
        ("15b3:101e", GENERIC, "mlx5_vfio_pci"),
        ("1e3b:1234", GENERIC, "hisi-acc-vfio-pci"),
    ],
)
def test_variant_stays(tmp_path: Path, ids: str, aliases: str, driver: str) -> None:
    """A host on its variant driver is in order, and a plan keeps the driver."""
    host = bound_by(tmp_path, ids=ids, aliases=aliases, driver=driver)
    for rule in ("WC103", "WC105", "WC108"):
        assert findings_of(host, rule) == []
    bound = bound_functions(host, resolve(host, (CARD,)))
    assert [name for _, name in bound] == [driver, "vfio-pci"]


def test_plain_driver_where_a_variant_is(tmp_path: Path) -> None:
    """WC103 names the variant for a function on vfio-pci: a warning, for most work with both."""
    (finding,) = findings_of(bound_by(tmp_path, aliases=MODEL, driver="vfio-pci"), "WC103")
    assert finding.severity is WARNING
    assert "is on vfio-pci, not on xe-vfio-pci" in finding.message


@pytest.mark.parametrize("ids", ["10de:2342", "10de:2345", "10de:2348", "10de:2941", "10de:31c2"])
def test_needed_variant(tmp_path: Path, ids: str) -> None:
    """A Grace GPU gets its driver also from a kernel whose module does not list the id yet."""
    host = bound_by(tmp_path, ids=ids, driver="vfio-pci", dep=VFIO_FILES + GRACE_FILE)
    bound = bound_functions(host, resolve(host, (CARD,)))
    assert bound[0][1] == "nvgrace_gpu_vfio_pci"
    (finding,) = findings_of(host, "WC103")
    assert finding.severity is ERROR
    assert "does not see its memory" in finding.message
    assert findings_of(host, "WC127") == []


@pytest.mark.parametrize("release", ["", "5.14.0-570.39.1.el9_6.x86_64"])
def test_missing_variant(tmp_path: Path, release: str) -> None:
    """WC127 goes by the kernel's own modules, whatever its number."""
    host = bound_by(tmp_path, ids="10de:2941", driver="vfio-pci", dep=VFIO_FILES)
    if release:
        host = dataclasses.replace(host, boot=dataclasses.replace(host.boot, release=release))
    (finding,) = findings_of(host, "WC127")
    assert "nvgrace_gpu_vfio_pci, which 0000:01:00 needs" in finding.message


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**ARM, "sys/firmware/acpi/tables/IORT": ""}, "uses no SMMU"),
        (ARM, "describes none (no ACPI table IORT)"),
        ({"proc/cpuinfo": "processor: 0\ncpu: POWER9\n\ntimebase: 512000000\n",
          "sys/firmware/acpi/tables/DMAR": "-> x"}, "no IOMMU groups"),
    ],
)  # fmt: skip
def test_no_iommu_elsewhere(tmp_path: Path, files: dict[str, Leaf], says: str) -> None:
    """Without an IOMMU nobody on arm64 or POWER is told of VT-d, nor by the plan's refusal."""
    grow(tmp_path, bare(APART))
    (tmp_path / "sys/firmware/acpi/tables/DMAR").unlink()
    host = inspect(grow(tmp_path, files))
    (finding,) = findings_of(host, "WC101")
    assert says in finding.message
    with pytest.raises(WholecardError) as caught:
        plan(host, resolve(host, (CARD,)))
    texts = f"{finding.message} {finding.fix} {caught.value}"
    assert says in texts
    assert not re.search("VT-d|AMD-Vi|x2APIC|DMAR", texts)


def test_address_width_is_of_x86(tmp_path: Path) -> None:
    """WC123 and its hw:maxphysaddr are for x86; elsewhere libvirt refuses that."""
    host = unusual(tmp_path, SMMU)
    large = dataclasses.replace(host.cards[0].functions[0], bars=(1 << 37,), bar_starts=(1 << 44,))
    card = dataclasses.replace(host.cards[0], functions=(large,))
    x86 = dataclasses.replace(host, cpu=dataclasses.replace(host.cpu, architecture="x86"))
    assert [f.rule for f in check(x86, (card,)) if f.rule == "WC123"] == ["WC123"]
    assert [f.rule for f in check(host, (card,)) if f.rule == "WC123"] == []


def test_huge_pages_of_the_kernel(tmp_path: Path) -> None:
    """WC126: a kernel with pages of 64 KiB has no huge pages of 1 GiB."""
    host = unusual(tmp_path, {**SMMU, **PAGES})
    desired = resolve(host, (CARD,), asked=DesiredState((), hugepages=(HugePages("1G", 4),)))
    cards = desired_cards(host, desired)
    (finding,) = (f for f in check(host, cards, desired=desired) if f.rule == "WC126")
    assert "no huge pages of 1G; its sizes are 2 MiB, 512 MiB, 16 GiB" in finding.message


@pytest.mark.parametrize(
    ("module", "now"), [("iommufd", "iommufd"), ("vfio_iommu_spapr_tce", "vfio_iommu_spapr_tce")]
)
def test_other_container(tmp_path: Path, module: str, now: str) -> None:
    """WC116 keeps still where iommufd, or POWER's module, is in place of vfio_iommu_type1."""
    files = f"kernel/drivers/vfio/pci/vfio-pci.ko:\nkernel/drivers/{module}.ko.xz:\n"
    host = bound_by(tmp_path, dep=files)
    lacking = bound_by(tmp_path / "lacking", dep="kernel/drivers/vfio/pci/vfio-pci.ko:\n")
    assert "vfio_iommu_type1" in host.boot.missing
    assert [f.severity for f in check_modules(dataclasses.replace(host, functions=()))] == []
    (finding,) = check_modules(dataclasses.replace(lacking, functions=()))
    assert (finding.rule, finding.severity) == ("WC116", ERROR)
    actions = plan_now(host, host.cards[1].functions[:1])
    assert now in {action.subject for action in actions}


def test_scripts_are_read_in_part(tmp_path: Path) -> None:
    """Of a unit only the lines with new_id are among the facts: the rest may have secrets."""
    host = unusual(tmp_path, DOORS[-1].files)
    (unit,) = (entry for entry in host.settings.foreign if entry.path.endswith(".service"))
    assert unit.text is not None
    assert unit.text.startswith("ExecStart=")
    assert "secret" not in json.dumps(host.to_json())


GROUPLESS = {number: members for number, members in GROUPS_APART.items() if number != 10}


def test_no_group(tmp_path: Path) -> None:
    """WC161: a function in no group while the IOMMU is on refuses the card."""
    grow(tmp_path, bare(APART, "on"))
    reboot(tmp_path, APART, GROUPLESS, ())
    host = inspect(tmp_path)
    findings = findings_of(host, "WC161")
    assert [finding.subject for finding in findings] == list(FUNCTIONS)
    assert "error -22" in findings[0].message
    with pytest.raises(RefusedError, match="cannot be bound"):
        plan(host, resolve(host, (CARD,)))
    assert findings_of(host, "WC161", "0000:02:00.0") == []
