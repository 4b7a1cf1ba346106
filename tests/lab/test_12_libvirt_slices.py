"""Slices that nova does not know: the kernel's mbochs, split by the host, given by libvirt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.commands import wholecard
from support.lab_splits import SECONDS, apply_site, reboot, save_facts
from wholecard.cloud.client.waiting import wait_until
from wholecard.guest.proof.report import parse
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.node.node import LabNode
from wholecard.lab.parts.images import GUEST_DISK, guest_entry
from wholecard.lab.scenario.hypervisor import AGENT, Agent
from wholecard.lab.scenario.site_file import site_path

# Five minutes, with a reboot.
pytestmark = pytest.mark.long
MODULE, TYPE, SLICES = "mbochs", "mbochs-medium", 2
# A medium slice has 16 MiB of video memory (samples/vfio-mdev/mbochs.c, mbochs_types).
MEMORY = 16 * SLICES
IDS = "1234:1111"
DISK, CONSOLE = "/var/lib/libvirt/images/proof.qcow2", "/var/lib/libvirt/images/proof.log"
DOMAIN = f"""\
<domain type='kvm'>
  <name>slice</name>
  <memory unit='MiB'>192</memory>
  <vcpu>1</vcpu>
  <os><type machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{DISK}'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{CONSOLE}'/></serial>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci' display='off'>
      <source><address uuid='%s'/></source>
    </hostdev>
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Host:
    """The lab's node, its agent, a site file beside the lab's own, and a guest's disk."""

    node: LabNode
    agent: Agent
    site: Path
    disk: Path

    def devices(self) -> dict[str, str]:
        """The mediated devices that are there now: UUID and type."""
        script = 'cd /sys/bus/mdev/devices; for each in *; do [ -e "$each" ] || continue; '
        script += 'echo "$each" "$(basename "$(readlink "$each/mdev_type")")"; done'
        shown = self.node.ssh(["sh", "-c", script], timeout=SECONDS).stdout
        return dict(line.split(" ", 1) for line in shown.splitlines())


@pytest.fixture(scope="module")
def host(lab_folder: LabFolder) -> Iterator[Host]:
    """The node with the module, which is loaded at each boot, and the card given in two slices."""
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    lab = labs.require_up(lab_folder)
    node = lab.node(GPU_NODE.name)
    node.write(f"/etc/modules-load.d/lab-{MODULE}.conf", f"{MODULE}\n".encode())
    node.write(f"/etc/modprobe.d/lab-{MODULE}.conf", f"options {MODULE} count={MEMORY}\n".encode())
    node.ssh(["modprobe", MODULE], timeout=SECONDS)
    data = yaml.safe_load(site_path(lab).read_text())
    give = {"policy": "mdev", "types": {TYPE: SLICES}, "made_by": "host"}
    data["cards"]["slice"] = {"match": [{"parent": MODULE}], "give": give}
    path = site_path(lab).with_name("slices.yaml")
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    yield Host(node, Agent(node), path, guest_entry(lab.folder, lab.parts.root) / GUEST_DISK)
    labs.down(lab_folder)


def test_made_and_made_again(host: Host) -> None:
    """The plan makes both slices; at the next boot the unit has made the same again."""
    assert host.devices() == {}
    save_facts(host.node, host.site)
    apply_site(host.node, host.site)
    made = host.devices()
    assert list(made.values()) == [TYPE] * SLICES
    reboot(host.node)
    (card,) = json.loads(host.agent.run("status", "--json").stdout)["splits"]["cards"]
    assert (card["state"], card["why"]) == ("made", "")
    assert host.devices() == made


def test_a_domain_has_a_slice(host: Host) -> None:
    """A domain gets a slice, which is not ended then; its guest has a display card of 16 MiB."""
    host.node.write(DISK, host.disk.read_bytes())
    host.node.write("/root/slice.xml", (DOMAIN % min(host.devices())).encode())
    host.node.virsh("create", "/root/slice.xml", timeout=SECONDS)

    def shown() -> str | None:
        console = host.node.ssh(["cat", CONSOLE], timeout=SECONDS).stdout
        return console if parse(console).complete else None

    try:
        proof = parse(wait_until("the guest's report is complete", shown, SECONDS))
        (slice_,) = [each for each in proof.functions if each.id == IDS]
        assert 16 << 20 in slice_.bars
        # What a domain has is not ended.
        rolled = host.node.ssh([AGENT, "rollback"], timeout=SECONDS, check=False)
        assert rolled.status == 1
        assert "is in use: the running domain slice has it" in rolled.stderr
    finally:
        host.node.virsh("destroy", "slice", timeout=SECONDS)


def test_rollback_ends_the_slices(host: Host) -> None:
    """Rollback ends both slices; nothing of them is left."""
    rolled = host.node.ssh([AGENT, "rollback"], timeout=SECONDS, check=False)
    assert rolled.status == 0, rolled.stdout + rolled.stderr
    assert host.devices() == {}
