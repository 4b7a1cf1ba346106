"""Cards in VFs and whole, on one node: a network card and a drive, over a reboot.

VFs come from a site file by the same plan, apply and unit as for a GPU; the kernel, the PFs'
drivers and VFIO are real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from openstack.connection import Connection

from support.commands import wholecard
from support.lab_splits import SECONDS, apply_site, reboot, save_facts
from support.two_nodes import start
from wholecard.cloud.client import servers
from wholecard.cloud.client.connection import connect
from wholecard.cloud.placement.resource_providers import wait_for_providers
from wholecard.guest.proof.report import parse
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.cloud_plan import free_units, offer_site
from wholecard.lab.scenario.control_plane import write_drop_ins
from wholecard.lab.scenario.hypervisor import AGENT, Agent
from wholecard.lab.scenario.restart import compute_queue, restart, wait_for_consumers
from wholecard.lab.scenario.site_file import site_path
from wholecard.nova.desired.resource_classes import class_of_ids
from wholecard.site.load import SiteFile, read_site

# Twenty-five minutes, with four reboots.
pytestmark = pytest.mark.long
NIC, NIC_VF = ("8086", "10c9"), ("8086", "10ca")
# QEMU's drive; its VFs have the PF's ids (hw/nvme/ctrl.c), as those of many real drives have.
DRIVE = ("1b36", "0010")
# It cannot be saved with the machine (hw/nvme/ctrl.c, unmigratable), so no node has it from the
# start. A VF needs resources of the PF: two queues and an interrupt each.
DRIVE_OF_QEMU = (
    "-device", "pcie-root-port,id=port4,bus=pcie.0,chassis=4,slot=4,addr=0x13",
    "-device", "nvme-subsys,id=drives",
    "-device", "nvme,bus=port4,subsys=drives,serial=split,sriov_max_vfs=2,sriov_vq_flexible=4,"
               "sriov_vi_flexible=2,max_ioqpairs=6,msix_qsize=7",
)  # fmt: skip
FLAVOR = "v1.split"
# The parts of a kind of card have a class of their own, by its name.
VF_CLASS = "CUSTOM_SPLIT"
VFS = 2
SPLIT = "cat /sys/bus/pci/devices/*/sriov_numvfs"


@dataclass(frozen=True)
class Cloud:
    """The lab with a site file whose network card is given in VFs; nothing of it is applied yet."""

    lab: Lab
    conn: Connection
    node: LabNode
    agent: Agent
    site: Path

    def vfs(self) -> int:
        """How many VFs the node's cards have now."""
        answer = self.node.ssh(["sh", "-c", SPLIT], timeout=SECONDS).stdout
        return sum(int(line) for line in answer.split())

    def give(self, how: object, ids: tuple[str, str] = NIC) -> SiteFile:
        """Write the site file with a card of these ids given so, and the node's facts of now."""
        save_facts(self.node, self.site)
        data = yaml.safe_load(site_path(self.lab).read_text())
        vendor, product = ids
        match = [{"vendor": vendor, "product": product}]
        # nova gives displays and accelerators; anything else only where a person says so.
        data["cards"]["split"] = {"match": match, "give": how, "extra_function": True}
        data["hosts"][GPU_NODE.name]["cards"] = {"gpu": 2, "split": 1}
        data["flavors"][FLAVOR] = {"ram": 256, "vcpus": 1, "cards": {"split": 1}}
        self.site.write_text(yaml.safe_dump(data, sort_keys=False))
        return read_site(self.site)

    def reboot(self) -> None:
        """Reboot the node; returns when its nova-compute takes requests."""
        reboot(self.node)
        queue = compute_queue(GPU_NODE.name)
        wait_for_consumers(self.lab, queue, some=True, timeout=SECONDS)


@pytest.fixture(scope="module")
def cloud(lab_folder: LabFolder) -> Iterator[Cloud]:
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    lab = labs.require_up(lab_folder)
    node = lab.node(GPU_NODE.name)
    path = site_path(lab).with_name("split.yaml")
    conn = connect(service_settings.CLOUD, lab.folder.clouds_yaml)
    yield Cloud(lab, conn, node, Agent(node), path)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def split(cloud: Cloud) -> Cloud:
    """The VFs made by the plan, nova told of them, the flavor made."""
    cloud.give({"policy": "vfs", "count": VFS})
    apply_site(cloud.node, cloud.site)
    cloud.reboot()
    # nova is told the VFs' ids, which only facts read now have.
    offer(cloud, cloud.give({"policy": "vfs", "count": VFS}), VF_CLASS, VFS)
    return cloud


