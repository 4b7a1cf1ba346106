"""Stocks for `capacity`: hosts of eight H100 on two NUMA nodes, a card that is split, flavors."""

from __future__ import annotations

from typing import Any

from wholecard.capacity.record import OF_PCI, CardUnits, HostStock, Kind, Stock
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core.releases import LATEST
from wholecard.nova.flavor.numa_fit import NumaNode, NumaNodes
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import HostCell

CLASS = "CUSTOM_PCI_10DE_2330"
H100 = Kind(CLASS, (OF_PCI,))
VGPU = Kind("VGPU", ("CUSTOM_L40S_8Q",))
ALIAS = '{"name": "h100", "vendor_id": "10de", "product_id": "2330", "device_type": "type-PF"}'


def cards(
    count: int = 8, given: int = 0, reserved: int = 0, kind: Kind = H100
) -> tuple[CardUnits, ...]:
    """Whole cards, half of them on each NUMA node; the first ones are given, the last reserved."""
    return tuple(
        CardUnits(f"0000:{0x10 + number:02x}:00.0", kind, 1, int(number < given),
                  int(number >= count - reserved), number // max(1, count // 2) % 2)
        for number in range(count)
    )  # fmt: skip


def split(total: int = 16, given: int = 0, kind: Kind = VGPU) -> CardUnits:
    """A card that is split into slices."""
    return CardUnits("gpu-01_pci_0000_84_00_0", kind, total, given, 0, 0)


def machine(
    vcpus: int = 128, used: int = 0, ram_mb: int = 1 << 20, pinned: int = 0
) -> tuple[Inventory, ...]:
    """A host's own inventories."""
    rows = (Inventory("VCPU", vcpus, 0, used), Inventory("MEMORY_MB", ram_mb))
    return (*rows, Inventory("PCPU", pinned)) if pinned else rows


def nodes(pages: int = 64, pinned: int = 32) -> NumaNodes:
    """Two NUMA nodes on two sockets, of 128 GiB, each with so many free pages of 1 GiB."""
    rows = (NumaNode(number, 64, pinned, 128 << 10, ((1 << 20, pages),)) for number in (0, 1))
    return NumaNodes(tuple(rows), (HostCell(0, 0), HostCell(1, 1)))


def host(name: str = "gpu-01", **fields: Any) -> HostStock:
    """A host of eight free H100."""
    return HostStock(
        name, **{"cards": cards(), "machine": machine(), "traits": frozenset(), **fields}
    )


def flavor(name: str = "g1", count: int = 1, /, **specs: str) -> ServerRequest:
    """A flavor of 8 CPUs, 64 GiB and so many H100; `specs` have `__` for a colon."""
    extra = {"pci_passthrough:alias": f"h100:{count}"} if count else {}
    extra |= {key.replace("__", ":"): value for key, value in specs.items()}
    return ServerRequest(name, "test", extra, 8 * max(1, count), 65536 * max(1, count), 0)


def stock(*hosts: HostStock, flavors: tuple[ServerRequest, ...] = (), **fields: Any) -> Stock:
    """A cloud of these hosts, with flavors of one and of four cards."""
    asked = flavors or (flavor("g1", 1), flavor("g4", 4))
    return Stock("test", hosts or (host(),), asked, (ALIAS,), LATEST, **fields)
