"""`[devices] enabled_mdev_types` and the sections of its types.

Source of what nova makes of them: `wholecard.nova.match.mdevs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wholecard.core import Severity
from wholecard.core.capabilities import Capability, has
from wholecard.core.near_names import NearNames
from wholecard.core.position import Position
from wholecard.core.units import joined
from wholecard.nova.conf.conf_file import normal
from wholecard.nova.lint.diagnostic import (
    Diagnostic,
    Spot,
    cut,
    entry_diagnostic,
    file_diagnostic,
    listed,
)
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.lint.types_of_mdevs import (
    ReadType,
    ReadTypes,
    mdevs_of,
    parents_of,
    read_types,
)
from wholecard.nova.match.mdevs import VGPU, MdevTypes, is_pci_address
from wholecard.nova.options import MDEV_CLASS, OPTIONS_OF_A_TYPE, type_of_section

_OPTIONS = NearNames(option.name for option in OPTIONS_OF_A_TYPE)
_NOT_STARTED = "nova-compute does not start"
_SYSFS = "ls /sys/class/mdev_bus/*/mdev_supported_types"


def check_mdev_types(service: Service) -> Iterator[Diagnostic]:
    """What nova refuses of its types, and what it leaves out without an error."""
    read = read_types(service)
    if read is None:
        return
    for kind in read.types:
        yield from _values(kind)
    yield from _addresses(read)
    if read.nova is not None:
        yield from _unused(service, read, read.nova)
        yield from _classes(service, read, read.nova)
        for facts in service.facts:
            if facts.slices is not None:
                yield from _on_host(facts, read, read.nova)


def check_type_sections(service: Service) -> Iterator[Diagnostic]:
    """Sections of types that are not enabled, and options that such a section does not have."""
    if service.role not in (None, "compute"):
        return
    names = service.effective("enabled_mdev_types").values
    if not names and service.role is None:
        # The option may be in another file.
        return
    enabled = {name.lower() for name in names}
    near = NearNames(names)
    for file in service.conf.files:
        for header in file.headers:
            kind = type_of_section(header.section)
            if kind is None or kind.lower() in enabled:
                continue
            meant = near.near(kind)
            yield file_diagnostic(
                "WC204", file, Position(header.line, 1),
                f"nova does not read the section [{cut(header.section, 60)}]: its type is not in "
                "enabled_mdev_types",
                f"Write [mdev_{meant}]." if meant
                else f"Add {cut(kind, 60)} to [devices] enabled_mdev_types, or delete the section.",
            )  # fmt: skip
        for entry in file.entries:
            kind = type_of_section(normal(entry.section))
            if kind in enabled and entry.name not in _OPTION_NAMES:
                right = _OPTIONS.near(entry.name)
                yield entry_diagnostic(
                    "WC214", entry,
                    f"a type's section has no option {cut(entry.name, 40)}, and nova ignores it",
                    f"Write {right}." if right else f"It has {joined(sorted(_OPTION_NAMES))}.",
                    [Spot(entry).edit(right)] if right else (),
                )  # fmt: skip


_OPTION_NAMES = frozenset(option.name for option in OPTIONS_OF_A_TYPE)


def _values(kind: ReadType) -> Iterator[Diagnostic]:
    """What oslo.config refuses of a section: `wrong_type` knows only that a number is none."""
    entry = kind.resource_class
    if entry is not None and not re.fullmatch(MDEV_CLASS, entry.value):
        yield entry_diagnostic(
            "WC207", Spot(entry, 0, len(entry.value.split("\n")[0])),
            f"mdev_class must be VGPU or begin with CUSTOM_: {_NOT_STARTED}",
            "Write VGPU, or CUSTOM_ with capital letters, digits and _.",
        )  # fmt: skip
    limit = kind.limit
    if limit is not None and re.fullmatch(r"\s*[-+]?\d+\s*", limit.value) and int(limit.value) < 1:
        yield entry_diagnostic(
            "WC207", Spot(limit, 0, len(limit.value)),
            f"max_instances must be at least 1: {_NOT_STARTED}",
            "Delete the line for no limit, or remove the type from enabled_mdev_types.",
        )  # fmt: skip


def _addresses(read: ReadTypes) -> Iterator[Diagnostic]:
    """Parents in two types, and addresses that nova refuses or never finds."""
    if read.nova is not None and read.nova.is_first_alone:
        return
    owners: dict[str, ReadType] = {}
    for kind in dict.fromkeys(read.types):
        for item in kind.addresses:
            owner = owners.setdefault(item.text, kind)
            if owner is not kind or [one.text for one in kind.addresses].count(item.text) > 1:
                yield entry_diagnostic(
                    "WC264", item.spot,
                    f"{cut(item.text, 40)} is in [mdev_{cut(owner.name, 40)}] too, and a parent "
                    f"has one type in nova: {_NOT_STARTED}",
                    "Leave each parent in one section.",
                )  # fmt: skip
                return
            yield from _address(read, item.text, item.spot)


def _address(read: ReadTypes, text: str, spot: Spot) -> Iterator[Diagnostic]:
    if not is_pci_address(text):
        is_refused = read.error is not None and read.error.reason.endswith(f": {text}")
        # Without facts a name may be that of a parent without a PCI address.
        if is_refused or ":" in text:
            yield entry_diagnostic(
                "WC265", spot, f"nova reads no address in {cut(text, 40)}: {_NOT_STARTED}",
                "Write domain, bus, slot and function, as lspci -D prints them: 0000:84:00.0",
            )  # fmt: skip
    elif text != text.lower():
        yield entry_diagnostic(
            "WC265", spot,
            f"nova compares {text} letter by letter with the host's addresses, which have small "
            "letters: the type is given to no parent, and nova says nothing",
            f"Write {text.lower()}.", [spot.edit(text.lower())],
        )  # fmt: skip


def _unused(service: Service, read: ReadTypes, nova: MdevTypes) -> Iterator[Diagnostic]:
    """Types and sections that nova leaves out; it only logs a warning, or nothing."""
    for kind in dict.fromkeys(read.types):
        if kind.name not in nova.used:
            yield entry_diagnostic(
                "WC266", kind.spot,
                f"nova does not use {cut(kind.name, 40)}: {_why_unused(service, read, nova)}",
                f"Write device_addresses into [mdev_{cut(kind.name, 40)}], or remove the type."
                if has(service.major, Capability.MDEV_SECTIONS)
                else "Give each type hosts of its own.",
            )  # fmt: skip
    first = read.types[0]
    entries = [item.spot.entry for item in first.addresses[:1]]
    entries += [entry for entry in (first.resource_class,) if entry]
    is_alone = len(read.types) == 1 and not has(service.major, Capability.MDEV_LIMITS)
    if is_alone and has(service.major, Capability.MDEV_SECTIONS):
        for entry in entries:
            yield entry_diagnostic(
                "WC266", entry,
                f"nova of {service.release} reads the section of a type only where several types "
                f"are enabled: {first.name} is for all parents, in the class VGPU",
                "Delete the line, or upgrade to 2024.1.",
            )  # fmt: skip


def _why_unused(service: Service, read: ReadTypes, nova: MdevTypes) -> str:
    if not has(service.major, Capability.MDEV_SECTIONS):
        return f"{service.release} uses the first type alone"
    if nova.is_first_alone:
        without = [one.name for one in read.types if not one.addresses]
        return (
            f"because {listed([cut(name, 40) for name in without])} has no device_addresses, it "
            f"uses the first type, {nova.used[0]}, alone"
        )
    return (
        f"it has no device_addresses, and {nova.default} is for all parents that no type names "
        "already"
    )


def _classes(service: Service, read: ReadTypes, nova: MdevTypes) -> Iterator[Diagnostic]:
    """A class that nova-compute does not give its inventory, and types under one class."""
    default = read.by_name(nova.default) if nova.default else None
    entry = default.resource_class if default else None
    is_named = default is not None and default.section.resource_class != VGPU
    if default and entry and is_named and has(service.major, Capability.MDEV_LIMITS):
        yield entry_diagnostic(
            "WC268", entry,
            f"{default.name} has no device_addresses: nova reports its parents as VGPU all the "
            f"same, and looks for mediated devices of {default.section.resource_class} alone, so a "
            "server that asks for VGPU starts without its device",
            f"Write device_addresses into [mdev_{default.name}], or delete mdev_class.",
        )  # fmt: skip
    classes: dict[str, str] = {}
    for kind in dict.fromkeys(one for one in read.types if one.name in nova.used):
        named = kind.section.resource_class if kind.addresses else VGPU
        other = classes.setdefault(named, kind.name)
        if other != kind.name and has(service.major, Capability.MDEV_CLASSES):
            yield entry_diagnostic(
                "WC273", kind.resource_class or kind.spot,
                f"{cut(other, 40)} and {cut(kind.name, 40)} are both {named} in Placement: a "
                "server gets either, unless somebody gave the providers traits",
                f"Write mdev_class = CUSTOM_… into [mdev_{cut(kind.name, 40)}].",
            )  # fmt: skip


def _on_host(facts: Facts, read: ReadTypes, nova: MdevTypes) -> Iterator[Diagnostic]:
    """Types that the host does not have, and parents that max_instances removes."""
    parents, mdevs = parents_of(facts), mdevs_of(facts)
    offered = {name: None for parent in parents for name in parent.available}
    labels = {one.name: one.type_id for one in facts.slices.mdev_types} if facts.slices else {}
    for kind in dict.fromkeys(read.types):
        if kind.name not in offered:
            yield _unknown(facts, kind, list(offered), labels)
    inventories = nova.inventories(parents, mdevs)
    for name, limit in nova.limits.items():
        own = {one: row for one, row in inventories.items() if nova.type_of(one) == name}
        total = sum(row.total for row in own.values())
        dropped = [one for one, row in own.items() if not row.total]
        entry = read.by_name(name).limit
        if dropped and total < limit and entry:
            free = sum(parent.available.get(name, 0) for parent in parents if parent.name in own)
            made = sum(kind == name for _, kind in mdevs)
            yield entry_diagnostic(
                "WC267", Spot(entry, 0, len(entry.value)),
                f"max_instances = {limit} of {name} on {facts.name}, whose parents offer "
                f"{free + made}: nova does not cap them, it removes {listed(dropped)} and offers "
                f"{total}",
                f"Delete max_instances, or write {free + made}.",
                severity=None if not total else Severity.WARNING,
            )  # fmt: skip


def _unknown(
    facts: Facts, kind: ReadType, offered: list[str], labels: dict[str, str]
) -> Diagnostic:
    if offered:
        right = labels.get(kind.name) or NearNames(offered).near(kind.name, shortest=3)
        why = f"it offers {listed(offered, 8)}"
        fix = f"Write {right}." if right else f"Write a type as {_SYSFS} lists it."
    else:
        why = "no device there offers mediated devices"
        fix = (
            "Load the vendor's driver. Where VFs have a folder nvidia/ in sysfs, give the VFs by "
            "device_spec instead."
        )
    return entry_diagnostic(
        "WC269", kind.spot, f"{facts.name} has no type {cut(kind.name, 40)}: {why}", fix
    )
