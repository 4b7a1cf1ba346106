"""The one factory of resource providers: a card, and all that Placement has of a host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider

CLASS = "CUSTOM_PCI_10DE_2330"


def provider(address: str, used: int = 0, **fields: Any) -> ResourceProvider:
    """A card in Placement. `resource_class`, `reserved`, `traits` and `consumers` as given."""
    inventory = Inventory(
        fields.get("resource_class", CLASS), fields.get("total", 1), fields.get("reserved", 0), used
    )
    traits = frozenset({"COMPUTE_MANAGED_PCI_DEVICE", *fields.get("traits", ())})
    return ResourceProvider(
        f"gpu-01_{address.upper()}",
        inventories=(inventory,),
        traits=traits,
        consumers=fields.get("consumers"),
    )


def tree(
    below: Iterable[ResourceProvider] | None = None,
    traits: Iterable[str] = (),
    **inventories: Inventory,
) -> ProviderTree:
    """What Placement has of the host: 32 VCPU, 256 GiB, 1,000 GB of disk, and two cards."""
    machine = {
        "VCPU": Inventory("VCPU", 32, 0, 0, 4.0, 32),
        "PCPU": Inventory("PCPU", 16, 0, 0, 1.0, 16),
        "MEMORY_MB": Inventory("MEMORY_MB", 262144, 512, 0, 1.0, 262144),
        "DISK_GB": Inventory("DISK_GB", 1000, 0, 0, 1.0, 1000),
    } | inventories
    cards = (provider("0000:41:00.0"), provider("0000:c1:00.0")) if below is None else below
    return ProviderTree(
        ResourceProvider(
            "gpu-01", "u1", inventories=tuple(machine.values()), traits=frozenset(traits)
        ),
        tuple(cards),
    )
