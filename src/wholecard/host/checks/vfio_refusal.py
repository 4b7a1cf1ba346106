"""What VFIO will refuse, or can only seem to isolate, said before a server is started. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Finding, Severity
from wholecard.host.checks.iommu_group import given_addresses
from wholecard.host.checks.kernel import container_modules, surely_older
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import IOMMU_TABLES, DirectMapping, Host
from wholecard.host.facts.module_parameters import (
    install_lines,
    is_true,
    kernel_arguments,
    module_options,
)
from wholecard.pci import Card, Function, IommuGroup
from wholecard.pci.known_models import VFIO_DENIES
from wholecard.pci.vfio_drivers import PCI_STUB, module_of

# linux: "iommu: Prevent RESV_DIRECT devices from blocking domains"; before, only drivers/iommu/
# intel/iommu.c, device_is_rmrr_locked, refused such devices.
_DIRECT_REFUSED = (6, 6)
_ACS_OVERRIDE = "pcie_acs_override"
# What a line of modprobe.d may start and still find in an initramfs of any kind.
_IN_INITRAMFS = frozenset({"modprobe", "sh", "echo", "true", "sleep", "driver_override"})


def check_direct(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC160: the firmware wants a function's memory mapped one to one, so VFIO refuses it."""
    given = set(given_addresses(cards, desired))
    refused = given.intersection(host.iommu.refused)
    findings = []
    for group in host.groups:
        inside = [str(f.address) for f in group.functions if str(f.address) in given]
        named = [address for address in inside if address in refused]
        mappings = _mappings(host, group)
        if inside and (group.is_direct or named or mappings):
            findings.append(_direct(host, group, named or inside, mappings))
    return findings


def _mappings(host: Host, group: IommuGroup) -> list[DirectMapping]:
    """What the firmware's tables say of a group that the kernel does not show yet.

    VFIO refuses a group as a whole: for one function of it, be it given or not.
    """
    members = {str(function.address) for function in group.functions}
    return [
        mapping
        for mapping in host.iommu.mappings or ()
        if mapping.kind == "direct" and mapping.address in members and not host.iommu.on
    ]


def _direct(
    host: Host, group: IommuGroup, addresses: list[str], mappings: list[DirectMapping]
) -> Finding:
    regions = [f"{r.first} to {r.last} " for r in group.reserved if r.kind == "direct"]
    regions += [f"{mapping.first} to {mapping.last} " for mapping in mappings]
    mapped = list(dict.fromkeys(mapping.address for mapping in mappings))
    what = f"of the addresses {regions[0]}" if regions else ""
    message = (
        f"The firmware requires a one-to-one mapping {what}for {', '.join(mapped or addresses)} "
        f"in {group.name}"
    )
    if mapped:
        message += f" (ACPI table {IOMMU_TABLES.get(host.iommu.kind or '', '')})"
    severity, effect = _direct_effect(host, addresses)
    return Finding(
        "WC160",
        addresses[0],
        severity,
        message + effect,
        "Only the firmware can change that: update it, look in its setup for an option that "
        "releases the slot (HPE: conrep, shared memory features; AMD: kernel DMA protection, "
        "pre-boot DMA protection), or ask the vendor. Until then do not select this card.",
    )


def _direct_effect(host: Host, addresses: list[str]) -> tuple[Severity, str]:
    """What this host's kernel does with such a mapping, by its log or its age."""
    said = [address for address in addresses if address in host.iommu.refused]
    if said:
        text = f": the kernel's log of this boot says that it refused {', '.join(said)}."
        return Severity.ERROR, text
    if host.iommu.kind != "vt-d" and surely_older(host.boot.release, _DIRECT_REFUSED):
        return Severity.WARNING, (
            ". Linux before 6.6 gives it to a guest, but a server whose RAM covers these "
            "addresses does not start, and later kernels refuse it."
        )
    return Severity.ERROR, ", so VFIO does not give it to any guest."


