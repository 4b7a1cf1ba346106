"""What is done on a node: from a bare host to one whose cards are ready for guests.

Everything on the node is done by the agent, `wholecard-host.pyz`, as an operator would do it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Finding, Result
from wholecard.core.report_text import findings_text
from wholecard.guest.image import bootable_disk
from wholecard.host.agent.facts_text import host_text
from wholecard.host.agent.results_text import evidence_text
from wholecard.host.agent.zipapp import build_agent
from wholecard.host.changing.verify import BindingEvidence
from wholecard.host.facts.host import Host
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.base.steps import LabStep, Story
from wholecard.lab.lab import IMAGE_INSIDE, Lab
from wholecard.lab.node.manifest import Manifest, read_manifest
from wholecard.lab.node.node import LabNode
from wholecard.lab.parts.images import NODE_DISK
from wholecard.lab.scenario.control_plane import DROP_IN, conf_paths

AGENT = "/usr/local/bin/wholecard-host"
# update-initramfs and update-grub under emulation.
APPLY_SECONDS = 1800


@dataclass(frozen=True)
class Agent:
    """The agent on a node."""

    node: LabNode

    def install(self, scratch: Path) -> None:
        """Build the agent from this very package and put it onto the node."""
        pyz = build_agent(scratch / "wholecard-host.pyz")
        self.node.write(AGENT, pyz.read_bytes(), 0o755)

    def run(self, *words: str, timeout: float = 900) -> Result:
        """Run a command of the agent; status 1 (findings) is an answer, not an error."""
        answer = self.node.ssh([AGENT, *words], timeout=timeout, check=False)
        # Every command of the agent ends with 0 (all well) or 1 (findings).
        if answer.status not in (0, 1):
            raise LabError(
                f"wholecard-host {' '.join(words)} failed on {self.node.spec.name} with "
                f"{answer.status}",
                (answer.stderr or answer.stdout).strip(),
                f"Run it there to see why: wholecard lab shell --node {self.node.spec.name}",
            )
        return answer

    def json(self, *words: str, timeout: float = 900) -> dict[str, Any]:
        """What a command of the agent answers as JSON; raises LabError where it is not JSON."""
        answer = self.run(*words, "--json", timeout=timeout)
        try:
            data: dict[str, Any] = json.loads(answer.stdout)
        except ValueError as error:
            raise LabError(
                f"wholecard-host {' '.join(words)} answered no JSON", answer.stdout + answer.stderr
            ) from error
        return data


def power_on(lab: Lab, story: Story, name: str = GPU_NODE.name) -> LabNode:
    """The node of this name, new from the image, booted by its own GRUB with its IOMMU off."""
    node = lab.node(name)
    with story.step("node: power on, boot, ssh") as step:
        image = f"{IMAGE_INSIDE}/{NODE_DISK}"
        bootable_disk.overlay(node.inside, image, "raw", node.folder, "disk.qcow2")
        node.start()
        node.wait_for_ssh()
        step.note = f"{lab.accelerator}, cards: {node.spec.topology}"
        step.saw("QEMU's command line", "\n".join(node.command()))
    return node


def look(agent: Agent, story: Story, scratch: Path) -> str:
    """`inspect` and `check` of the bare host, both printed; returns the facts as JSON."""
    with story.step("node: inspect and check") as step:
        agent.install(scratch)
        facts = agent.run("inspect", "--json").stdout
        host = Host.from_json(json.loads(facts))
        checked = agent.json("check", "--all-cards")
        findings = [Finding.from_json(finding) for finding in checked["findings"]]
        step.saw("wholecard inspect", host_text(host))
        step.saw("wholecard check --all-cards", findings_text(findings))
        step.note = f"{len(host.cards)} cards, {len(findings)} findings"
    _tell(story, step)
    return facts


def prepare(agent: Agent, story: Story) -> None:
    """`host plan`, with its reasons, and `host apply`."""
    with story.step("node: host plan") as step:
        planned = agent.run("plan", "--all-cards").stdout
        step.saw("wholecard host plan --all-cards", planned)
    _tell(story, step)
    with story.step("node: host apply (initramfs, GRUB)") as step:
        applied = agent.run("apply", "--all-cards", timeout=APPLY_SECONDS)
        step.saw("wholecard host apply --all-cards", applied.stderr + applied.stdout)


def configure_compute(lab: Lab, node: LabNode) -> None:
    """Copy nova-compute's files from the lab's folder to a node; its next start reads them."""
    nova_conf, drop_in = conf_paths(lab, "compute")
    node.write("/etc/nova/nova.conf", nova_conf.read_bytes(), 0o600)
    node.write(f"/etc/nova/{DROP_IN}", drop_in.read_bytes())


def reboot_and_verify(node: LabNode, agent: Agent, story: Story) -> None:
    """The node's own reboot, through GRUB and its initramfs; then `verify` function by function."""
    with story.step("node: reboot through its own GRUB and initramfs"):
        boot = node.ssh(["cat", "/proc/sys/kernel/random/boot_id"], timeout=600).stdout.strip()
        node.reboot(boot)
    with story.step("node: host verify") as step:
        verified = agent.json("verify")
        findings = [Finding.from_json(finding) for finding in verified["findings"]]
        evidence = [BindingEvidence(**row) for row in verified["evidence"]]
        shown = f"{evidence_text(evidence)}\n\n{findings_text(findings)}"
        step.saw("wholecard host verify", shown)
        log = node.ssh(["sh", "-c", "dmesg | grep -E 'wholecard:|vfio|DMAR|iommu' || true"],
                       timeout=600).stdout  # fmt: skip
        step.saw("the node's kernel log", log)
        if findings:
            raise LabError(f"the cards of {node.spec.name} are not ready", findings_text(findings))
        step.note = f"{len(evidence)} functions on vfio-pci since boot"
    _tell(story, step, only=1)


def roll_back(node: LabNode, agent: Agent, story: Story, before: Manifest) -> None:
    """`host rollback`; every file that a plan may change is compared with `before`."""
    with story.step("node: host rollback, compared byte for byte") as step:
        answer = agent.run("rollback", timeout=APPLY_SECONDS)
        difference = before.difference(read_manifest(node))
        step.saw("wholecard host rollback", answer.stderr + answer.stdout)
        step.saw("files that differ from the bare host's", "\n".join(difference) or "none")
        if answer.status != 0 or difference:
            raise LabError(
                f"files of {node.spec.name} differ from before apply",
                "\n".join(difference) or answer.stderr,
            )
        step.note = f"{len(before.paths)} files and folders as they were"
    _tell(story, step, only=1)


def _tell(story: Story, step: LabStep, only: int | None = None) -> None:
    for title, text in step.evidence[:only]:
        story.say(text, title=f"$ {title}")
