"""The lab's nodes as they are asked for: who each is, what it has, how its cards are connected."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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
    `ssh_port` is the name of the port by which ssh reaches it (`base/ports.py`). `mac`, `address`
    and `compute_id` are on its disk, which is made before its topology is chosen.
    """

    name: str
    mac: str
    address: str
    compute_id: str
    ssh_port: str = "ssh"
    memory_mib: int = 2560
    topology: Topology = Topology.APART

    def cpus(self, accelerator: str) -> int:
        """One under emulation: two CPUs lose interrupts now and then (see `_Stalls`)."""
        return 2 if accelerator == "kvm" else 1


# nova-compute refuses to start where nova knows its host name with another id than the file
# `compute_id` has (nova/virt/node.py; "Compute node identification" in nova's documentation).
GPU_NODE = NodeSpec(
    name="gpu-01", mac="52:54:00:00:00:01", address="10.0.2.15",
    compute_id="6b7a1e52-5f0c-4c0e-9d6b-77686f6c6502",
)  # fmt: skip
