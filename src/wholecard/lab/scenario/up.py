"""`lab up`: to a node with prepared cards and a cloud that answers; saved once, then woken."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.ports import OUTER_ADDRESS
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.control.database_seed import SECRETS
from wholecard.lab.lab import SAVED_INSIDE, Lab, Parts
from wholecard.lab.node.manifest import Manifest, read_manifest
from wholecard.lab.parts import disk
from wholecard.lab.scenario.cloud_plan import offer, wait_for_cards, wait_until_listening
from wholecard.lab.scenario.control_plane import (
    DropIns,
    start_cloud,
    start_services,
    write_configuration,
    write_drop_ins,
)
from wholecard.lab.scenario.hypervisor import (
    Agent,
    configure_compute,
    look,
    power_on,
    prepare,
    reboot_and_verify,
)
from wholecard.lab.scenario.lint_and_explain import linted
from wholecard.lab.scenario.site_file import FACTS, facts_path, write_site

NODE_STATE = "node.state"
SAVED_DISK = "disk.qcow2"


def up(place: LabFolder, story: Story, layout: str = "separate") -> tuple[Lab, Connection]:
    """A lab whose cards are free and prepared, and whose cloud answers. Idempotent.

    A lab that runs whole is left as it is; a service that died is started again; anything else
    is begun anew from the cache. Raises LabError and what the steps raise.
    """
    with cache.locked(place.lock, "another `lab up` is at work", timeout=1800):
        found = labs.current(place)
        if found is not None and found[1] == labs.UP and found[0].layout == layout:
            lab = found[0]
            if "node" in process.running(place.run):
                return lab, _mend(lab, story)
        with nothing_half(place):
            lab = begin(place, story, layout)
            saved = _saved_folder(place, lab.parts, layout, lab.accelerator)
            if cache.is_whole(saved):
                conn = _wake(lab, story, saved)
            else:
                conn, _ = bare_to_ready(lab, story)
                save(lab, story)
                # It stood still meanwhile.
                wait_for_cards(lab, conn, story)
            labs.write_state(lab, labs.UP)
        return lab, conn


def begin(place: LabFolder, story: Story, layout: str) -> Lab:
    """An empty lab: what ran is ended, all parts are there, nothing is started yet."""
    labs.down(place)
    parts = labs.build_parts(place, story)
    with story.step("how to run the node: KVM or emulation") as step:
        accelerator, why = labs.choose_accelerator(place, parts.root)
        step.note = f"{accelerator}: {why}"
    lab = labs.new_lab(place, parts, layout, accelerator)
    labs.write_state(lab, "starting")
    return lab


@contextmanager
def nothing_half(place: LabFolder) -> Iterator[None]:
    """End every process of the lab when the block fails or is interrupted; its logs stay."""
    try:
        yield
    except BaseException:
        labs.down(place)
        raise


def bare_to_ready(lab: Lab, story: Story) -> tuple[Connection, Manifest]:
    """The whole way: control plane and bare node side by side, host prepared, cards offered.

    Returns the bare node's files too, to compare with after a rollback.
    """
    write_configuration(lab)
    drop_ins: Future[DropIns] = Future()
    bare: list[Manifest] = []

    def node_side(cloud: Future[Connection]) -> None:
        with _failing_too(drop_ins):
            node = power_on(lab, story)
            agent = Agent(node)
            drop_ins.set_result(render_from(lab, story, look(agent, story, lab.place.run)))
        bare.append(read_manifest(node))
        prepare(agent, story)
        configure_compute(lab, node)
        # nova-compute starts with this boot. One that finds no Placement in the catalog never
        # looks again (seen with nova 34).
        cloud.result()
        reboot_and_verify(node, agent, story)
        keep_facts(lab, agent)

    def cloud_side() -> Connection:
        conn = start_cloud(lab, story, lab.parts.seed, drop_ins)
        offer(lab, conn, story)
        return conn

    conn = side_by_side(lab, node_side, cloud_side)
    wait_for_cards(lab, conn, story)
    return conn, bare[0]


@contextmanager
def _failing_too(waited_for: Future[Any]) -> Iterator[None]:
    """Who waits for this future fails with the block."""
    try:
        yield
    except BaseException as error:
        waited_for.set_exception(error)
        raise


def render_from(lab: Lab, story: Story, facts: str) -> DropIns:
    """The site file with these facts of the node (JSON), and every role's drop-in from it."""
    with story.step("node: nova.conf.d rendered from site.yaml and its facts") as step:
        file = write_site(lab, facts)
        drop_ins = write_drop_ins(lab, file)
        step.saw("site.yaml", file.path.read_text())
        for role, text in drop_ins.items():
            step.saw(f"wholecard nova render --role {role}", text)
    with story.step("node: nova lint, before anything starts with it") as step:
        judged = linted(lab, file)
        step.saw("wholecard nova lint", judged.text)
        step.note = f"{len(judged.findings)} findings"
        if judged.findings:
            raise LabError("nova lint has something against what was rendered", judged.text)
    return drop_ins


def keep_facts(lab: Lab, agent: Agent) -> None:
    """Read the node's facts anew, as they are since it was prepared, for who asks the site."""
    write_site(lab, agent.run("inspect", "--json").stdout)


