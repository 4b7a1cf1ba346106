"""A node of the lab whose cards are split as a site file says."""

from __future__ import annotations

from pathlib import Path

from support.commands import wholecard
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.hypervisor import AGENT, Agent
from wholecard.lab.scenario.site_file import facts_file

# A call to an emulated node, seconds.
SECONDS = 1800
_DESIRED = "/root/desired.json"


def save_facts(node: LabNode, site: Path) -> None:
    """Write the node's facts of now where the site file names them."""
    facts = Agent(node).run("inspect", "--json").stdout
    site.with_name(facts_file(GPU_NODE.name)).write_text(facts)


def apply_site(node: LabNode, site: Path) -> None:
    """Prepare the node as the site file says, by our own commands."""
    desired = wholecard("site", "host", GPU_NODE.name, "--site", str(site))
    assert desired.status == 0, desired.stderr
    node.write(_DESIRED, desired.stdout.encode())
    applied = node.ssh([AGENT, "apply", "--desired", _DESIRED], timeout=SECONDS, check=False)
    assert applied.status == 0, applied.stdout + applied.stderr


def reboot(node: LabNode) -> None:
    """Reboot the node; returns when it answers by ssh."""
    boot = node.ssh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=SECONDS).stdout
    node.reboot(boot.strip())
