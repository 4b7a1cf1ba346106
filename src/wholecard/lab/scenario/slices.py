"""Slices in the lab: a card that the kernel invents and splits (mtty), offered through nova.

The parent is no PCI device, so a site file cannot name it by vendor and product: the nodes get a
file of nova.conf.d of their own beside the rendered one.
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
from wholecard.lab.scenario.restart import start_compute, stop_compute

# The kernel's sample (samples/vfio-mdev/mtty.c): mtty-1 has one serial port, mtty-2 two.
MODULE = "mtty"
PORTS_OF_A_SLICE = 2
TYPE = f"{MODULE}-{PORTS_OF_A_SLICE}"
# libvirt's name of the parent, without `mdev_` and the type: nova reads addresses or such names.
PARENT = "mtty_mtty"
SLICES_OF_A_NODE = PORTS // PORTS_OF_A_SLICE
CLASS = "VGPU"
CONFIGURATION = "/etc/nova/nova.conf.d/60-slices.conf"
REPORT_SECONDS = 900
# A name that systemd-modules-load reads at each boot, before nova-compute starts.
AT_BOOT = "/etc/modules-load.d/lab-slices.conf"


@dataclass(frozen=True)
class SliceFlavor:
    """A flavor with one slice."""

    name: str = "s1.slice"
    memory_mib: int = 192


def offer_slices(lab: Lab, conn: Connection, story: Story) -> SliceFlavor:
    """Split the invented card on every node, tell nova, and make the flavor; idempotent."""
    flavor = SliceFlavor()
    with story.step("nodes: mtty loaded, its slices offered by nova-compute") as step:
        for_each_node(lab, lambda node: _split(lab, node))
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


def _split(lab: Lab, node: LabNode) -> None:
    node.write(AT_BOOT, f"{MODULE}\n".encode())
    node.ssh(["modprobe", MODULE], timeout=600)
    text = f"[devices]\nenabled_mdev_types = {TYPE}\n[mdev_{TYPE}]\ndevice_addresses = {PARENT}\n"
    if node.ssh(["cat", CONFIGURATION], timeout=600, check=False).stdout == text:
        return
    node.write(CONFIGURATION, text.encode())
    stop_compute(lab, node)
    start_compute(lab, node)
