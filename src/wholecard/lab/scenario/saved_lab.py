"""A prepared lab kept in the cache and woken from it: memory and disk of each node, the databases.

The key of a saved lab has its nodes in it: a lab of one node and a lab of two are kept beside each
other, and a lab's nodes wake together.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

from openstack.connection import Connection

from wholecard.guest.image import bootable_disk
from wholecard.lab.base import cache, process
from wholecard.lab.base.ports import OUTER_ADDRESS
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.control.database_seed import SECRETS
from wholecard.lab.lab import SAVED_INSIDE, WOKEN_FROM, Lab, for_each_node, saved_kind
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario import control_plane
from wholecard.lab.scenario.cloud_plan import offer, wait_for_cards
from wholecard.lab.scenario.site_file import facts_file, kept_facts, write_site

# A node's files in its own folder and, with its name before them, in a saved lab.
MEMORY = "memory.state"
DISK = "disk.qcow2"


def save(lab: Lab, story: Story) -> bool:
    """Keep this moment in the cache for the next `lab up`; False where such a lab is kept already.

    Two labs of different names may come here at once: the second waits, and then saves nothing.
    """
    kind = saved_kind(lab.nodes)
    with cache.locked(lab.folder.cache / f"{kind}.lock", f"another lab is kept as {kind}"):
        if cache.is_whole(lab.saved_folder()):
            return False
        _save(lab, story)
        return True


def _save(lab: Lab, story: Story) -> None:
    """Each node's memory and disk, the databases, the images."""
    target = lab.saved_folder()
    partial = target.with_suffix(".partial")
    nodes = [lab.node(spec.name) for spec in lab.nodes]
    with story.step("save the prepared lab for the next `lab up`"):
        # A saved lab is of one version of the code: older ones of this kind are of no use.
        for stale in (partial, *lab.folder.cache.glob(f"{saved_kind(lab.nodes)}-*")):
            cache.remove_tree(stale)
        paused: list[LabNode] = []
        try:
            for node in nodes:
                (partial / node.spec.name).mkdir(mode=0o700, parents=True)
                node.ssh(["sync"], timeout=600)
                _wait_for_report(lab, node)
                paused.append(node)
                node.save(MEMORY, partial / node.spec.name)
            for node in nodes:
                shutil.copy2(node.folder / DISK, partial / node.spec.name / DISK)
            _copy_databases(lab, partial)
        finally:
            for node in paused:
                node.resume()
        for part in ("keystone", "glance"):
            shutil.copytree(lab.folder.run / part, partial / part)
        service_settings.write_private(partial / SECRETS, json.dumps(dict(lab.settings.secrets)))
        for name, facts in kept_facts(lab).items():
            service_settings.write_private(partial / facts_file(name), facts)
        names = [f"{node.spec.name}/{name}" for node in nodes for name in (MEMORY, DISK)]
        sizes = {name: (partial / name).stat().st_size for name in names}
        (partial / cache.MARKER).write_text(json.dumps({"sizes": sizes}))
        partial.rename(target)


def _wait_for_report(lab: Lab, node: LabNode) -> None:
    """Wait until a node's nova-compute has just reported, as it does every ten seconds.

    A call that is in progress when the node is saved is never answered to the node that resumes
    (nova: `report_interval`).
    """
    query = "select host, updated_at from nova.services where `binary` = 'nova-compute'"

    def report() -> list[list[str]]:
        return [row for row in lab.control.sql(query) if row[0] == node.spec.name]

    before = report()
    process.wait_until(
        lambda: report() != before,
        timeout=600, what=f"nova-compute of {node.spec.name} reports",
        log=lab.folder.logs / "nova-conductor.log",
    )  # fmt: skip


def _copy_databases(lab: Lab, target: Path) -> None:
    """MariaDB's files of one moment: its log flushed, the process stopped while they are copied.

    It recovers from such a copy as after a power failure (InnoDB crash recovery).
    """
    lab.control.sql("flush tables; flush engine logs;")
    members = process.running(lab.folder.run)["mariadb"].processes
    server = [member for member in members if member.name() == "mariadbd"]
    for member in server:
        member.send_signal(signal.SIGSTOP)
    try:
        shutil.copytree(lab.folder.run / "mysql", target / "mysql")
    finally:
        for member in server:
            member.send_signal(signal.SIGCONT)


def wake(lab: Lab, story: Story, saved: Path, *, own_disks: bool = False) -> Connection:
    """The saved lab on a copy of its databases and new disks over the saved ones.

    The nodes resume when the cloud is up: what nova-compute sends while no service listens is
    lost, and it waits for an answer until `rpc_response_timeout`. With `own_disks` a node's disk
    is a copy of the saved one, which may be saved again under another key.
    """
    control_plane.write_configuration(lab)
    facts = {spec.name: (saved / facts_file(spec.name)).read_text() for spec in lab.nodes}
    control_plane.write_drop_ins(lab, write_site(lab, facts))
    conn = control_plane.start_cloud(lab, story, saved)

    def resume(node: LabNode) -> None:
        with story.step(f"{lab.titled(node.spec)}: restore from its saved state") as step:
            inside = f"{SAVED_INSIDE}/{node.spec.name}"
            if own_disks:
                shutil.copy2(saved / node.spec.name / DISK, node.folder / DISK)
            else:
                bootable_disk.overlay(node.inside, f"{inside}/{DISK}", "qcow2", node.folder, DISK)
                (node.folder / WOKEN_FROM).write_text(str(saved))
            node.start(incoming=f"{inside}/{MEMORY}")
            _bring_to_date(node)
            step.note = "prepared and rebooted when it was saved"

    for_each_node(lab, resume, saved)
    offer(lab, conn, story)
    wait_for_cards(lab, conn, story)
    return conn


def _bring_to_date(node: LabNode) -> None:
    """Wait for a node that was woken, close its old connections and set its clock.

    It would notice only after a minute that its connections are dead (TCP keepalive).
    """
    node.wait_for_ssh()
    node.ssh(["ss", "--kill", "dst", OUTER_ADDRESS], timeout=600)
    node.ssh(["date", "-s", f"@{time.time():.0f}"], timeout=600)