def offer(cloud: Cloud, file: SiteFile, resource_class: str, count: int) -> None:
    """Tell nova what the site file gives, and wait until Placement has so many of the class."""
    write_drop_ins(cloud.lab, file)
    restart(cloud.lab, ["nova-api", "nova-compute"])
    planned = offer_site(cloud.lab, cloud.conn, file)
    assert planned.findings == ()
    wait_for_providers(
        cloud.conn,
        lambda tree: sum(free_units(each, resource_class) for each in tree) == count,
        SECONDS,
    )


@contextmanager
def proved(cloud: Cloud, name: str, ids: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """A server gets one device with these ids, and its guest has it: id, console; deleted then."""
    booted = servers.boot(cloud.conn, name, FLAVOR, emulated_gpu.IMAGE, SECONDS)
    try:
        assert booted.status == "ACTIVE", booted.fault
        yield booted.id, has_one(cloud, booted.id, ids)
    finally:
        servers.delete_and_wait(cloud.conn, booted.id, SECONDS)


def has_one(cloud: Cloud, server: str, ids: tuple[str, str], before: str = "") -> str:
    """The console, once the guest has proved one device with these ids since `before`."""
    console = servers.wait_for_console(
        cloud.conn, server, lambda shown: parse(shown.removeprefix(before)).complete, SECONDS
    )
    functions = parse(console.removeprefix(before)).functions
    assert [function.id for function in functions].count(":".join(ids)) == 1
    return console


def test_a_vf_reaches_a_server(split: Cloud) -> None:
    """The plan makes the VFs, nova gives one, and the guest has it."""
    assert split.vfs() == VFS
    with proved(split, "vf", NIC_VF):
        pass


def test_a_server_has_its_vf_again(split: Cloud) -> None:
    """After a reboot of its node a server is started, and has a VF that the unit has made again."""
    with proved(split, "vf-again", NIC_VF) as (server, before):
        split.reboot()
        # nova leaves servers off after a host's reboot (resume_guests_state_on_host_boot).
        split.conn.compute.reboot_server(server, "HARD")
        start(split.conn, server)
        has_one(split, server, NIC_VF, before)


def test_the_vfs_are_there_again_before_nova(split: Cloud) -> None:
    """At the node's boot the unit has made the VFs before nova-compute started."""
    assert split.vfs() == VFS
    shown = split.node.ssh(
        ["systemctl", "show", "-P", "ExecMainExitTimestampMonotonic", "wholecard-splits.service"],
        timeout=SECONDS,
    ).stdout
    started = split.node.ssh(
        ["systemctl", "show", "-P", "ExecMainStartTimestampMonotonic", "nova-compute.service"],
        timeout=SECONDS,
    ).stdout
    assert 0 < int(shown) < int(started)
    (card,) = json.loads(split.agent.run("status", "--json").stdout)["splits"]["cards"]
    assert (card["state"], card["why"]) == ("made", "")


def test_rollback_ends_the_vfs(split: Cloud) -> None:
    """Rollback of the last journal leaves no VF, and no unit that would make them again."""
    last = json.loads(split.agent.run("status", "--json").stdout)["history"]
    rolled = split.node.ssh([AGENT, "rollback"], timeout=SECONDS, check=False)
    assert rolled.status == 0, rolled.stdout + rolled.stderr
    assert len(last) >= 2
    assert split.vfs() == 0
    unit = split.node.ssh(
        ["systemctl", "cat", "wholecard-splits.service"], timeout=SECONDS, check=False
    )
    assert unit.status != 0


def test_the_pf_whole(cloud: Cloud) -> None:
    """The same card given whole: claimed at the boot, offered as type-PF, and in the guest."""
    file = cloud.give("whole")
    apply_site(cloud.node, cloud.site)
    cloud.reboot()
    assert cloud.agent.json("verify")["findings"] == []
    offer(cloud, file, class_of_ids(NIC), 1)
    with proved(cloud, "pf", NIC):
        pass


def test_vfs_of_a_drive(cloud: Cloud) -> None:
    """VFs with their PF's own ids: nova is told them by address, and gives one, not the PF."""
    cloud.node.power_off(SECONDS)
    cloud.node.start(added=DRIVE_OF_QEMU)
    cloud.node.wait_for_ssh()
    vfs = {"policy": "vfs", "count": VFS}
    cloud.give(vfs, DRIVE)
    apply_site(cloud.node, cloud.site)
    cloud.reboot()
    offer(cloud, cloud.give(vfs, DRIVE), VF_CLASS, VFS)
    with proved(cloud, "drive-vf", DRIVE):
        pass
