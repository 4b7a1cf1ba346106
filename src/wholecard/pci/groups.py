"""IOMMU groups: what a guest can only get together."""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.small_files import listed, read_attribute, text_of, under
from wholecard.pci.address import parse_numbers
from wholecard.pci.function import Function
from wholecard.pci.membership import is_of_processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from typing import Any

    from wholecard.core.small_files import Root

GROUPS = "sys/kernel/iommu_groups"
_REGIONS = frozenset({"direct", "direct-relaxable", "reserved"})


@dataclass(frozen=True)
class ReservedRegion:
    """Addresses that no guest's memory may have in a group.

    `first` and `last` are as the kernel prints them. `kind` is `direct` where the firmware insists
    that a device reaches them one to one, as it does without a guest, `direct-relaxable` where VFIO
    may break that, and `reserved`. Source: linux, drivers/iommu/iommu.c,
    `iommu_group_resv_type_string`.
    """

    first: str
    last: str
    kind: str


@dataclass(frozen=True)
class IommuGroup:
    """Functions that the IOMMU cannot isolate from each other. `number` is None if predicted.

    `reserved` are the group's regions but those of interrupts, which every group has; none are
    read of a group that has only bridges or virtual functions.
    """

    number: int | None
    functions: tuple[Function, ...]
    reserved: tuple[ReservedRegion, ...] = ()

    @property
    def name(self) -> str:
        """`IOMMU group 13`, or for a prediction a name by its first function."""
        if self.number is None:
            return f"the predicted IOMMU group of {self.functions[0].address}"
        return f"IOMMU group {self.number}"

    @property
    def endpoints(self) -> tuple[Function, ...]:
        """The functions other than bridges: all of them must be bound to make the group viable."""
        return tuple(function for function in self.functions if not function.is_bridge)

    @property
    def blockers(self) -> tuple[Function, ...]:
        """The functions whose driver prevents that the group is viable."""
        return tuple(function for function in self.functions if not function.is_free_for_vfio)

    @property
    def viable(self) -> bool:
        """Whether VFIO would open the group now: every endpoint on vfio-pci, pci-stub or nothing.

        Bridges do not count (linux: Documentation/driver-api/vfio.rst).
        """
        return not self.blockers

    @property
    def is_direct(self) -> bool:
        """Whether the firmware insists on addresses one to one, so that no guest may have it."""
        return any(region.kind == "direct" for region in self.reserved)

    def to_json(self) -> dict[str, Any]:
        """`{"number", "functions": [address], "viable", "blockers": [address]}`."""
        blockers = [str(function.address) for function in self.blockers]
        return {
            "number": self.number,
            "functions": [str(function.address) for function in self.functions],
            "viable": not blockers,
            "blockers": blockers,
            "reserved": [dict(region.__dict__) for region in self.reserved],
        }


def read_groups(root: Root, functions: Iterable[Function]) -> tuple[IommuGroup, ...]:
    """The kernel's groups, by number. Empty where the IOMMU is off.

    sysfs has them twice, as each function's own `iommu_group` link and as
    `kernel/iommu_groups/N/devices`. The second is only read where a function lacks the first, so
    that a tree that was copied in part still shows its groups.
    """
    members: dict[int, list[Function]] = {}
    unlinked: dict[tuple[int, int, int, int], Function] = {}
    for function in functions:
        if function.iommu_group is not None:
            members.setdefault(function.iommu_group, []).append(function)
        else:
            address = function.address
            unlinked[address.domain, address.bus, address.slot, address.function] = function
    if unlinked:
        for number, numbers in _listed(root):
            if numbers in unlinked:
                members.setdefault(number, []).append(unlinked.pop(numbers))
    return tuple(_group(root, number, members[number]) for number in sorted(members))


def _group(root: Root, number: int, members: list[Function]) -> IommuGroup:
    if len(members) > 1:
        members.sort(key=lambda function: function.address)
    # VFs are thousands, and whether they can be given is their PF's matter.
    may_be_given = any(f.physfn is None and not f.is_bridge for f in members)
    return IommuGroup(number, tuple(members), _reserved(root, number) if may_be_given else ())


def _reserved(root: Root, number: int) -> tuple[ReservedRegion, ...]:
    """From the group's `reserved_regions`; a line that is anything else is passed over."""
    text = text_of(read_attribute(under(root, f"{GROUPS}/{number}/reserved_regions")))
    rows = (line.split() for line in text.splitlines())
    return tuple(ReservedRegion(*row) for row in rows if len(row) == 3 and row[2] in _REGIONS)


def _listed(root: Root) -> list[tuple[int, tuple[int, int, int, int]]]:
    folder = under(root, GROUPS)
    return [
        (int(number), numbers)
        for number in listed(folder)
        if number.isascii() and number.isdigit()
        for numbers in map(parse_numbers, listed(f"{folder}/{number}/devices"))
        if numbers is not None
    ]


def predicted_groups(functions: Iterable[Function]) -> tuple[IommuGroup, ...]:
    """The least that the groups of endpoints will be once the IOMMU is on.

    Functions of one slot belong together. So do all endpoints below a conventional PCI bus, for
    they share the bridge's requester id (linux: drivers/iommu/iommu.c, pci_device_group): a bus
    below a bridge with endpoints in more than one slot is one, because a PCI Express link has
    one slot. VFs are left out: with ARI their slot numbers mean nothing.

    A processor's own functions in the slot of its graphics have groups of their own, as on every
    APU that was seen. Not predicted: ports and functions without ACS, which make groups larger than
    said here, and quirks by which functions of one slot have groups of their own. After the reboot
    the kernel's own groups are read, and `verify` checks again.
    """
    endpoints = [function for function in functions if not function.is_bridge]
    conventional = _conventional_buses(endpoints)
    slots: dict[str, list[Function]] = {}
    for function in endpoints:
        slots.setdefault(function.address.slot_key, []).append(function)
    members: dict[Hashable, list[Function]] = {}
    for function in endpoints:
        key = _group_key(function, conventional)
        if is_of_processor(function, slots[function.address.slot_key]):
            key = function.address
        members.setdefault(key, []).append(function)
    groups = (
        IommuGroup(None, tuple(sorted(group, key=lambda function: function.address)))
        for group in members.values()
    )
    return tuple(sorted(groups, key=lambda group: group.functions[0].address))


def _conventional_buses(endpoints: Iterable[Function]) -> frozenset[tuple[int, int]]:
    slots: dict[tuple[int, int], set[int]] = {}
    for function in endpoints:
        if function.parents and function.physfn is None:
            address = function.address
            slots.setdefault((address.domain, address.bus), set()).add(address.slot)
    return frozenset(bus for bus, used in slots.items() if len(used) > 1)


def _group_key(function: Function, conventional: frozenset[tuple[int, int]]) -> Hashable:
    if function.physfn is not None:
        return function.address
    for step in (*function.parents[1:], function.address):
        if (step.domain, step.bus) in conventional:
            return (step.domain, step.bus)
    return function.address.slot_key
