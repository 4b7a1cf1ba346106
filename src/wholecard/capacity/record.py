"""What a cloud has, as `capacity` counts it: hosts with cards, flavors, aliases."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core.quick_record import quick_record
from wholecard.core.releases import LATEST, Release
from wholecard.nova.flavor.numa_fit import NumaNodes
from wholecard.nova.flavor.server_request import ServerRequest

# nova/compute/pci_placement_translator.py sets it on each provider of a PCI device.
OF_PCI = "COMPUTE_MANAGED_PCI_DEVICE"


@quick_record(frozen=True, slots=True)
class Kind:
    """A type of card or slice: what a request can tell apart. `traits` are sorted."""

    resource_class: str
    traits: tuple[str, ...] = ()


@quick_record(frozen=True, slots=True)
class CardUnits:
    """One provider of units: a whole card has one, a card that is split has its slices.

    `name` is the card's PCI address, or the provider's name where that has none. A unit is given
    where a server has it, reserved where nobody has it and nova does not offer it, else free.
    """

    name: str
    kind: Kind
    total: int
    given: int = 0
    reserved: int = 0
    numa_node: int | None = None

    @property
    def free(self) -> int:
        """Units that nova can still give."""
        return self.total - self.given - self.reserved


@dataclass(frozen=True)
class HostStock:
    """A host: its cards, its own inventories and traits, its NUMA nodes, None where not known.

    `closed` says why nova gives nothing there, empty where it does. Of the NUMA nodes, huge pages
    are those that are free; the CPUs and the other RAM are all of the node's.
    """

    name: str
    cards: tuple[CardUnits, ...] = ()
    machine: tuple[Inventory, ...] | None = None
    traits: frozenset[str] | None = None
    nodes: NumaNodes | None = None
    closed: str = ""


@dataclass(frozen=True)
class Stock:
    """All that is known of a cloud, or of a planned one.

    `aliases` are the values of nova's `[pci] alias`. `not_known` are parts of a sentence;
    `displaced` is how many units that are given today have no card in a plan.
    """

    source: str
    hosts: tuple[HostStock, ...] = ()
    flavors: tuple[ServerRequest, ...] = ()
    aliases: tuple[str, ...] = ()
    release: Release = LATEST
    not_known: tuple[str, ...] = ()
    displaced: int = 0


def units_of(
    name: str, row: Inventory, traits: frozenset[str], numa_node: int | None = None
) -> CardUnits:
    """A provider's inventory of a class as units.

    A card with `one_time_use` is reserved while a server has it too: it is given then. More that
    is used than there is counts as all of it.
    """
    total = int(row.total * row.allocation_ratio)
    given = max(0, min(row.used, total))
    reserved = max(0, min(total - row.capacity, total - given))
    kind = Kind(row.resource_class, tuple(sorted(traits)))
    return CardUnits(name, kind, total, given, reserved, numa_node)
