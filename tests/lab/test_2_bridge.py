"""Both cards in one IOMMU group behind a PCI bridge: together or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection
from rich.console import Console

from support.commands import wholecard
from support.lab_ssh import ssh_config
from wholecard.host.facts.host import Host
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE, Topology
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.node.manifest import Manifest, read_manifest
from wholecard.lab.node.node import LabNode, newcomer
from wholecard.lab.scenario import emulated_gpu, prove_cards
from wholecard.lab.scenario.cloud_plan import offer, wait_for_cards
from wholecard.lab.scenario.control_plane import DropIns, start_cloud, write_configuration
from wholecard.lab.scenario.hypervisor import (
    Agent,
    configure_compute,
    power_on,
    prepare,
    reboot_and_verify,
)
from wholecard.lab.scenario.up import begin, render_from

FUNCTIONS = ["0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"]
ALONE = ("--card", "0000:02:02.0")
# The same functions when a root port before theirs has taken a bus.
MOVED = ["0000:03:01.0", "0000:03:01.1", "0000:03:02.0", "0000:03:02.1"]

# Gives functions to the drivers that they would have without us.
GIVE_BACK = """
set -e
modprobe snd_hda_intel
for address; do
  echo > "/sys/bus/pci/devices/$address/driver_override"
  echo "$address" > "/sys/bus/pci/devices/$address/driver/unbind"
  echo "$address" > /sys/bus/pci/drivers_probe
done
"""
# Ready when the file is open; systemd-run returns then.
HOLD = """
import subprocess, sys, time
held = open(sys.argv[1], "r+b", buffering=0)
subprocess.run(["systemd-notify", "--ready"], check=True, timeout=600)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def story() -> Story:
    """Where the steps of this lab are printed."""
    return Story(Console(width=110))


@pytest.fixture(scope="module")
def lab(lab_folder: LabFolder, story: Story) -> Iterator[Lab]:
    """An empty lab of this topology."""
    yield begin(lab_folder, story, Topology.TOGETHER)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def node(lab: Lab, story: Story) -> LabNode:
    """A bare node of it."""
    return power_on(lab, story)


@pytest.fixture(scope="module")
def agent(node: LabNode, lab_folder: LabFolder) -> Agent:
    """The agent, on the node."""
    agent = Agent(node)
    agent.install(lab_folder.run)
    return agent


@pytest.fixture(scope="module")
def bare(node: LabNode, agent: Agent) -> Manifest:
    """The files of the bare host, before anything of ours but the agent."""
    return read_manifest(node)


@pytest.fixture(scope="module")
def bare_host(node: LabNode, agent: Agent) -> Host:
    """The facts of the bare host."""
    return Host.from_json(agent.json("inspect"))


@pytest.fixture(scope="module")
def drop_ins(lab: Lab, story: Story, agent: Agent) -> DropIns:
    """Every service's configuration, written; Wholecard's drop-ins from the bare host's facts."""
    write_configuration(lab)
    return render_from(lab, story, {GPU_NODE.name: agent.run("inspect", "--json").stdout})


@pytest.fixture(scope="module")
def conn(lab: Lab, story: Story, drop_ins: DropIns) -> Connection:
    """The control plane, with flavors and image."""
    conn = start_cloud(lab, story, lab.parts.seed)
    offer(lab, conn, story)
    return conn


@pytest.fixture(scope="module")
def prepared(
    lab: Lab,
    node: LabNode,
    story: Story,
    bare: Manifest,
    bare_host: Host,
    conn: Connection,
    drop_ins: DropIns,
) -> LabNode:
    """The node after plan, apply, nova.conf, its own reboot and verify."""
    agent = Agent(node)
    prepare(agent, story)
    configure_compute(lab, node)
    reboot_and_verify(node, agent, story)
    return node


def test_one_card_alone_is_refused_on_a_bare_host(
    node: LabNode, agent: Agent, bare: Manifest
) -> None:
    """With the IOMMU off one card alone is refused by its predicted group; nothing is touched."""
    for command in ("plan", "apply"):
        answer = agent.run(command, *ALONE)
        assert answer.status == 1
        assert "WC107" in answer.stdout + answer.stderr
        assert "0000:02:01.0" in answer.stdout + answer.stderr
    assert read_manifest(node) == bare


def test_both_cards_are_prepared(prepared: LabNode, agent: Agent) -> None:
    """Both cards together are planned, applied, and verified after the reboot, in one group."""
    verdict = agent.json("verify")
    assert verdict["findings"] == []
    assert [(row["address"], row["driver"]) for row in verdict["evidence"]] == [
        (address, "vfio-pci") for address in FUNCTIONS
    ]
    assert len({row["group"] for row in verdict["evidence"]}) == 1


def test_one_card_alone_is_refused_by_its_group(prepared: LabNode, agent: Agent) -> None:
    """With the IOMMU on one card alone is refused by the kernel's own group; nothing is touched."""
    before = read_manifest(prepared)
    answer = agent.run("apply", *ALONE)
    assert answer.status == 1
    assert "WC107" in answer.stdout + answer.stderr
    assert read_manifest(prepared) == before


