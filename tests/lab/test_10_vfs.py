"""A card in VFs, in the lab: the node's igb (82576) by a site file, through nova, over a reboot.

The same plan, apply and unit as for a GPU; the kernel, the PF's driver and VFIO are real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from openstack.connection import Connection

from support.commands import wholecard
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
from wholecard.site.load import read_site

# Until it has been seen in the lab: `make test-long`.
pytestmark = pytest.mark.long
PF, VF = ("8086", "10c9"), ("8086", "10ca")
VF_CLASS = class_of_ids(VF)
VFS = 2
SECONDS = 1800
DESIRED = "/root/desired.json"
SPLIT = "/sys/bus/pci/drivers/igb/0000:*/sriov_numvfs"


@dataclass(frozen=True)
class Cloud:
    """The lab with a site file whose network card is given in VFs; nothing of it is applied yet."""

    lab: Lab
    conn: Connection
    node: LabNode
    agent: Agent
    site: Path

    def vfs(self) -> int:
        """How many VFs the PF has now."""
        answer = self.node.ssh(["sh", "-c", f"cat {SPLIT}"], timeout=SECONDS).stdout
        return int(answer)

    def boot(self, name: str) -> servers.ServerOutcome:
        """A server with a VF."""
        return servers.boot(self.conn, name, "v1.vf", emulated_gpu.IMAGE, SECONDS)


@pytest.fixture(scope="module")
def cloud(lab_folder: LabFolder) -> Iterator[Cloud]:
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    lab = labs.require_up(lab_folder)
    node = lab.node(GPU_NODE.name)
    data = yaml.safe_load(site_path(lab).read_text())
    vendor, product = PF
    data["cards"]["nic"] = {
        "match": [{"vendor": vendor, "product": product}],
        "give": {"policy": "vfs", "count": VFS},
    }
    data["hosts"][GPU_NODE.name]["cards"] = {"gpu": 2, "nic": 1}
    data["flavors"]["v1.vf"] = {"ram": 256, "vcpus": 1, "cards": {"nic": 1}}
    path = site_path(lab).with_name("vfs.yaml")
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    conn = connect(service_settings.CLOUD, lab.folder.clouds_yaml)
    yield Cloud(lab, conn, node, Agent(node), path)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def split(cloud: Cloud) -> Cloud:
    """The VFs made by the plan, nova told of them, the flavor made."""
    desired = wholecard("site", "host", GPU_NODE.name, "--site", str(cloud.site))
    assert desired.status == 0, desired.stderr
    cloud.node.write(DESIRED, desired.stdout.encode())
    applied = cloud.node.ssh([AGENT, "apply", "--desired", DESIRED], timeout=SECONDS, check=False)
    assert applied.status == 0, applied.stdout + applied.stderr
    file = read_site(cloud.site)
    write_drop_ins(cloud.lab, file)
    restart(cloud.lab, ["nova-api", "nova-compute"])
    planned = offer_site(cloud.lab, cloud.conn, file)
    assert planned.findings == ()
    wait_for_providers(
        cloud.conn, lambda tree: sum(free_units(each, VF_CLASS) for each in tree) == VFS, SECONDS
    )
    return cloud


def proved(cloud: Cloud, name: str) -> None:
    """A server gets a VF, and its guest has it; then it is deleted."""
    booted = cloud.boot(name)
    try:
        assert booted.status == "ACTIVE", booted.fault
        console = servers.wait_for_console(
            cloud.conn, booted.id, lambda shown: parse(shown).complete, SECONDS
        )
        ids = [function.id for function in parse(console).functions]
        assert ids.count(":".join(VF)) == 1
    finally:
        servers.delete_and_wait(cloud.conn, booted.id, SECONDS)


def test_a_vf_reaches_a_server(split: Cloud) -> None:
    """The plan makes the VFs, nova gives one, and the guest has it."""
    assert split.vfs() == VFS
    proved(split, "vf-before")


def test_the_vfs_are_there_again_before_nova(split: Cloud) -> None:
    """After a reboot of the node the unit has made the VFs before nova-compute started."""
    boot = split.node.ssh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=SECONDS).stdout
    split.node.reboot(boot.strip())
    queue = compute_queue(GPU_NODE.name)
    wait_for_consumers(split.lab, queue, some=True, timeout=SECONDS)
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
    proved(split, "vf-after")


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
