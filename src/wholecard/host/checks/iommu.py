"""The IOMMU: on or off, now and at the next boot, and interrupt remapping. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Finding, Severity
from wholecard.host.checks.how_to_apply import who_adds
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import is_true, kernel_arguments, module_options
from wholecard.host.kernel_args.command_line import ARGUMENTS

# linux: Documentation/ABI/stable/sysfs-hypervisor-xen.
_XEN = "xen"
_UNSAFE = "vfio_iommu_type1.allow_unsafe_interrupts"

# linux: Documentation/admin-guide/kernel-parameters.txt, intel_iommu and amd_iommu.
_MAKERS = {
    "vt-d": ("Intel VT-d", "intel_iommu"),
    "amd-vi": ("AMD-Vi", "amd_iommu"),
    "smmu": ("an arm64 SMMU", ""),
}
# The values that Linux 6.18 knows: drivers/iommu/intel/iommu.c, intel_iommu_setup, and drivers/
# iommu/amd/init.c, parse_amd_iommu_options. `on` is none of AMD's, whose IOMMU is on by itself.
_VALUES = {
    "intel_iommu": frozenset(
        {"on", "off", "igfx_off", "forcedac", "strict", "sp_off", "sm_on", "sm_off",
         "tboot_noforce", "nobounce"}
    ),
    "amd_iommu": frozenset(
        {"off", "fullflush", "force_enable", "force_isolation", "pgtbl_v1", "pgtbl_v2",
         "irtcachedis", "nohugepages", "v2_pgsizes_only"}
    ),
}  # fmt: skip
# By the processor's vendor_id: the IOMMU, its ACPI table, and how firmware setups name the switch.
_AMD = ("AMD-Vi", "IVRS", "AMD-Vi (also called IOMMU)")
_OFFERED = {
    "GenuineIntel": ("VT-d", "DMAR", "VT-d (also called VT for Directed I/O)"),
    "AuthenticAMD": _AMD,
    "HygonGenuine": _AMD,
}
_OFF = {
    "vt-d": frozenset({("intel_iommu", "off"), ("iommu", "off")}),
    "amd-vi": frozenset({("amd_iommu", "off"), ("iommu", "off")}),
}


def check_hypervisor(host: Host) -> list[Finding]:
    """WC166: under Xen the hypervisor has the IOMMU, and the kernel's VFIO has none to use."""
    if host.boot.hypervisor != _XEN:
        return []
    return [
        Finding(
            "WC166",
            "Xen",
            Severity.ERROR,
            "This kernel runs under Xen, which controls the IOMMU. So VFIO cannot give cards to "
            "guests here, and nova with KVM needs VFIO. Xen gives cards with xen-pciback.",
            "Boot the same system without Xen (KVM), or use Xen's own tools (xl "
            "pci-assignable-add).",
        )
    ]


def check_iommu(host: Host) -> list[Finding]:
    """WC101 and WC102: the IOMMU and its interrupt remapping; WC166 where Xen has it."""
    iommu = host.iommu
    if host.boot.hypervisor == _XEN:
        return check_hypervisor(host)
    if not iommu.on:
        return [_no_iommu(host)]
    if iommu.interrupt_remapping is not False:
        return []
    x86_fix = (
        "Switch on x2APIC or interrupt remapping in the firmware setup, and remove intremap=off "
        "from the kernel's command line."
    )
    fix = "The platform must isolate interrupts: on arm64 a GICv3 with ITS (dmesg | grep ITS)."
    return [
        Finding(
            "WC102",
            "IOMMU",
            Severity.WARNING,
            "The kernel's log shows no interrupt remapping; VFIO then refuses passthrough.",
            x86_fix if host.cpu.is_x86 else fix,
        )
    ]


def _no_iommu(host: Host) -> Finding:
    message = "The firmware has an IOMMU, but the kernel does not use it."
    arguments = "intel_iommu=on iommu=pt" if host.iommu.kind == "vt-d" else "iommu=pt"
    next_line = host.boot.next_command_line
    if host.iommu.kind not in ARGUMENTS:
        message, fix = no_iommu_text(host)
    elif next_line is not None and set(arguments.split()) <= set(next_line.split()):
        fix = f"Reboot: the next boot has {arguments} on its command line.\n  systemctl reboot"
    else:
        fix = f"Boot with {arguments} on the kernel's command line; {who_adds(host)}."
    return Finding("WC101", "IOMMU", Severity.ERROR, message, fix)


