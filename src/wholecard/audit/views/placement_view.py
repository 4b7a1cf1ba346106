"""What a reader of Placement gives, be it through the database or the API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from wholecard.audit.record import ConsumerAllocation
from wholecard.cloud.placement.provider_tree import ProviderTree

# Traits that nova gives to providers of devices alone (nova/compute/pci_placement_translator.py).
NOVAS_TRAITS = ("COMPUTE_MANAGED_PCI_DEVICE", "OWNER_NOVA")


class HostTree(NamedTuple):
    """One host in Placement: its providers, and what consumers hold of them."""

    tree: ProviderTree
    allocations: tuple[ConsumerAllocation, ...] = ()


@dataclass(frozen=True)
class Holdings:
    """All consumers that hold something, and the hosts of those that hold on more than one."""

    consumers: Collection[str] = ()
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)


class PlacementView(Protocol):
    """A reader of Placement. Methods raise WholecardError where it cannot be read."""

    def managed_hosts(self) -> frozenset[str]:
        """The names of the root providers that have devices of nova's below them."""

    def holdings(self, hosts: Collection[str], every: Collection[str]) -> Holdings:
        """The consumers on these hosts, and on which of `every` host of the cloud they hold."""

    def trees(self, hosts: Sequence[str]) -> Mapping[str, HostTree]:
        """These hosts; one without a provider is left out."""

    def close(self) -> None:
        """End all connections."""
