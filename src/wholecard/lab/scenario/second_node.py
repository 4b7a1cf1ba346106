"""A second hypervisor for a lab of one: booted from a copy of the first one's prepared disk."""

from __future__ import annotations

import shutil
from dataclasses import replace

from openstack.connection import Connection

from wholecard.core import Finding
from wholecard.core.report_text import findings_text
from wholecard.lab.base import process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.cloud_plan import wait_for_cards
from wholecard.lab.scenario.hypervisor import Agent
from wholecard.lab.scenario.restart import COMPUTE_SECONDS, compute_queue, wait_for_consumers
from wholecard.lab.scenario.saved_lab import DISK, save, wake
from wholecard.lab.scenario.site_file import kept_facts, write_site


def first_alone(lab: Lab) -> Lab:
    """The same lab with its first node only."""
    return replace(lab, nodes=lab.nodes[:1])


def add_second_node(lab: Lab, conn: Connection, story: Story) -> None:
    """Boot the second node of a lab whose first one runs and was saved; save the lab of both.

    Its disk is a copy of the saved first one's. Everything that the two must not share it reads
    from its firmware at its boot, before any service starts; nova-compute then registers itself,
    and nova-scheduler maps the new host (`discover_hosts_in_cells_interval`).
    """
    first, second = lab.nodes
    saved = lab.saved_folder(1)
    node = lab.node(second.name)
    with story.step(f"{lab.titled(second)}: boot from a copy of {first.name}'s disk") as step:
        shutil.copy2(saved / first.name / DISK, node.folder / DISK)
        node.start()
        node.wait_for_ssh()
        step.saw("QEMU's command line", "\n".join(node.command()))
        step.note = f"{lab.accelerator}, cards: {second.topology}"
    with story.step(f"{lab.titled(second)}: host verify") as step:
        facts = _verified_facts(node)
    write_site(lab, {**kept_facts(lab), second.name: facts})
    wait_for_cards(lab, conn, story)
    if save(lab, story):
        wait_for_cards(lab, conn, story)


def wake_first(lab: Lab, story: Story) -> Connection:
    """The first node of a lab of two, woken from the saved lab of one."""
    return wake(first_alone(lab), story, lab.saved_folder(1), own_disks=True)


def _verified_facts(node: LabNode) -> str:
    """The node's facts as JSON; LabError where its cards are not ready."""
    agent = Agent(node)
    verified = agent.json("verify")
    findings = [Finding.from_json(finding) for finding in verified["findings"]]
    if findings:
        raise LabError(f"the cards of {node.spec.name} are not ready", findings_text(findings))
    return agent.run("inspect", "--json").stdout


def kill_node(lab: Lab, name: str) -> None:
    """End a node's QEMU at once, as a power failure does; its disk stays."""
    process.stop(lab.folder.run, [name])


def start_killed_node(lab: Lab, name: str, timeout: float = COMPUTE_SECONDS) -> LabNode:
    """Power a node on again that was killed; returns when its nova-compute takes requests.

    It boots anew from its own disk, with its drivers bound as its initramfs binds them.
    """
    node = lab.node(name)
    node.start()
    node.wait_for_ssh()
    wait_for_consumers(lab, compute_queue(name), some=True, timeout=timeout)
    return node
