"""Which type and resource class nova gives a parent of mediated devices, and how many it offers.

Source: nova/virt/libvirt/driver.py, `_get_supported_vgpu_types`, `_get_vgpu_type_per_pgpu`,
`_get_resource_class_for_device`, `_get_gpu_inventories`; `tests/differential/mdevs.py` compares it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wholecard.core.capabilities import Capability, has
from wholecard.nova.match.errors import MdevError

VGPU = "VGPU"
# nova/pci/utils.py, `_PCI_ADDRESS_PATTERN`: any character is taken for the dot.
_ADDRESS = re.compile(r"[\da-fA-F]{4}:[\da-fA-F]{2}:[\da-fA-F]{2}.[0-7]")
# libvirt lists this sample alone among the parents without a PCI address (virnodedev).
_VIRTUAL = {"mtty": "mtty_mtty"}


@dataclass(frozen=True)
class TypeSection:
    """`[mdev_TYPE]`: the parents' addresses, the class, the most devices (None for any number)."""

    addresses: tuple[str, ...] = ()
    resource_class: str = VGPU
    limit: int | None = None


@dataclass(frozen=True)
class MdevParent:
    """A parent, by its name in nova's files, and how many more devices of each type it can have."""

    name: str
    available: Mapping[str, int]


@dataclass(frozen=True)
class MdevInventory:
    """What Placement is told of a parent. With `total` 0 nova removes its provider."""

    resource_class: str
    total: int


@dataclass(frozen=True)
class MdevTypes:
    """What nova-compute makes of its types: which are used, and for which parents.

    `of_parent` and `classes` are for parents that are named, `default` for all others.
    `counted` are the classes in which nova-compute finds a server's mediated devices: of an
    allocation in another class it makes none. `is_first_alone` is that the first type is used for
    everything, as older releases do.
    """

    used: tuple[str, ...] = ()
    of_parent: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    counted: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict)
    is_first_alone: bool = False

    def type_of(self, parent: str) -> str | None:
        """The type of a parent's mediated devices, None where nova offers none of it.

        A parent without a PCI address has no default where several types are possible (2024.1):
        its type has to name it.
        """
        named = self.of_parent.get(parent)
        return named or (self.default if self.is_first_alone or is_pci_address(parent) else None)

    def class_of(self, parent: str) -> str:
        """The class of a parent's inventory: a default type's own class does not count."""
        return self.classes.get(parent, VGPU)

    def inventories(
        self, parents: Sequence[MdevParent], mdevs: Iterable[tuple[str, str]]
    ) -> dict[str, MdevInventory]:
        """What nova reports of each parent, in libvirt's order of the parents.

        `mdevs` are the parent and type of each mediated device that exists, used or not.
        """
        totals: dict[str, int] = {}
        of_type: dict[str | None, int] = {}
        for parent, kind in mdevs:
            if kind in self.used and kind == self.type_of(parent):
                totals[parent] = totals.get(parent, 0) + 1
                of_type[kind] = of_type.get(kind, 0) + 1
        for one in parents:
            wanted = self.type_of(one.name)
            if wanted is None or wanted not in self.used or wanted not in one.available:
                continue
            free, limit = one.available[wanted], self.limits.get(wanted)
            if limit and of_type.get(wanted, 0) + free > limit:
                # Not capped: nova gives up the parent, and what it had.
                totals[one.name] = 0
                continue
            of_type[wanted] = of_type.get(wanted, 0) + free
            totals[one.name] = totals.get(one.name, 0) + free
        return {name: MdevInventory(self.class_of(name), total) for name, total in totals.items()}


def is_pci_address(text: str) -> bool:
    """Whether nova takes a parent's address for that of a PCI function."""
    return _ADDRESS.fullmatch(text) is not None


def nova_parent(name: str) -> str:
    """A parent's name in sysfs (`0000:84:00.0`, `mtty`) as nova's files have it."""
    return _VIRTUAL.get(name, name)


def libvirt_name(parent: str) -> str:
    """A parent as libvirt and its provider in Placement name it: `pci_0000_84_00_0`."""
    return re.sub(r"[:.]", "_", f"pci_{parent}") if is_pci_address(parent) else parent


def mdev_types(
    major: int,
    enabled: Sequence[str],
    sections: Mapping[str, TypeSection],
    virtual: Collection[str] | None = None,
) -> MdevTypes:
    """What nova of that major version makes of its enabled types and their sections.

    `virtual` are the host's parents without a PCI address, None where they are not known. Raises
    MdevError where nova-compute does not start.
    """
    if not enabled:
        return MdevTypes()
    first = MdevTypes((enabled[0],), default=enabled[0], counted=frozenset({VGPU}),
                     is_first_alone=True)  # fmt: skip
    if not has(major, Capability.MDEV_SECTIONS):
        return first
    if has(major, Capability.MDEV_LIMITS):
        known = virtual if has(major, Capability.VIRTUAL_MDEV_PARENTS) else ()
        return _with_default(enabled, sections, known)
    if len(enabled) == 1:
        # Its section is not read: nova registers sections only for several types.
        return first
    return _all_or_first(enabled, sections, first)


def _all_or_first(
    enabled: Sequence[str], sections: Mapping[str, TypeSection], first: MdevTypes
) -> MdevTypes:
    """Up to 2023.2: one type without addresses, and the first type alone is used."""
    of_parent: dict[str, str] = {}
    classes: dict[str, str] = {}
    for name in enabled:
        section = sections.get(name, TypeSection())
        if not section.addresses:
            return first
        _add(name, section, of_parent, classes, ())
    return MdevTypes(tuple(enabled), of_parent, classes, None, frozenset(classes.values()))


def _with_default(
    enabled: Sequence[str], sections: Mapping[str, TypeSection], virtual: Collection[str] | None
) -> MdevTypes:
    """From 2024.1 on: the first type without addresses is for all parents that no type names."""
    used: list[str] = []
    of_parent: dict[str, str] = {}
    classes: dict[str, str] = {}
    counted: set[str] = set()
    limits: dict[str, int] = {}
    default = None
    for name in enabled:
        section = sections.get(name, TypeSection())
        used.append(name)
        if section.limit:
            limits[name] = section.limit
        if section.addresses:
            _add(name, section, of_parent, classes, virtual)
            counted.add(section.resource_class)
        elif default is None:
            default = name
            counted.add(section.resource_class)
        else:
            used.remove(name)
    return MdevTypes(tuple(used), of_parent, classes, default, frozenset(counted), limits)


def _add(
    name: str,
    section: TypeSection,
    of_parent: dict[str, str],
    classes: dict[str, str],
    virtual: Collection[str] | None,
) -> None:
    for address in section.addresses:
        if address in of_parent:
            raise MdevError("duplicate-address", f"duplicate types for PCI ID {address}", name)
        is_virtual = virtual is None or address in virtual
        if not is_pci_address(address) and not is_virtual:
            raise MdevError("bad-address", f"incorrect device address: {address}", name)
        of_parent[address] = name
        classes[address] = section.resource_class
