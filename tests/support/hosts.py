"""Hosts as records, for what is a pure function of them: nothing is read and nothing is made.

The one factory of functions and hosts. What a group of tests has in common (a cloud of eight cards,
the hosts of the rules' pages) is made from it in a file of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from wholecard.host.config_files import FileText, Settings
from wholecard.host.facts.host import Boot, Cpu, Host, Iommu, Memory
from wholecard.pci import Address, Function, IommuGroup, find_cards

GIB = 1 << 30

BOOT = Boot(
    release="6.12.1-amd64",
    command_line="root=/dev/vda1 ro intel_iommu=on iommu=pt quiet",
    boot_id="boot-one",
    loader="grub",
    initramfs="initramfs-tools",
    distribution="debian 13",
)

Groups = tuple[IommuGroup, ...]


def function(
    address: str, ids: str = "10de:2330", class_code: str = "030200", **fields: Any
) -> Function:
    """A function with these ids: an H100 without a driver, unless `fields` say otherwise."""
    vendor, device = ids.split(":")
    if isinstance(fields.get("physfn"), str):
        fields["physfn"] = Address.parse(fields["physfn"])
    return Function(
        Address.parse(address), vendor=vendor, device=device, class_code=class_code, **fields
    )


def bound(address: str, ids: str = "10de:2330", **fields: Any) -> Function:
    """A GPU on vfio-pci, alone in its group below a root port of its own."""
    at = Address.parse(address)
    defaults: dict[str, Any] = {
        "driver": "vfio-pci",
        "iommu_group": at.bus,
        "parents": (Address(at.domain, 0, at.bus & 0x1F, 0),),
    }
    return function(address, ids, **{**defaults, **fields})


def numbered(functions: Iterable[Function]) -> Groups:
    """The groups that the functions themselves name."""
    members: dict[int, list[Function]] = {}
    for member in functions:
        if member.iommu_group is not None:
            members.setdefault(member.iommu_group, []).append(member)
    return tuple(IommuGroup(number, tuple(members[number])) for number in sorted(members))


def by_slot(functions: Iterable[Function]) -> Groups:
    """A group a slot."""
    slots: dict[str, list[Function]] = {}
    for member in functions:
        slots.setdefault(member.address.slot_key, []).append(member)
    return tuple(IommuGroup(number, tuple(some)) for number, some in enumerate(slots.values(), 1))


def alone(functions: Iterable[Function]) -> Groups:
    """A group a function."""
    return tuple(IommuGroup(number, (member,)) for number, member in enumerate(functions))


def host(
    *functions: Function, group: Callable[[Iterable[Function]], Groups] = numbered, **fields: Any
) -> Host:
    """A host in order, with these functions in groups made by `group`; `fields` replace its own."""
    groups = group(functions)
    whole = Host(
        functions=functions,
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=False,
        iommu=Iommu("vt-d", on=True, interrupt_remapping=True),
        boot=BOOT,
        settings=Settings(),
        cpu=Cpu(vendor="GenuineIntel", physical_bits=46),
        memory=Memory(total=256 * GIB),
    )
    return dataclasses.replace(whole, **fields)


def boot(**fields: Any) -> Boot:
    """Debian 13's boot, changed."""
    return dataclasses.replace(BOOT, **fields)


def foreign(path: str, text: str) -> Settings:
    """Settings with one file of somebody else's."""
    return Settings(foreign=(FileText(path, text),))
