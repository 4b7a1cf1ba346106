"""Slices in the lab: cards that the kernel invents and splits, offered through nova.

The parents are no PCI devices, so a site file cannot name them by vendor and product: the nodes get
a file of nova.conf.d of their own beside the rendered one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import providers_text, wait_for_providers
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab, for_each_node
from wholecard.lab.node.node import LabNode
from wholecard.lab.parts.node_modules import PORTS
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.restart import start_compute, stop_compute

SLICES_OF_A_NODE = 2
# mtty-1 has one serial port, mtty-2 two; mbochs-medium has 16 MiB of video
# memory, and the module calls the MiB of all of them `count`.
PORTS_OF_A_SLICE = PORTS // SLICES_OF_A_NODE
MEMORY_OF_A_SLICE = 16
CLASS = "VGPU"
CONFIGURATION = "/etc/nova/nova.conf.d/60-slices.conf"
REPORT_SECONDS = 900
# What systemd-modules-load and modprobe read at each boot, before nova-compute starts.
AT_BOOT = "/etc/modules-load.d/lab-slices.conf"
MODULE_OPTIONS = "/etc/modprobe.d/lab-slices.conf"


@dataclass(frozen=True)
class InventedCard:
    """One of the kernel's samples (samples/vfio-mdev/MODULE.c), and how it is split.

    `parent` is libvirt's name of it, without `mdev_` and the type: nova reads addresses or such
    names. `options` are its module's, so that a node has as many slices as SLICES_OF_A_NODE.
    """

    module: str
    type: str
    options: str = ""

    @property
    def parent(self) -> str:
        """The name of its device is that of its class twice."""
        return f"{self.module}_{self.module}"


MTTY = InventedCard("mtty", f"mtty-{PORTS_OF_A_SLICE}")
MBOCHS = InventedCard("mbochs", "mbochs-medium", f"count={MEMORY_OF_A_SLICE * SLICES_OF_A_NODE}")


@dataclass(frozen=True)
class SliceFlavor:
    """A flavor with one slice."""

    name: str = "s1.slice"
    memory_mib: int = emulated_gpu.GUEST_MEMORY_MIB


def offer_slices(
    lab: Lab, conn: Connection, story: Story, card: InventedCard = MTTY
) -> SliceFlavor:
    """Split the invented card on every node, tell nova, and make the flavor; idempotent."""
    flavor = SliceFlavor()
    with story.step(f"nodes: {card.module} loaded, its slices offered by nova-compute") as step:
        for_each_node(lab, lambda node: _split(lab, node, card))
        count = len(lab.nodes)
        tree = wait_for_providers(
            conn, lambda seen: total_slices(seen) == SLICES_OF_A_NODE * count, REPORT_SECONDS
        )
        step.saw("Placement's providers", providers_text(tree))
        step.note = f"{SLICES_OF_A_NODE} slices on each of {count}"
    with api_errors(conn, f"make the flavor {flavor.name}"):
        found: Any = conn.compute.find_flavor(flavor.name)
        if found is None:
            made = conn.compute.create_flavor(
                name=flavor.name, ram=flavor.memory_mib, vcpus=1, disk=0
            )
            conn.compute.create_flavor_extra_specs(made, {f"resources:{CLASS}": "1"})
    return flavor


def total_slices(tree: Sequence[ResourceProvider]) -> int:
    """All slices that Placement knows of."""
    inventories = (provider.inventory(CLASS) for provider in tree)
    return sum(inventory.total for inventory in inventories if inventory)


def _split(lab: Lab, node: LabNode, card: InventedCard) -> None:
    node.write(AT_BOOT, f"{card.module}\n".encode())
    options = f"options {card.module} {card.options}\n" if card.options else ""
    node.write(MODULE_OPTIONS, options.encode())
    node.ssh(["modprobe", card.module], timeout=600)
    text = (f"[devices]\nenabled_mdev_types = {card.type}\n"
            f"[mdev_{card.type}]\ndevice_addresses = {card.parent}\n")  # fmt: skip
    if node.ssh(["cat", CONFIGURATION], timeout=600, check=False).stdout == text:
        return
    node.write(CONFIGURATION, text.encode())
    stop_compute(lab, node)
    start_compute(lab, node)
