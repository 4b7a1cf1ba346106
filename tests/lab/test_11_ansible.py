"""The Ansible collection on the lab's node: by ssh, with real reboots.

tests/collection runs the same modules on trees of files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from build_collection import build_collection
from rich.console import Console

from support.ansible_core import Ansible
from support.lab_ssh import ssh_config
from support.wholecard_installed import EPOCH
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE, Topology
from wholecard.lab.base.steps import Story
from wholecard.lab.node.manifest import read_manifest
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.hypervisor import Agent, power_on
from wholecard.lab.scenario.up import begin

# Five minutes, with two reboots.
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here"),
]
# The node is emulated on one CPU: a boot takes minutes, a module half of one.
SECONDS = 3600


@dataclass(frozen=True)
class Play:
    """A bare node, the agent on it to look with, and Ansible with the collection."""

    node: LabNode
    agent: Agent
    ansible: Ansible
    inventory: Path

    def book(self, name: str, *words: str) -> str:
        """What a playbook of the collection prints."""
        return self.ansible.run("ansible-playbook", "-i", self.inventory, *words, name)

    def drivers(self) -> set[str]:
        """The drivers of the cards' functions."""
        facts = self.agent.json("inspect")
        slots = tuple(f"{card['slot']}." for card in facts["cards"])
        return {str(each["driver"]) for each in facts["functions"]
                if each["address"].startswith(slots)}  # fmt: skip


@pytest.fixture(scope="module")
def play(lab_folder: LabFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """A new node, and an inventory that reaches it by the lab's own ssh configuration."""
    story = Story(Console(width=110))
    lab = begin(lab_folder, story, Topology.TOGETHER)
    node = power_on(lab, story)
    agent = Agent(node)
    agent.install(lab_folder.run)
    folder = tmp_path_factory.mktemp("play")
    ansible = Ansible(folder)
    archive = build_collection(folder, EPOCH)
    ansible.run("ansible-galaxy", "collection", "install", "--offline", archive, "-p",
                ansible.collections)  # fmt: skip
    variables = {
        "ansible_ssh_common_args": f"-F {ssh_config(lab, folder)}",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_timeout": 120,
        "wholecard_reboot_timeout": SECONDS,
        # ssh is root's there, and the node has no sudo.
        "wholecard_become": False,
    }
    inventory = folder / "inventory.json"
    hosts: dict[str, dict[str, str]] = {GPU_NODE.name: {}}
    inventory.write_text(json.dumps({"gpu_hosts": {"hosts": hosts, "vars": variables}}))
    yield Play(node, agent, ansible, inventory)
    labs.down(lab_folder)


def test_a_day(play: Play) -> None:
    """Check mode touches nothing; then prepared, rebooted, verified; again nothing; rolled back."""
    bare, drivers = read_manifest(play.node), play.drivers()
    predicted = play.book("wholecard.gpu.prepare", "--check", "--diff")
    assert "+softdep snd_hda_intel pre: vfio-pci" in predicted
    assert bare.difference(read_manifest(play.node)) == []

    boot = play.node.ssh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=SECONDS).stdout
    assert "changed=2" in play.book("wholecard.gpu.prepare")
    assert play.node.ssh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=SECONDS).stdout != boot
    assert "vfio-pci" in play.drivers()
    assert play.agent.json("verify")["findings"] == []

    assert "changed=0" in play.book("wholecard.gpu.prepare")

    assert "changed=2" in play.book("wholecard.gpu.roll_back")
    assert bare.difference(read_manifest(play.node)) == []
    assert play.drivers() == drivers


def test_facts(play: Play, tmp_path: Path) -> None:
    """The facts that are saved on the controller are those of the node."""
    play.book("wholecard.gpu.facts", "-e", f"facts_folder={tmp_path}")
    saved = json.loads((tmp_path / f"{GPU_NODE.name}.json").read_text())
    assert saved["functions"] == play.agent.json("inspect")["functions"]
