"""Hosts as records, for what is a pure function of them: nothing is read and nothing is made."""

from __future__ import annotations

import dataclasses
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


def function(address: str, ids: str = "10de:2330", **fields: Any) -> Function:
    """A GPU on vfio-pci below a root port of its own, unless `fields` say otherwise."""
    vendor, device = ids.split(":")
    place = Address.parse(address)
    defaults: dict[str, Any] = {
        "class_code": "030200",
        "driver": "vfio-pci",
        "iommu_group": place.bus,
        "parents": (Address(place.domain, 0, place.bus & 0x1F, 0),),
    }
    return Function(place, vendor, device, **{**defaults, **fields})


def host(*functions: Function, **fields: Any) -> Host:
    """A host in order, with these functions and the groups that they name; `fields` replace its."""
    numbers = sorted({each.iommu_group for each in functions if each.iommu_group is not None})
    groups = tuple(
        IommuGroup(number, tuple(each for each in functions if each.iommu_group == number))
        for number in numbers
    )
    made = Host(
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
    return dataclasses.replace(made, **fields)


def boot(**fields: Any) -> Boot:
    """Debian 13's boot, changed."""
    return dataclasses.replace(BOOT, **fields)


def foreign(path: str, text: str) -> Settings:
    """Settings with one file of somebody else's."""
    return Settings(foreign=(FileText(path, text),))
