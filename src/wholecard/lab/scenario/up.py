"""`lab up`: a node with prepared cards and a cloud that answers; saved once, then resumed."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.guest.image import bootable_disk
from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE, Topology
from wholecard.lab.base.ports import OUTER_ADDRESS
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.control.database_seed import SECRETS
from wholecard.lab.lab import SAVED_INSIDE, Lab
from wholecard.lab.node.manifest import Manifest, read_manifest
from wholecard.lab.scenario import control_plane, hypervisor
from wholecard.lab.scenario.cloud_plan import offer, wait_for_cards, wait_until_listening
from wholecard.lab.scenario.control_plane import DropIns
from wholecard.lab.scenario.lint_and_explain import linted
from wholecard.lab.scenario.site_file import facts_file, site_path, write_site

# A node's files in its own folder and, with its name before them, in a saved lab.
MEMORY = "memory.state"
DISK = "disk.qcow2"


def up(
    folder: LabFolder, story: Story, topology: Topology = Topology.APART
) -> tuple[Lab, Connection]:
    """A lab whose cards are free and prepared, and whose cloud answers. Idempotent.

    A lab that is whole is left as it is; a service that died is started again; anything else
    begins anew from the cache. Raises LabError and what the steps raise.
    """
    with cache.locked(folder.lock, "another `lab up` is running", timeout=1800):
        lab = _running_lab(folder, topology)
        if lab is not None:
            return lab, _restart_dead_services(lab, story)
        with nothing_half(folder):
            lab = begin(folder, story, topology)
            saved = _saved_folder(lab)
            if cache.is_whole(saved):
                conn = _wake(lab, story, saved)
            else:
                conn, _ = bare_to_ready(lab, story)
            labs.write_state(lab, labs.UP)
        return lab, conn


def _running_lab(folder: LabFolder, topology: Topology) -> Lab | None:
    """The lab that is up with this topology and whose nodes all run; None where there is none."""
    lab, state = labs.current(folder) or (None, "")
    if lab is None or state != labs.UP:
        return None
    if any(spec.topology != topology or not lab.node(spec.name).is_running() for spec in lab.nodes):
        return None
    return lab


def begin(folder: LabFolder, story: Story, topology: Topology) -> Lab:
    """An empty lab: what ran is ended, all parts exist, nothing is started yet."""
    labs.down(folder)
    parts = labs.build_parts(folder, story)
    with story.step("KVM or emulation for the node") as step:
        accelerator, why = labs.choose_accelerator(folder, parts.root)
        step.note = f"{accelerator}: {why}"
    lab = labs.new_lab(folder, parts, topology, accelerator)
    labs.write_state(lab, "starting")
    return lab


@contextmanager
def nothing_half(folder: LabFolder) -> Iterator[None]:
    """End every process of the lab when the block fails or is interrupted; its logs stay."""
    try:
        yield
    except BaseException:
        labs.down(folder)
        raise


def bare_to_ready(lab: Lab, story: Story) -> tuple[Connection, Manifest]:
    """The whole way: control plane and bare node in parallel, host prepared, cards in Placement.

    The prepared lab is saved for the next `lab up` where it is not yet. Returns the bare node's
    files too, to compare them after a rollback.
    """
    control_plane.write_configuration(lab)
    drop_ins: Future[DropIns] = Future()
    bare: list[Manifest] = []

    def node_side(cloud: Future[Connection]) -> None:
        try:
            node = hypervisor.power_on(lab, story)
            agent = hypervisor.Agent(node)
            facts = {node.spec.name: hypervisor.look(agent, story, lab.folder.run)}
            drop_ins.set_result(render_from(lab, story, facts))
        except BaseException as error:
            # The thread that waits for them fails too.
            drop_ins.set_exception(error)
            raise
        bare.append(read_manifest(node))
        hypervisor.prepare(agent, story)
        hypervisor.configure_compute(lab, node)
        # nova-compute starts with this boot. One that finds no Placement in the catalog never
        # looks again (seen with nova 34).
        cloud.result()
        hypervisor.reboot_and_verify(node, agent, story)
        # The facts of the node as it is now, prepared.
        write_site(lab, {node.spec.name: agent.run("inspect", "--json").stdout})

    def cloud_side() -> Connection:
        conn = control_plane.start_cloud(lab, story, lab.parts.seed, drop_ins)
        offer(lab, conn, story)
        return conn

    conn = side_by_side(lab, node_side, cloud_side)
    wait_for_cards(lab, conn, story)
    if not cache.is_whole(_saved_folder(lab)):
        save(lab, story)
        # While the node was paused nova-compute may have missed its report.
        wait_for_cards(lab, conn, story)
    return conn, bare[0]


def render_from(lab: Lab, story: Story, facts: Mapping[str, str]) -> DropIns:
    """The site file with the nodes' facts (JSON, by name), and every role's drop-in from it."""
    with story.step("node: nova.conf.d rendered from site.yaml and its facts") as step:
        file = write_site(lab, facts)
        drop_ins = control_plane.write_drop_ins(lab, file)
        step.saw("site.yaml", file.path.read_text())
        for role, text in drop_ins.items():
            step.saw(f"wholecard nova render --role {role}", text)
    with story.step("node: nova lint, before anything starts with it") as step:
        shown = linted(lab, file)
        step.saw("wholecard nova lint", shown.text)
        step.note = f"{len(shown.findings)} findings"
        if shown.findings:
            raise LabError("nova lint has findings in what was rendered", shown.text)
    return drop_ins


def side_by_side(
    lab: Lab, node_side: Callable[[Future[Connection]], None], cloud_side: Callable[[], Connection]
) -> Connection:
    """Run both sides to their end; the node's may wait for the cloud's.

    When one fails, the lab's processes are ended, so that the other, which waits for a service or
    for the node, fails too; the first error is raised.
    """
    with ThreadPoolExecutor(2) as pool:
        cloud = pool.submit(cloud_side)
        node = pool.submit(node_side, cloud)
        sides: list[Future[Any]] = [cloud, node]
        for side in wait(sides, return_when=FIRST_EXCEPTION).done:
            if side.exception() is not None:
                process.stop(lab.folder.run)
                side.result()
        return cloud.result()


def _restart_dead_services(lab: Lab, story: Story) -> Connection:
    """Start what died of the control plane again; where nothing did, only Keystone is asked."""
    alive = process.running(lab.folder.run)
    if "mariadb" not in alive:
        with story.step("cloud: restart MariaDB"):
            lab.control.start_mariadb()
    if "rabbitmq" not in alive:
        with story.step("cloud: restart RabbitMQ"):
            lab.control.start_rabbitmq()
    conn = control_plane.start_services(lab, story)
    wait_until_listening(lab, story)
    return conn


def _saved_folder(lab: Lab) -> Path:
    key = lab.parts.key(lab.nodes, lab.accelerator)
    return lab.folder.cache / f"saved-{lab.nodes[0].topology}-{key}"


def save(lab: Lab, story: Story) -> None:
    """Keep this moment in the cache: the node's memory and disk, the databases, the images."""
    node = lab.node(GPU_NODE.name)
    target = _saved_folder(lab)
    partial = target.with_suffix(".partial")
    with story.step("save the prepared lab for the next `lab up`"):
        # A saved lab is of one version of the code: older ones of this topology are of no use.
        for stale in (partial, *lab.folder.cache.glob(f"saved-{node.spec.topology}-*")):
            cache.remove_tree(stale)
        (partial / node.spec.name).mkdir(mode=0o700, parents=True)
        node.ssh(["sync"], timeout=60)
        _wait_for_report(lab)
        node.save(MEMORY, partial / node.spec.name)
        try:
            shutil.copy2(node.folder / DISK, partial / node.spec.name / DISK)
            _copy_databases(lab, partial)
        finally:
            node.resume()
        for part in ("keystone", "glance"):
            shutil.copytree(lab.folder.run / part, partial / part)
        service_settings.write_private(partial / SECRETS, json.dumps(dict(lab.settings.secrets)))
        facts = site_path(lab).with_name(facts_file(node.spec.name))
        shutil.copy2(facts, partial / facts.name)
        names = [f"{node.spec.name}/{name}" for name in (MEMORY, DISK)]
        sizes = {name: (partial / name).stat().st_size for name in names}
        (partial / cache.MARKER).write_text(json.dumps({"sizes": sizes}))
        partial.rename(target)


