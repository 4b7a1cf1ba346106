"""Both cards in one IOMMU group behind a PCI bridge: together or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openstack.connection import Connection
from rich.console import Console

from wholecard.lab import gpu, prove
from wholecard.lab import lab as labs
from wholecard.lab.cloudside import start_cloud, write_configuration
from wholecard.lab.lab import Lab
from wholecard.lab.manifest import Manifest, read_manifest
from wholecard.lab.node import Node
from wholecard.lab.nodeside import Agent, configure_compute, power_on, prepare, reboot_and_verify
from wholecard.lab.offer import offer, wait_for_cards
from wholecard.lab.place import Place
from wholecard.lab.steps import Story
from wholecard.lab.up import begin

FUNCTIONS = ["0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"]
ALONE = ("--card", "0000:02:02.0")


@pytest.fixture(scope="module")
def story() -> Story:
    """Where the steps of this lab are told."""
    return Story(Console(width=110))


@pytest.fixture(scope="module")
def lab(place: Place, story: Story) -> Iterator[Lab]:
    """An empty lab of this layout."""
    yield begin(place, story, "bridge")
    labs.down(place)


@pytest.fixture(scope="module")
def node(lab: Lab, story: Story) -> Node:
    """A bare node of it."""
    return power_on(lab, story)


@pytest.fixture(scope="module")
def agent(node: Node, place: Place) -> Agent:
    """The agent, on the node."""
    agent = Agent(node)
    agent.install(place.run)
    return agent


@pytest.fixture(scope="module")
def bare(node: Node, agent: Agent) -> Manifest:
    """The files of the bare host, before anything of ours but the agent."""
    return read_manifest(node)


@pytest.fixture(scope="module")
def drop_ins(lab: Lab) -> dict[str, str]:
    """Every service's configuration, written; Wholecard's drop-ins by role."""
    return write_configuration(lab)


@pytest.fixture(scope="module")
def conn(lab: Lab, story: Story, drop_ins: dict[str, str]) -> Connection:
    """The control plane, with flavors and image."""
    conn = start_cloud(lab, story, lab.parts.seed)
    offer(lab, conn, story)
    return conn


@pytest.fixture(scope="module")
def prepared(
    lab: Lab, node: Node, story: Story, bare: Manifest, conn: Connection, drop_ins: dict[str, str]
) -> Node:
    """The node after plan, apply, nova.conf, its own reboot and verify."""
    agent = Agent(node)
    prepare(agent, story)
    configure_compute(lab, node, drop_ins["compute"])
    reboot_and_verify(node, agent, story)
    return node


def test_one_card_alone_is_refused_on_a_bare_host(node: Node, agent: Agent, bare: Manifest) -> None:
    """With the IOMMU off one card alone is refused by its predicted group; nothing is touched."""
    for command in ("plan", "apply"):
        answer = agent.run(command, *ALONE)
        assert answer.status == 1
        assert "WC107" in answer.stdout + answer.stderr
        assert "0000:02:01.0" in answer.stdout + answer.stderr
    assert read_manifest(node) == bare


def test_both_cards_are_prepared(prepared: Node, agent: Agent) -> None:
    """Both cards together are planned, applied, and verified after the reboot, in one group."""
    verdict = agent.json("verify")
    assert verdict["findings"] == []
    assert [(row["address"], row["driver"]) for row in verdict["evidence"]] == [
        (address, "vfio-pci") for address in FUNCTIONS
    ]
    assert len({row["group"] for row in verdict["evidence"]}) == 1


def test_one_card_alone_is_refused_by_its_group(prepared: Node, agent: Agent) -> None:
    """With the IOMMU on one card alone is refused by the kernel's own group; nothing is touched."""
    before = read_manifest(prepared)
    answer = agent.run("apply", *ALONE)
    assert answer.status == 1
    assert "WC107" in answer.stdout + answer.stderr
    assert read_manifest(prepared) == before


def test_both_cards_reach_a_server(
    lab: Lab, prepared: Node, story: Story, conn: Connection
) -> None:
    """A server gets both cards out of the one group, and its guest proves it."""
    wait_for_cards(conn, story)
    booted = prove.boot(conn, story, gpu.CARDS_FLAVOR, "both-cards")
    record = prove.read_proof(lab, conn, story, gpu.CARDS_FLAVOR, booted)
    assert record.as_it_should_be, prove.proof_text(record)
    assert {row.host_address for row in record.rows} == {"0000:02:01.0", "0000:02:02.0"}
    assert prove.delete(lab, conn, story, [booted]) == []


def test_rollback_restores_every_byte(prepared: Node, agent: Agent, bare: Manifest) -> None:
    """After rollback every file is what it was on the bare host: content, mode, owner, initrd."""
    assert agent.run("rollback", timeout=600).status == 0
    assert bare.difference(read_manifest(prepared)) == []
