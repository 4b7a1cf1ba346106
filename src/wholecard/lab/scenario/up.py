"""`lab up`: nodes with prepared cards and a cloud that answers; saved once, then resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from openstack.connection import Connection

from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import Topology, node_specs
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.node.manifest import Manifest, read_manifest
from wholecard.lab.scenario import control_plane, hypervisor
from wholecard.lab.scenario.cloud_plan import offer, wait_for_cards, wait_until_listening
from wholecard.lab.scenario.control_plane import DropIns
from wholecard.lab.scenario.lint_and_explain import linted
from wholecard.lab.scenario.saved_lab import save, wake
from wholecard.lab.scenario.second_node import add_second_node, first_alone, wake_first
from wholecard.lab.scenario.site_file import write_site


def up(
    folder: LabFolder, story: Story, topology: Topology = Topology.APART, nodes: int = 1
) -> tuple[Lab, Connection]:
    """A lab whose cards are free and prepared, and whose cloud answers. Idempotent.

    A lab that is whole is left as it is; a service that died is started again; anything else
    begins anew from the cache. Raises UsageError for a number of nodes that a lab cannot have,
    LabError and what the steps raise.
    """
    node_specs(nodes, topology)
    with cache.locked(folder.lock, "another `lab up` is running", timeout=1800):
        lab = _running_lab(folder, topology, nodes)
        if lab is not None:
            return lab, _restart_dead_services(lab, story)
        with nothing_half(folder):
            lab = begin(folder, story, topology, nodes)
            lab, conn = _ready(lab, story)
            labs.write_state(lab, labs.UP)
        return lab, conn


def _ready(lab: Lab, story: Story) -> tuple[Lab, Connection]:
    """Woken where such a lab was saved; a second node is added to a lab of one, woken or new."""
    saved = lab.saved_folder()
    if cache.is_whole(saved):
        lab = lab.with_secrets_of(saved)
        return lab, wake(lab, story, saved)
    if len(lab.nodes) == 1:
        return lab, bare_to_ready(lab, story)[0]
    alone = first_alone(lab)
    if cache.is_whole(alone.saved_folder()):
        lab = lab.with_secrets_of(alone.saved_folder())
        conn = wake_first(lab, story)
    else:
        conn, _ = bare_to_ready(alone, story)
    add_second_node(lab, conn, story)
    return lab, conn


def _running_lab(folder: LabFolder, topology: Topology, nodes: int) -> Lab | None:
    """The lab that is up with such nodes, which all run; None where there is none."""
    lab, state = labs.current(folder) or (None, "")
    if lab is None or state != labs.UP or len(lab.nodes) != nodes:
        return None
    if any(spec.topology != topology or not lab.node(spec.name).is_running() for spec in lab.nodes):
        return None
    return lab


def begin(folder: LabFolder, story: Story, topology: Topology, nodes: int = 1) -> Lab:
    """An empty lab: what ran is ended, all parts exist, nothing is started yet."""
    labs.down(folder)
    parts = labs.build_parts(folder, story)
    with story.step("KVM or emulation for the nodes") as step:
        accelerator, why = labs.choose_accelerator(folder, parts.root)
        step.note = f"{accelerator}: {why}"
    lab = labs.new_lab(folder, parts, topology, accelerator, nodes)
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
    if save(lab, story):
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