def _wait_for_report(lab: Lab) -> None:
    """Wait until nova-compute has just reported, as it does every ten seconds (report_interval).

    A call that is in progress when the node is saved is never answered to the node that resumes.
    """
    query = "select updated_at from nova.services where `binary` = 'nova-compute'"
    before = lab.control.sql(query)
    process.wait_until(
        lambda: lab.control.sql(query) != before,
        timeout=120, what="nova-compute reports", log=lab.folder.logs / "nova-conductor.log",
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


def _wake(lab: Lab, story: Story, saved: Path) -> Connection:
    """The saved lab on a copy of its databases and a new disk over the saved one.

    The node resumes when the cloud is up: what nova-compute sends while no service listens is
    lost, and it waits for an answer until `rpc_response_timeout`. Its old connections are closed,
    because it would notice only after a minute that they are dead (TCP keepalive).
    """
    control_plane.write_configuration(lab)
    node = lab.node(GPU_NODE.name, saved)
    facts = (saved / facts_file(node.spec.name)).read_text()
    control_plane.write_drop_ins(lab, write_site(lab, {node.spec.name: facts}))
    conn = control_plane.start_cloud(lab, story, saved)
    with story.step("node: restore from its saved state") as step:
        files = f"{SAVED_INSIDE}/{node.spec.name}"
        bootable_disk.overlay(node.inside, f"{files}/{DISK}", "qcow2", node.folder, DISK)
        node.start(incoming=f"{files}/{MEMORY}")
        node.wait_for_ssh()
        node.ssh(["ss", "--kill", "dst", OUTER_ADDRESS], timeout=30)
        node.ssh(["date", "-s", f"@{time.time():.0f}"], timeout=30)
        step.note = "prepared and rebooted when it was saved"
    offer(lab, conn, story)
    wait_for_cards(lab, conn, story)
    return conn