def side_by_side(
    lab: Lab, node_side: Callable[[Future[Connection]], None], cloud_side: Callable[[], Connection]
) -> Connection:
    """Run both sides to their end; the node's may wait for the cloud's.

    When one fails what runs of the lab is ended, so that the other, which waits for a service or
    for the node, fails too; the first error is raised.
    """
    with ThreadPoolExecutor(2) as pool:
        cloud = pool.submit(cloud_side)
        node = pool.submit(node_side, cloud)
        sides: list[Future[Any]] = [cloud, node]
        for one in wait(sides, return_when=FIRST_EXCEPTION).done:
            if one.exception() is not None:
                process.stop(lab.place.run)
                one.result()
        return cloud.result()


def _mend(lab: Lab, story: Story) -> Connection:
    """Start again what died of the control plane; with nothing dead only Keystone is asked."""
    alive = process.running(lab.place.run)
    if "mariadb" not in alive:
        with story.step("cloud: MariaDB again"):
            lab.control.start_mariadb()
    if "rabbitmq" not in alive:
        with story.step("cloud: RabbitMQ again"):
            lab.control.start_rabbitmq()
    conn = start_services(lab, story)
    wait_until_listening(lab, story)
    return conn


def _saved_folder(place: LabFolder, parts: Parts, layout: str, accelerator: str) -> Path:
    return place.cache / f"saved-{layout}-{parts.key(layout, accelerator)}"


def save(lab: Lab, story: Story) -> None:
    """Keep this moment in the cache: the node's memory and disk, the databases, the images."""
    node = lab.node()
    target = _saved_folder(lab.place, lab.parts, lab.layout, lab.accelerator)
    partial = target.with_suffix(".partial")
    with story.step("save the prepared lab for the next `lab up`"):
        for stale in (partial, *lab.place.cache.glob(f"saved-{lab.layout}-*")):
            cache.remove_tree(stale)
        partial.mkdir(mode=0o700)
        node.ssh(["sync"], timeout=60)
        _wait_for_report(lab)
        node.save(NODE_STATE, partial)
        try:
            shutil.copy2(node.folder / "disk.qcow2", partial / SAVED_DISK)
            _copy_databases(lab, partial)
        finally:
            node.resume()
        for part in ("keystone", "glance"):
            shutil.copytree(lab.place.run / part, partial / part)
        service_settings.write_private(partial / SECRETS, json.dumps(dict(lab.settings.secrets)))
        shutil.copy2(facts_path(lab), partial / FACTS)
        sizes = {name: (partial / name).stat().st_size for name in (NODE_STATE, SAVED_DISK)}
        (partial / cache.MARKER).write_text(json.dumps({"sizes": sizes}))
        partial.rename(target)


def _wait_for_report(lab: Lab) -> None:
    """Until nova-compute has just said that it lives, as it does every ten seconds.

    A call of it that is under way when the node is saved is never answered to the node that wakes.
    """
    query = "select updated_at from nova.services where `binary` = 'nova-compute'"
    before = lab.control.sql(query)
    process.wait_until(
        lambda: lab.control.sql(query) != before,
        timeout=120, what="nova-compute reports", log=lab.place.logs / "nova-conductor.log",
    )  # fmt: skip


def _copy_databases(lab: Lab, target: Path) -> None:
    """MariaDB's files of one instant: its log written out, the process stopped for the copy.

    It recovers from such a copy as from a power cut, which InnoDB is made for.
    """
    lab.control.sql("flush tables; flush engine logs;")
    members = process.running(lab.place.run)["mariadb"].processes
    server = [member for member in members if member.name() == "mariadbd"]
    for member in server:
        member.send_signal(signal.SIGSTOP)
    try:
        shutil.copytree(lab.place.run / "mysql", target / "mysql")
    finally:
        for member in server:
            member.send_signal(signal.SIGCONT)


def _wake(lab: Lab, story: Story, saved: Path) -> Connection:
    """The saved lab on new databases and a new disk over the saved ones.

    The node wakes when the cloud is there: what nova-compute says while nobody listens is lost, and
    it waits for the answer until `rpc_response_timeout`. Its connections of before are cut, for it
    would not know for a minute that nothing comes over them any more (TCP's keepalive).
    """
    write_configuration(lab)
    write_drop_ins(lab, write_site(lab, (saved / FACTS).read_text()))
    node = lab.node(saved)
    conn = start_cloud(lab, story, saved)
    with story.step("node: wake from its saved state") as step:
        disk.overlay(node.inside, f"{SAVED_INSIDE}/{SAVED_DISK}", "qcow2", node.folder,
                     "disk.qcow2")  # fmt: skip
        node.start(incoming=f"{SAVED_INSIDE}/{NODE_STATE}")
        node.wait_for_ssh(timeout=120)
        node.ssh(["ss", "--kill", "dst", OUTER_ADDRESS], timeout=30)
        node.ssh(["date", "-s", f"@{time.time():.0f}"], timeout=30)
        step.note = "prepared and rebooted when it was saved"
    offer(lab, conn, story)
    wait_for_cards(lab, conn, story)
    return conn
