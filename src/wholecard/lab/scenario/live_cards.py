"""The lab's whole cards made able to move live: their variant driver on each node, and nova told.

nova's side is rendered from a site file that differs from the lab's own in two keys of the card:
`managed: false`, because libvirt must leave the driver alone, and `live_migratable: true`.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from openstack.connection import Connection

from wholecard.cloud.placement.resource_providers import providers_text, wait_for_providers
from wholecard.core import UsageError
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab, for_each_node
from wholecard.lab.node.node import LabNode
from wholecard.lab.parts.node_modules import VARIANT_DRIVER, use_variant_driver
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.cloud_plan import CARDS
from wholecard.lab.scenario.control_plane import write_drop_ins
from wholecard.lab.scenario.restart import restart
from wholecard.lab.scenario.site_file import host_cards, site_path
from wholecard.site.load import read_site

# os_traits/hw/pci.py: nova gives it to providers whose device_spec says `live_migratable`.
TRAIT = "HW_PCI_LIVE_MIGRATABLE"
SITE = "live-cards.yaml"
REPORT_SECONDS = 900
# driver_override says which driver may bind the function (Documentation/ABI, sysfs-bus-pci).
_REBIND = """
set -e
driver=$1
shift
for address; do
  function=/sys/bus/pci/devices/$address
  [ "$(basename "$(readlink "$function/driver")")" != "$driver" ] || continue
  echo "$driver" > "$function/driver_override"
  [ ! -e "$function/driver" ] || echo "$address" > "$function/driver/unbind"
  echo "$address" > /sys/bus/pci/drivers_probe
  [ "$(basename "$(readlink "$function/driver")")" = "$driver" ]
done
"""


def give_live_cards(lab: Lab, conn: Connection, story: Story) -> Path:
    """Give every card its variant driver and let nova offer them so; the site file. Idempotent.

    No server may have a card meanwhile: a function that changes its driver is taken from it.
    """
    with story.step(f"nodes: {VARIANT_DRIVER} in place of vfio-pci") as step:
        for_each_node(lab, lambda node: _bind(lab, node))
        step.note = f"{CARDS} cards on each of {len(lab.nodes)}"
    with story.step("nova: the cards are live-migratable") as step:
        file = _write_site(lab)
        write_drop_ins(lab, read_site(file))
        restart(lab, ["nova-api", "nova-compute"])
        tree = wait_for_providers(
            conn,
            lambda seen: sum(TRAIT in each.traits for each in seen) == CARDS * len(lab.nodes),
            REPORT_SECONDS,
        )
        step.saw(file.name, file.read_text())
        step.saw("Placement's providers", providers_text(tree))
    return file


def _bind(lab: Lab, node: LabNode) -> None:
    node.ssh(list(use_variant_driver()), timeout=300)
    node.ssh(["modprobe", VARIANT_DRIVER], timeout=600)
    wanted = ":".join(emulated_gpu.GPU)
    addresses = [
        str(function.address)
        for card in host_cards(lab, node.spec.name)
        for function in card.functions
        if function.ids == wanted
    ]
    if len(addresses) != CARDS:
        raise UsageError(f"{node.spec.name} has not its {CARDS} cards: {', '.join(addresses)}")
    node.ssh(["sh", "-c", _REBIND, "sh", VARIANT_DRIVER, *addresses], timeout=600)


def _write_site(lab: Lab) -> Path:
    data = yaml.safe_load(site_path(lab).read_text())
    data["cards"][emulated_gpu.GPU_ALIAS] |= {"managed": False, "live_migratable": True}
    path = site_path(lab).with_name(SITE)
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path