def check_groupless(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC161: the IOMMU is on, and a function to give is in no group."""
    given = set(given_addresses(cards, desired))
    functions = [function for function in host.functions if str(function.address) in given]
    groups_are_real = host.iommu.on and not host.groups_predicted
    groupless = _without_group(host, functions) if groups_are_real else _left_out(host, functions)
    return [_groupless(host, function) for function in groupless]


def _without_group(host: Host, functions: Iterable[Function]) -> Iterator[Function]:
    """The functions in none of the groups that the kernel shows."""
    grouped = {function.address for group in host.groups for function in group.functions}
    for function in functions:
        # Without any group and any link of the function nothing was read of groups at all.
        if function.address not in grouped and (host.groups or function.path):
            yield function


def _left_out(host: Host, functions: Iterable[Function]) -> list[Function]:
    """Before the IOMMU is on one case is known: the processor's GPU, if an argument excludes it."""
    line = host.boot.next_command_line or host.boot.command_line
    return [f for f in functions if _is_intel_gpu(f) and _leaves_out(line)]


def _groupless(host: Host, function: Function) -> Finding:
    lines = (host.boot.command_line, host.boot.next_command_line or "")
    if _is_intel_gpu(function) and any(_leaves_out(line) for line in lines):
        on = host.iommu.on and not host.groups_predicted
        state = f"{'is' if on else 'will be'} in no IOMMU group although the IOMMU is on"
        why = " intel_iommu=igfx_off on the kernel's command line excludes the processor's GPU."
        fix = "Remove igfx_off from intel_iommu= in the boot loader's settings, and reboot."
    else:
        why = ""
        state = "is in no IOMMU group although the IOMMU is on"
        fix = (
            "Check in the firmware setup whether the IOMMU covers this slot (VT-d for the chipset, "
            "a separate switch for the processor's GPU); see dmesg | grep -i -e iommu -e DMAR -e "
            "smmu. Until then do not select this card."
        )
    return Finding(
        "WC161",
        str(function.address),
        Severity.ERROR,
        f"{function.address} {function.ids} {state}: vfio-pci cannot bind it (error -22).{why}",
        fix,
    )


def _is_intel_gpu(function: Function) -> bool:
    """Whether it is the processor's own: on the root bus."""
    return function.is_display and function.vendor == "8086" and len(function.parents) == 0


def _leaves_out(line: str) -> bool:
    arguments = kernel_arguments(line)
    return any(
        name == "intel_iommu" and "igfx_off" in value.split(",") for name, value in arguments
    )


def check_denied(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC167: vfio-pci has the model in its list of devices by which a guest could hang the host."""
    given = set(given_addresses(cards, desired))
    line = host.boot.next_command_line or host.boot.command_line
    options = [*kernel_arguments(line)]
    options += [(f"vfio_pci.{n}", v) for _, n, v in module_options(host.settings, "vfio_pci")]
    if any(name == "vfio_pci.disable_denylist" and is_true(value) for name, value in options):
        return []
    return [
        Finding(
            "WC167",
            str(function.address),
            Severity.ERROR,
            f"{function.address} {function.ids} is in vfio-pci's list of devices that it does not "
            "bind, because a guest could hang the device or the host.",
            "Give its virtual functions to guests with their own driver, or do not select it. Set "
            "vfio_pci.disable_denylist=1 only if you trust the guests as much as the host.",
        )
        for function in host.functions
        if str(function.address) in given and function.ids in VFIO_DENIES and not function.variant
    ]


def check_loadable(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC163: something keeps modprobe or the kernel from loading a module that a binding needs."""
    needed = _needed_modules(host, set(given_addresses(cards, desired)), desired)
    findings = [
        _replaced(path, module, command)
        for path, module, command in install_lines(host.settings)
        if module in needed
    ]
    line = host.boot.next_command_line or host.boot.command_line
    for name, value in kernel_arguments(line):
        named = needed & {module_of(word) for word in value.split(",")}
        if name == "module_blacklist" and named:
            findings.append(_forbidden(", ".join(sorted(named))))
    return findings


def _needed_modules(host: Host, given: set[str], desired: DesiredState | None) -> set[str]:
    """The modules that must be loaded to bind what is selected; none if nothing is."""
    drivers = {f.guest_driver for f in host.functions if str(f.address) in given}
    if desired and desired.parked:
        drivers.add(PCI_STUB)
    if not drivers:
        return set()
    modules = {"vfio", "vfio_pci_core", *container_modules(host), *map(module_of, drivers)}
    return modules - {*host.boot.builtin}


def _replaced(path: str, module: str, command: str) -> Finding:
    words = command.replace(";", " ").replace("&", " ").split()
    programs = {word.rpartition("/")[2] for word in words if word.startswith("/")}
    loads = {"-i", "--ignore-install"} & {*words} and module in {*map(module_of, words)}
    severity, consequence = Severity.ERROR, "the module is not loaded, so nothing is bound at boot"
    if loads and programs <= _IN_INITRAMFS:
        severity, consequence = (
            Severity.WARNING,
            "the module is loaded, and the command does its other work there too",
        )
    return Finding(
        "WC163",
        path,
        severity,
        f"{path} runs a command instead of loading {module}: {command}. In the initramfs, which "
        f"has only a few programs, {consequence}.",
        "Remove the install line; binding by address does not need it.",
    )


def _forbidden(modules: str) -> Finding:
    return Finding(
        "WC163",
        modules,
        Severity.ERROR,
        f"module_blacklist= on the kernel's command line forbids {modules}, so nothing is bound.",
        "Remove it from the boot loader's settings.",
    )


def check_acs_override(host: Host) -> list[Finding]:
    """WC162: the kernel makes groups smaller than the hardware isolates."""
    lines = {
        "the kernel's command line": host.boot.command_line,
        "the next boot's command line": host.boot.next_command_line or "",
    }
    sources = [
        source
        for source, line in lines.items()
        if any(name == _ACS_OVERRIDE for name, _ in kernel_arguments(line))
    ]
    active = host.iommu.acs_override
    if not active and not sources:
        return []
    where = f"is on {' and '.join(sources)}" if sources else "is active in this kernel"
    if active is False and sources == [*lines][:1]:
        message = f"{_ACS_OVERRIDE} {where}, and this kernel does not know it."
        return [Finding("WC162", "IOMMU", Severity.NOTE, message, "Remove it: it does nothing.")]
    return [
        Finding(
            "WC162",
            "IOMMU",
            Severity.WARNING,
            f"{_ACS_OVERRIDE} {where}: it makes IOMMU groups smaller than the hardware isolates. "
            "Cards of different tenants may read and write each other's memory, and the host's.",
            f"Remove {_ACS_OVERRIDE} and reboot: the groups are then those of the hardware. Put "
            "cards that share one into other slots, switch on ACS in the firmware setup, or give "
            "them to one server.",
        )
    ]
