"""A resource provider as Placement has it, with the names of Placement's API. None is not known.

Apart from the reader, for who asks files alone (`explain`) loads no OpenStack SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wholecard.core.quick_record import quick_record

# placement/db/constants.py, MAX_INT: what max_unit is where nobody sets it.
_MAX_UNIT = 2**31 - 1
# nova/compute/pci_placement_translator.py: `<hypervisor_hostname>_<ADDRESS>`, in capitals.
_DEVICE = re.compile(
    r"(?P<host>.+)_(?P<address>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE
)

# nova/compute/pci_placement_translator.py sets these on a device: it is reserved from its first
# server on, until it is cleaned; its device_spec says live_migratable.
ONE_TIME_USE = "HW_PCI_ONE_TIME_USE"
LIVE_MIGRATABLE = "HW_PCI_LIVE_MIGRATABLE"


def device_in_name(name: str) -> tuple[str, str]:
    """The hypervisor's host name and the PCI address in a provider's name.

    The address is in sysfs' spelling; both are empty where the name is not that of a function.
    """
    match = _DEVICE.fullmatch(name)
    return (match["host"], match["address"].lower()) if match else ("", "")


def was_used_once(total: int, reserved: int, used: int) -> bool:
    """Whether a one-time-use card had a server, has none now, and is not given back.

    All of it is reserved then: nova, doc/source/admin/pci-passthrough.rst, "one_time_use".
    """
    return reserved >= total > 0 and not used


@dataclass(frozen=True)
class Inventory:
    """What a provider has of one resource class, and how much of it is used."""

    resource_class: str
    total: int
    reserved: int = 0
    used: int = 0
    allocation_ratio: float = 1.0
    max_unit: int = _MAX_UNIT

    @property
    def capacity(self) -> int:
        """How much of it can be allocated in all (placement/objects/inventory.py, `capacity`)."""
        return int((self.total - self.reserved) * self.allocation_ratio)

    @property
    def free(self) -> int:
        """How much of it can still be allocated."""
        return self.capacity - self.used


@quick_record(frozen=True, slots=True)
class ResourceProvider:
    """One resource provider. nova names a function's provider `<hypervisor>_<address>`.

    `consumers` are the ids of the servers that hold something of it. `uuid` is empty for one that
    nova-compute would make, and that Placement does not have yet.
    """

    name: str
    uuid: str = ""
    parent_uuid: str | None = None
    root_uuid: str | None = None
    generation: int | None = None
    inventories: tuple[Inventory, ...] | None = None
    traits: frozenset[str] = frozenset()
    consumers: tuple[str, ...] | None = None

    def inventory(self, resource_class: str) -> Inventory | None:
        """The inventory of that class, None where the provider has none."""
        rows = self.inventories or ()
        return next((row for row in rows if row.resource_class == resource_class), None)


@dataclass(frozen=True)
class ProviderTree:
    """What Placement has of one host: the host's own provider, and those below it."""

    root: ResourceProvider
    below: tuple[ResourceProvider, ...] = ()

    def below_of_class(self, resource_class: str) -> tuple[Inventory, ...]:
        """The inventories of that class below the host's own provider."""
        inventories = (provider.inventory(resource_class) for provider in self.below)
        return tuple(row for row in inventories if row is not None)

    def of_class(self, resource_class: str) -> tuple[Inventory, ...]:
        """The inventories of that class at the host and below it."""
        own, below = self.root.inventory(resource_class), self.below_of_class(resource_class)
        return below if own is None else (own, *below)