def test_both_cards_reach_a_server(
    lab: Lab, prepared: LabNode, story: Story, conn: Connection
) -> None:
    """A server gets both cards out of the one group, and its guest proves it."""
    wait_for_cards(lab, conn, story)
    booted = prove_cards.boot(conn, story, emulated_gpu.CARDS_FLAVOR, "both-cards")
    record = prove_cards.read_proof(lab, conn, story, emulated_gpu.CARDS_FLAVOR, booted)
    assert record.as_it_should_be, prove_cards.proof_text(record)
    assert {row.host_address for row in record.rows} == {"0000:02:01.0", "0000:02:02.0"}
    assert prove_cards.delete(lab, conn, story, [booted]) == []


def test_a_card_elsewhere_moves_no_binding(prepared: LabNode, agent: Agent) -> None:
    """Where a card put in before the others renumbers their buses they are claimed all the same.

    `verify` finds them by their slots, and says that they have other addresses now (WC140).
    """
    prepared.power_off()
    prepared.start(added=newcomer())
    prepared.wait_for_ssh()
    verdict = agent.json("verify")
    assert [(row["address"], row["driver"]) for row in verdict["evidence"]] == [
        (address, "vfio-pci") for address in MOVED
    ]
    assert [(each["rule"], each["subject"]) for each in verdict["findings"]] == [
        ("WC140", address) for address in MOVED
    ]


def test_rollback_restores_every_byte(prepared: LabNode, agent: Agent, bare: Manifest) -> None:
    """After rollback every file is what it was on the bare host: content, mode, owner, initrd."""
    assert agent.run("rollback", timeout=600).status == 0
    assert bare.difference(read_manifest(prepared)) == []


def test_a_card_in_use_is_not_bound_now(prepared: LabNode, agent: Agent) -> None:
    """`apply --now` is refused while a process has the group's file open (WC150)."""
    native = [address for address in MOVED if address.endswith(".1")]
    prepared.ssh(["sh", "-c", GIVE_BACK, "sh", *native], timeout=600)
    assert [driver_of(prepared, address) for address in native] == ["snd_hda_intel"] * 2
    before = read_manifest(prepared)
    prepared.ssh(["systemd-run", "--unit=holder", "--service-type=notify",
                  "--property=NotifyAccess=all", "python3", "-c", HOLD,
                  group_of(prepared, MOVED[0])], timeout=600)  # fmt: skip
    try:
        answer = agent.run("apply", "--all-cards", "--now")
    finally:
        prepared.ssh(["systemctl", "stop", "holder"], timeout=600)
    assert answer.status == 1
    assert "WC150" in answer.stdout + answer.stderr
    assert "python3" in answer.stdout + answer.stderr
    assert before.difference(read_manifest(prepared)) == []
    assert [driver_of(prepared, address) for address in native] == ["snd_hda_intel"] * 2


def test_binding_now_and_back(prepared: LabNode, agent: Agent, bare: Manifest) -> None:
    """`apply --now` binds every function in the running kernel; rollback gives each back."""
    before = [driver_of(prepared, address) for address in MOVED]
    assert agent.run("apply", "--all-cards", "--now", timeout=600).status == 0
    assert [driver_of(prepared, address) for address in MOVED] == ["vfio-pci"] * 4
    assert agent.json("status")["state"] == "applied"
    assert agent.run("rollback", timeout=600).status == 0
    assert [driver_of(prepared, address) for address in MOVED] == before
    assert bare.difference(read_manifest(prepared)) == []


def test_the_host_is_bare_again(prepared: LabNode, agent: Agent, bare_host: Host) -> None:
    """The boot after the rollback is a bare host's: drivers, IOMMU, kernel arguments."""
    prepared.power_off()
    prepared.start()
    prepared.wait_for_ssh()
    host = Host.from_json(agent.json("inspect"))
    assert not host.iommu.on
    assert host.boot.command_line == bare_host.boot.command_line
    assert host.settings == bare_host.settings
    drivers = [(each.address, each.driver) for each in host.functions]
    assert drivers == [(each.address, each.driver) for each in bare_host.functions]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here")
def test_the_node_by_ssh(lab: Lab, prepared: LabNode, agent: Agent, tmp_path: Path) -> None:
    """`wholecard --on` sends the agent to the node and answers what it answers there."""
    config = ssh_config(lab, tmp_path)
    asked = ("--ssh-config", str(config), "--on", GPU_NODE.name)
    remote = wholecard(*asked, "inspect", "--json", timeout=300)
    assert remote.status == 0, remote.stderr
    assert json.loads(remote.stdout)["functions"] == agent.json("inspect")["functions"]
    checked = wholecard(*asked, "check", timeout=300)
    assert (checked.status, "WC101" in checked.stdout) == (1, True)


def driver_of(node: LabNode, address: str) -> str:
    """The driver that has a function of the node, empty for none."""
    link = node.ssh(
        ["readlink", f"/sys/bus/pci/devices/{address}/driver"], timeout=600, check=False
    )
    return link.stdout.strip().rpartition("/")[2]


def group_of(node: LabNode, address: str) -> str:
    """The file of a function's IOMMU group."""
    link = node.ssh(["readlink", f"/sys/bus/pci/devices/{address}/iommu_group"], timeout=600)
    return "/dev/vfio/" + link.stdout.strip().rpartition("/")[2]
