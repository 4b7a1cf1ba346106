"""IOMMU groups: what can only be given together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import UsageError
from wholecard.pci.address import Address
from wholecard.pci.function import Function

GROUPS = Path("sys/kernel/iommu_groups")


@dataclass(frozen=True)
class Group:
    """Functions that the IOMMU cannot keep apart. `number` is None for a predicted group."""

    number: int | None
    functions: tuple[Function, ...]

    @property
    def name(self) -> str:
        """`IOMMU group 13`, or for a prediction a name by its first function."""
        if self.number is None:
            return f"the predicted IOMMU group of {self.functions[0].address}"
        return f"IOMMU group {self.number}"

    @property
    def endpoints(self) -> tuple[Function, ...]:
        """The functions that are no bridges: what must be bound for the group to be given."""
        return tuple(function for function in self.functions if not function.is_bridge)

    @property
    def blockers(self) -> tuple[Function, ...]:
        """The endpoints whose driver keeps the group from being given."""
        return tuple(function for function in self.functions if not function.is_free_for_vfio)

    @property
    def viable(self) -> bool:
        """Whether VFIO would open the group now: every endpoint on vfio-pci, pci-stub or nothing.

        Bridges do not count (linux: Documentation/driver-api/vfio.rst).
        """
        return not self.blockers

    def to_json(self) -> dict[str, Any]:
        """`{"number", "functions": [address], "viable", "blockers": [address]}`."""
        return {
            "number": self.number,
            "functions": [str(function.address) for function in self.functions],
            "viable": self.viable,
            "blockers": [str(function.address) for function in self.blockers],
        }


def read_groups(root: Path, functions: Iterable[Function]) -> tuple[Group, ...]:
    """The kernel's groups, by number. Empty where the IOMMU is off.

    Both places where sysfs says so are read, `kernel/iommu_groups/N/devices` and each function's
    own `iommu_group` link, so that a half-copied tree still shows what it knows.
    """
    by_address = {function.address: function for function in functions}
    members: dict[int, set[Address]] = defaultdict(set)
    for function in by_address.values():
        if function.iommu_group is not None:
            members[function.iommu_group].add(function.address)
    for number, address in _listed(root):
        if address in by_address and by_address[address].iommu_group is None:
            members[number].add(address)
    return tuple(
        Group(number, tuple(by_address[address] for address in sorted(members[number])))
        for number in sorted(members)
    )


def _listed(root: Path) -> list[tuple[int, Address]]:
    found = []
    for entry in sorted((root / GROUPS).glob("[0-9]*/devices/*")):
        number = entry.parent.parent.name
        try:
            address = Address.parse(entry.name)
        except UsageError:
            continue
        if number.isascii() and number.isdigit():
            found.append((int(number), address))
    return found


def predicted_groups(functions: Iterable[Function]) -> tuple[Group, ...]:
    """What the groups of endpoints will at least be once the IOMMU is on.

    Functions of one slot belong together. So do all endpoints below a conventional PCI bus, for
    they share the bridge's requester id (linux: drivers/iommu/iommu.c, pci_device_group): a bus
    below a bridge with endpoints in more than one slot is one, because a PCI Express link has
    one slot. VFs are left alone: with ARI their slot numbers mean nothing.

    Cannot be predicted: ports and functions without ACS, which put more into one group than is
    said here, and quirks that keep functions of one slot apart. After the reboot the kernel's own
    groups are read, and `verify` looks again.
    """
    endpoints = [function for function in functions if not function.is_bridge]
    conventional = _conventional_buses(endpoints)
    members: dict[Hashable, list[Function]] = defaultdict(list)
    for function in endpoints:
        members[_group_key(function, conventional)].append(function)
    groups = (
        Group(None, tuple(sorted(group, key=lambda function: function.address)))
        for group in members.values()
    )
    return tuple(sorted(groups, key=lambda group: group.functions[0].address))


def _conventional_buses(endpoints: Iterable[Function]) -> frozenset[tuple[int, int]]:
    slots: dict[tuple[int, int], set[int]] = defaultdict(set)
    for function in endpoints:
        if function.parents and function.physfn is None:
            slots[function.address.domain, function.address.bus].add(function.address.slot)
    return frozenset(bus for bus, used in slots.items() if len(used) > 1)


def _group_key(function: Function, conventional: frozenset[tuple[int, int]]) -> Hashable:
    if function.physfn is not None:
        return function.address
    for step in (*function.parents[1:], function.address):
        if (step.domain, step.bus) in conventional:
            return (step.domain, step.bus)
    return function.address.slot_key