def no_iommu_text(host: Host) -> tuple[str, str]:
    """What is missing, and what to do, where no argument of ours switches the IOMMU on."""
    if host.iommu.kind == "smmu":
        return (
            "The firmware describes an arm64 platform (ACPI table IORT), but the kernel uses no "
            "SMMU.",
            "Switch on the SMMU (IOMMU) in the firmware setup, and see dmesg | grep -i smmu. No "
            "kernel argument is needed for it.",
        )
    if host.cpu.architecture == "arm64":
        return (
            "The kernel uses no SMMU, and the firmware describes none (no ACPI table IORT).",
            "Switch on the SMMU (IOMMU) in the firmware setup. On small boards no SMMU covers "
            "the PCI Express slots: their cards cannot be given to guests.",
        )
    if host.cpu.architecture == "power":
        return (
            "The kernel shows no IOMMU groups.",
            "POWER gives cards to guests on PowerNV (OPAL firmware), not inside a partition; see "
            "dmesg | grep -i iommu.",
        )
    if host.iommu.acpi and host.cpu.vendor in _OFFERED:
        name, table, setting = _OFFERED[host.cpu.vendor]
        return (
            f"The firmware offers no IOMMU: among its ACPI tables is no {table}. {name} is "
            "switched off in the firmware setup, or this machine has none.",
            f"Switch on {setting} in the firmware setup, and reboot. A virtual machine gets one "
            "from its hypervisor.",
        )
    return (
        "The firmware announces no IOMMU (no ACPI table DMAR or IVRS).",
        "Switch on VT-d (Intel) or AMD-Vi / IOMMU (AMD) in the firmware setup.",
    )


def check_next_boot(host: Host) -> list[Finding]:
    """WC134: the IOMMU is on, and the loader's settings switch it off at the next boot."""
    next_line, kind = host.boot.next_command_line, host.iommu.kind
    if not host.iommu.on or kind is None or next_line is None:
        return []
    at_next, now = set(kernel_arguments(next_line)), set(kernel_arguments(host.boot.command_line))
    off = _switched_off(kind, at_next)
    if off:
        return [_off_at_next_boot(host, Severity.ERROR, f"have {off}")]
    if kind == "vt-d" and _is_on(now) and not _is_on(at_next):
        # Whether it is on without the argument depends on the kernel's INTEL_IOMMU_DEFAULT_ON.
        lacking = "lack the intel_iommu=on that this boot had"
        return [_off_at_next_boot(host, Severity.WARNING, lacking)]
    return []


def _switched_off(kind: str, arguments: set[tuple[str, str]]) -> str:
    """The arguments that switch the IOMMU off, as words; a value may be a list (`pt,off`)."""
    return " ".join(
        f"{name}={value}"
        for name, value in sorted(arguments)
        if any((name, part) in _OFF.get(kind, ()) for part in value.split(","))
    )


def _off_at_next_boot(host: Host, severity: Severity, what: str) -> Finding:
    instead = who_adds(host) if host.boot.is_from_image else "or let apply do it"
    return Finding(
        "WC134",
        "IOMMU",
        severity,
        f"The IOMMU is on now, but the boot loader's settings for the next boot {what}.",
        f"Correct the argument in the boot loader's settings, {instead}, before the host is "
        "rebooted.",
    )


def _is_on(arguments: set[tuple[str, str]]) -> bool:
    return any(name == "intel_iommu" and "on" in value.split(",") for name, value in arguments)


def check_iommu_arguments(host: Host) -> list[Finding]:
    """WC133: arguments of another maker's IOMMU, and values that its own argument does not have."""
    if host.iommu.kind not in _MAKERS:
        return []
    maker, own = _MAKERS[host.iommu.kind]
    idle = [*_idle_arguments(host, own)]
    if not idle:
        return []
    return [
        Finding(
            "WC133",
            "IOMMU",
            Severity.NOTE,
            f"{' '.join(idle)} on the command line does nothing: this host has {maker}.",
            "You can remove it; it does no harm. To switch off translation for the host's own "
            f"transfers, use {'iommu=pt' if host.cpu.is_x86 else 'iommu.passthrough=1'}.",
        )
    ]


def _idle_arguments(host: Host, own: str) -> Iterator[str]:
    """The IOMMU arguments without effect on this host; `own` is the argument of its maker."""
    for name, value in kernel_arguments(host.boot.command_line):
        values = {part for part in value.split(",") if part}
        is_x86s = name in _VALUES or (name == "iommu" and not host.cpu.is_x86)
        unknown = values - _VALUES.get(name, frozenset())
        if is_x86s and (name != own or (unknown and unknown == values)):
            yield f"{name}={value}"


def check_unsafe_interrupts(host: Host) -> list[Finding]:
    """WC129: VFIO is allowed to work without interrupt remapping."""
    sources = list(_unsafe_sources(host))
    if not sources:
        return []
    remapping = {
        True: "Interrupt remapping works on this host, so the option is not needed",
        False: "This host has no interrupt remapping",
        None: "The option takes effect if interrupt remapping is missing",
    }[host.iommu.interrupt_remapping]
    return [
        Finding(
            "WC129",
            "vfio_iommu_type1",
            Severity.WARNING,
            f"allow_unsafe_interrupts is set ({', '.join(sources)}): a guest with a card may then "
            f"send any interrupt to the host. {remapping}.",
            "Remove it, switch on interrupt remapping (x2APIC) in the firmware setup if it is off, "
            "and reboot.",
        )
    ]


def _unsafe_sources(host: Host) -> Iterator[str]:
    lines = {
        "/proc/cmdline": host.boot.command_line,
        "the next boot's command line": host.boot.next_command_line or "",
    }
    for source, line in lines.items():
        if any(name == _UNSAFE and is_true(value) for name, value in kernel_arguments(line)):
            yield source
    for path, name, value in module_options(host.settings, "vfio_iommu_type1"):
        if name == "allow_unsafe_interrupts" and is_true(value):
            yield path
