"""The IOMMU: on or off, now and at the next boot, and interrupt remapping. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Finding, Severity
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import is_true, kernel_arguments, module_options

_UNSAFE = "vfio_iommu_type1.allow_unsafe_interrupts"

# linux: Documentation/admin-guide/kernel-parameters.txt, intel_iommu and amd_iommu.
_OWN_ARGUMENT = {"vt-d": "intel_iommu", "amd-vi": "amd_iommu"}
_OFF = {
    "vt-d": frozenset({("intel_iommu", "off"), ("iommu", "off")}),
    "amd-vi": frozenset({("amd_iommu", "off"), ("iommu", "off")}),
}


def check_iommu(host: Host) -> list[Finding]:
    """WC101 and WC102: the IOMMU and its interrupt remapping."""
    iommu = host.iommu
    if not iommu.on:
        return [_no_iommu(host)]
    if iommu.interrupt_remapping is False:
        return [
            Finding(
                "WC102",
                "IOMMU",
                Severity.WARNING,
                "The kernel's log shows no interrupt remapping; VFIO then refuses passthrough.",
                "Switch on x2APIC or interrupt remapping in the firmware setup, and remove "
                "intremap=off from the kernel's command line.",
            )
        ]
    return []


def _no_iommu(host: Host) -> Finding:
    message = "The firmware has an IOMMU, but the kernel does not use it."
    arguments = "intel_iommu=on iommu=pt" if host.iommu.kind == "vt-d" else "iommu=pt"
    next_line = host.boot.next_command_line
    if host.iommu.kind is None:
        message = "The firmware announces no IOMMU (no ACPI table DMAR or IVRS)."
        fix = "Switch on VT-d (Intel) or AMD-Vi / IOMMU (AMD) in the firmware setup."
    elif next_line is not None and set(arguments.split()) <= set(next_line.split()):
        fix = f"Reboot: the next boot has {arguments} on its command line.\n  systemctl reboot"
    else:
        fix = f"Boot with {arguments} on the kernel's command line; apply adds it."
    return Finding("WC101", "IOMMU", Severity.ERROR, message, fix)


def check_next_boot(host: Host) -> list[Finding]:
    """WC134: the IOMMU is on, and the loader's settings switch it off at the next boot."""
    next_line, kind = host.boot.next_command_line, host.iommu.kind
    if not host.iommu.on or kind is None or next_line is None:
        return []
    at_next, now = set(kernel_arguments(next_line)), set(kernel_arguments(host.boot.command_line))
    off = _switched_off(kind, at_next)
    if off:
        return [_off_at_next_boot(Severity.ERROR, f"have {off}")]
    if kind == "vt-d" and _is_on(now) and not _is_on(at_next):
        # Whether it is on without the argument depends on the kernel's INTEL_IOMMU_DEFAULT_ON.
        lacking = "lack the intel_iommu=on that this boot had"
        return [_off_at_next_boot(Severity.WARNING, lacking)]
    return []


def _switched_off(kind: str, arguments: set[tuple[str, str]]) -> str:
    """The arguments that switch the IOMMU off, as words; a value may be a list (`pt,off`)."""
    return " ".join(
        f"{name}={value}"
        for name, value in sorted(arguments)
        if any((name, part) in _OFF[kind] for part in value.split(","))
    )


def _off_at_next_boot(severity: Severity, what: str) -> Finding:
    return Finding(
        "WC134",
        "IOMMU",
        severity,
        f"The IOMMU is on now, but the boot loader's settings for the next boot {what}.",
        "Correct the argument in the boot loader's settings, or let apply do it, before the host "
        "is rebooted.",
    )


def _is_on(arguments: set[tuple[str, str]]) -> bool:
    return any(name == "intel_iommu" and "on" in value.split(",") for name, value in arguments)


def check_iommu_arguments(host: Host) -> list[Finding]:
    """WC133: arguments of the other maker's IOMMU, and amd_iommu=on, which is not a value of it."""
    own = _OWN_ARGUMENT.get(host.iommu.kind or "")
    if own is None:
        return []
    idle = [
        f"{name}={value}"
        for name, value in kernel_arguments(host.boot.command_line)
        if name in _OWN_ARGUMENT.values() and (name != own or (name, value) == ("amd_iommu", "on"))
    ]
    if not idle:
        return []
    maker = "Intel VT-d" if own == "intel_iommu" else "AMD-Vi"
    return [
        Finding(
            "WC133",
            "IOMMU",
            Severity.NOTE,
            f"{' '.join(idle)} on the command line does nothing: this host has {maker}.",
            "You can remove it; it does no harm.",
        )
    ]


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
