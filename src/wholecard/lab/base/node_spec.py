"""The lab's nodes as they are asked for: who each is, what it has, how its cards are connected."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from wholecard.core import UsageError


class Topology(enum.StrEnum):
    """How a node's two emulated cards are connected to it."""

    APART = "apart"
    TOGETHER = "together"

    @property
    def meaning(self) -> str:
        """What a person needs to know of it, without a full stop."""
        return {
            Topology.APART: "each card behind a root port and in an IOMMU group of its own",
            Topology.TOGETHER: "both cards behind one PCI bridge, in one IOMMU group",
        }[self]


@dataclass(frozen=True)
class NodeSpec:
    """One hypervisor virtual machine of the lab.

    `name` is its host name, its host in nova, and the name of its QEMU among the lab's services;
    `ssh_port` is the name of the port by which ssh reaches it (`base/ports.py`). All nodes boot
    copies of one disk: a node learns its name and `compute_id` from its firmware (SMBIOS), and the
    disk has `link_mac` and `link_address` of each. `mac` and `address` are those of the card to
    the services; QEMU gives each node a network of its own there, so they may be the same.
    `link_peer` is the node at the other end of the link.
    """

    name: str
    compute_id: str
    link_mac: str
    link_address: str
    link_peer: str
    ssh_port: str
    mac: str = "52:54:00:00:00:01"
    address: str = "10.0.2.15"
    memory_mib: int = 2560
    topology: Topology = Topology.APART

    def cpus(self, accelerator: str) -> int:
        """One under emulation: two CPUs lose interrupts now and then (see `_Stalls`)."""
        return 2 if accelerator == "kvm" else 1


# nova-compute refuses to start where nova knows its host name with another id than the file
# `compute_id` has (nova/virt/node.py; "Compute node identification" in nova's documentation).
# It is the machine's SMBIOS UUID too, which is libvirt's UUID of the host: libvirt refuses a
# migration between two hosts with the same one (src/qemu/qemu_migration_cookie.c).
GPU_NODE = NodeSpec(
    name="gpu-01", compute_id="6b7a1e52-5f0c-4c0e-9d6b-77686f6c6502",
    link_mac="52:54:00:00:01:01", link_address="10.0.3.1", link_peer="gpu-02", ssh_port="ssh",
)  # fmt: skip
SECOND_NODE = NodeSpec(
    name="gpu-02", compute_id="6b7a1e52-5f0c-4c0e-9d6b-77686f6c6522",
    link_mac="52:54:00:00:01:02", link_address="10.0.3.2", link_peer="gpu-01",
    ssh_port="ssh-gpu-02",
)  # fmt: skip
# All nodes that a lab can have; a lab of one has the first.
NODES = (GPU_NODE, SECOND_NODE)


def node_specs(count: int, topology: Topology) -> tuple[NodeSpec, ...]:
    """The nodes of a lab that has so many, all with this topology; UsageError for other counts."""
    if not 1 <= count <= len(NODES):
        raise UsageError(
            f"a lab has 1 or {len(NODES)} nodes, not {count}",
            resolution=f"Use --nodes 1 or --nodes {len(NODES)}.",
        )
    return tuple(replace(spec, topology=topology) for spec in NODES[:count])
