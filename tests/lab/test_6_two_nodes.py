"""A lab of two nodes: both in nova and Placement, linked, woken together; servers that move.

Two emulated nodes have two cores' work each: everything here waits for states. Servers that move
take minutes, and are in `make test-long`; the demo has a cold migration that is confirmed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kombu.connection import Connection as Broker
from openstack.connection import Connection
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from support.commands import wholecard
from support.held_cards import (
    CARDS,
    SECONDS,
    Held,
    at_rest,
    held,
    migrations,
    wait_for_status,
    wait_until_held,
)
from support.lab_repairs import allocation, repair_of, rows, without_provider
from support.two_nodes import (
    FIRST,
    SECOND,
    by_rule,
    force_down,
    other_than,
    shown,
    start,
    unread,
)
from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.cloud.client import servers
from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.placement.resource_providers import providers
from wholecard.core import WholecardError
from wholecard.guest.proof import comparison
from wholecard.guest.proof.report import parse
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.audits import audit_lab
from wholecard.lab.scenario.cloud_plan import free_units
from wholecard.lab.scenario.restart import start_compute, stop_compute
from wholecard.lab.scenario.second_node import kill_node, start_killed_node
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import MigrateRequest, Tools, migrate, plan_migrate
from wholecard.moving.move import Pace
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import Method
from wholecard.repair import request as repairs
from wholecard.repair.remedies.case import RepairOptions

UP = ("lab", "up", "--nodes", "2")
CARDS_OF_A_HOST = 2
SSH_CONFIG = "/root/.ssh/config"


@pytest.mark.long
def test_both_nodes_wake(lab_folder: LabFolder) -> None:
    """After `lab down` a lab of two nodes wakes from the saved state of both, and can be used.

    It comes before the fixtures: a lab that wakes has other ports, which a connection made before
    does not know.
    """
    for words in (UP, ("lab", "down"), UP):
        ran = wholecard(*words, timeout=3600)
        assert ran.status == 0, ran.stdout + ran.stderr
    for name in (FIRST, SECOND):
        assert f"node {name}: restore from its saved state" in ran.stdout
    lab = labs.require_up(lab_folder)
    conn = connect(service_settings.CLOUD, lab.folder.clouds_yaml)
    test_both_nodes_are_in_nova_and_placement(lab, conn)


@pytest.fixture(scope="module")
def lab(lab_folder: LabFolder) -> Iterator[Lab]:
    """The lab with two nodes, up; woken where such a lab was saved."""
    ran = wholecard(*UP, timeout=3600)
    assert ran.status == 0, ran.stdout + ran.stderr
    yield labs.require_up(lab_folder)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def conn(lab: Lab) -> Connection:
    """The lab's cloud, as its administrator."""
    return connect(service_settings.CLOUD, lab.folder.clouds_yaml)


def test_both_nodes_are_in_nova_and_placement(lab: Lab, conn: Connection) -> None:
    """nova has two hypervisors that are up, and Placement two free cards below each."""
    up = {row.host for row in compute_services(conn) if row.binary == "nova-compute"}
    assert up == {FIRST, SECOND}
    assert {(row.hostname, row.service_host, row.state) for row in hypervisors(conn)} == {
        (name, name, "up") for name in up
    }
    free = {
        provider.name: units
        for provider in providers(conn)
        if (units := free_units(provider, emulated_gpu.GPU_CLASS))
    }
    assert free == {
        f"{name}_0000:0{bus}:00.0": 1 for name in (FIRST, SECOND) for bus in (1, 2)
    }  # fmt: skip


def test_each_node_is_itself(lab: Lab) -> None:
    """The nodes boot one disk, and each has a name, an id and an address of its own."""
    for spec in lab.nodes:
        node = lab.node(spec.name)
        said = node.ssh(["sh", "-c", "hostname; cat /var/lib/nova/compute_id"], timeout=300).stdout
        assert said.split() == [spec.name, spec.compute_id]
        capabilities = node.virsh("capabilities", timeout=300).stdout
        assert f"<uuid>{spec.compute_id}</uuid>" in capabilities


@pytest.mark.parametrize(("name", "other"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_nodes_reach_each_other(lab: Lab, name: str, other: str) -> None:
    """A node reaches the other over the link, by its name and by ssh, as nova and libvirt do."""
    node = lab.node(name)
    assert node.ssh(["busybox", "ping", "-c1", "-w60", other], timeout=300).status == 0
    answer = node.ssh(["ssh", "-o", "BatchMode=yes", other, "hostname"], timeout=300)
    assert answer.stdout.strip() == other


def test_shell_on_each_node(lab: Lab) -> None:
    """`lab shell --node` runs on the node that is named; one that the lab lacks is an error."""
    for name in (FIRST, SECOND):
        ran = wholecard("lab", "shell", "--node", name, "--", "hostname", timeout=300)
        assert ran.stdout.strip() == name
    ran = wholecard("lab", "shell", "--node", "gpu-03", "--", "true", timeout=300)
    assert (ran.status, "gpu-01, gpu-02" in ran.stderr) == (3, True)


def urls(lab: Lab, file: str) -> dict[str, str]:
    """The URLs in a file of database connections, by section."""
    sections = ConfigParser()
    sections.read(lab.folder.run / file)
    return {name: sections[name]["connection"] for name in sections.sections()}


# What is read in each database, and what nobody may write there.
READ = {"cell cell1": "pci_devices", "api": "host_mappings", "placement": "allocations"}
FORBIDDEN = {"cell cell1": "instances", "api": "host_mappings", "placement": "allocations"}


@pytest.mark.parametrize("file", ["databases.ini", "databases-repair.ini"])
def test_databases_over_tcp(lab: Lab, file: str) -> None:
    """An audit reads the three databases over TCP; only a repair may write, and one table only."""
    for section, url in urls(lab, file).items():
        with create_engine(url).connect() as database:
            database.execute(text(f"select count(*) from {READ[section]}"))
            with pytest.raises(OperationalError, match="denied"):
                database.execute(text(f"delete from {FORBIDDEN[section]} where 1 = 0"))
    with create_engine(urls(lab, file)["cell cell1"]).connect() as database:
        write = text("update pci_devices set status = status")
        if file == "databases-repair.ini":
            database.execute(write)
        else:
            with pytest.raises(OperationalError, match="denied"):
                database.execute(write)


def test_root_has_no_database_over_tcp(lab: Lab) -> None:
    """MariaDB's root has no password in the lab, and is nobody over TCP."""
    url = make_url(urls(lab, "databases.ini")["cell cell1"])
    for password in (None, ""):
        with (
            pytest.raises(OperationalError, match="Access denied"),
            create_engine(url.set(username="root", password=password)).connect(),
        ):
            pass


@pytest.fixture(scope="module")
def mover(lab: Lab, conn: Connection) -> Iterator[servers.ServerOutcome]:
    """A server with two cards, which the tests below move."""
    outcome = servers.boot(
        conn, "mover", emulated_gpu.CARDS_FLAVOR.name, emulated_gpu.IMAGE, SECONDS
    )
    assert outcome.status == "ACTIVE", outcome
    yield outcome
    servers.delete_and_wait(conn, outcome.id, SECONDS)


def test_nova_tells_of_a_server(lab: Lab, mover: servers.ServerOutcome) -> None:
    """A service that reads rabbit.ini gets nova's versioned notification of a new server."""
    sections = ConfigParser()
    sections.read(lab.folder.run / "rabbit.ini")

    # kombu has no types.
    broker = Broker(sections["rabbitmq"]["url"])
    with broker, closing(broker.channel()) as channel:

        def create_end() -> dict[str, str] | None:
            while message := channel.basic_get("versioned_notifications.info", no_ack=True):
                said = json.loads(json.loads(message.body)["oslo.message"])
                if said["event_type"] == "instance.create.end":
                    return dict(said["payload"]["nova_object.data"])
            return None

        created = wait_until("nova's notification", create_end, SECONDS)
    assert (created["uuid"], created["host"]) == (mover.id, mover.host)


def prove(conn: Connection, server_id: str) -> None:
    """The guest's own report has both cards."""
    console = servers.wait_for_console(
        conn, server_id, lambda shown: parse(shown).complete, SECONDS
    )
    expected = emulated_gpu.EXPECTED[emulated_gpu.CARDS_FLAVOR.name]
    assert comparison.compare(expected, parse(console)) == []


def moved_and_waiting(source: str, target: str) -> Held:
    """What a server with two cards holds in VERIFY_RESIZE: its cards on both hosts.

    nova keeps the source's for a revert: their rows have the server's id, and Placement has them
    under the id of the migration.
    """
    return Held(
        rows={source: {"allocated": 2}, target: {"allocated": 2}},
        server={target: CARDS}, migration={source: CARDS},
    )  # fmt: skip


@pytest.mark.long
def test_cold_migration_and_confirm(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome
) -> None:
    """A server with two cards moves to the other host; after confirm it holds nothing twice."""
    source = mover.host or ""
    target = other_than(source)
    assert held(lab, conn, mover.id) == at_rest(source)
    conn.compute.migrate_server(mover.id, host=target)
    assert wait_for_status(conn, mover.id, "VERIFY_RESIZE").host == target
    assert held(lab, conn, mover.id) == moved_and_waiting(source, target)
    move = migrations(conn, mover.id)[-1]
    assert (move.kind, move.status, move.source, move.target) == (
        "migration", "finished", source, target,
    )  # fmt: skip
    conn.compute.confirm_server_resize(mover.id)
    assert wait_for_status(conn, mover.id, "ACTIVE").host == target
    wait_until_held(lab, conn, mover.id, at_rest(target))
    assert migrations(conn, mover.id)[-1].status == "confirmed"
    prove(conn, mover.id)


@pytest.mark.long
def test_cold_migration_and_revert(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome
) -> None:
    """After a revert the server is back on its host with its cards, and holds nothing twice."""
    state = servers.state(conn, mover.id)
    assert state is not None
    source = state.host or ""
    target = other_than(source)
    conn.compute.migrate_server(mover.id, host=target)
    assert wait_for_status(conn, mover.id, "VERIFY_RESIZE").host == target
    assert held(lab, conn, mover.id) == moved_and_waiting(source, target)
    assert shown(audit_lab(lab)) == []
    conn.compute.revert_server_resize(mover.id)
    assert wait_for_status(conn, mover.id, "ACTIVE").host == source
    wait_until_held(lab, conn, mover.id, at_rest(source))
    assert migrations(conn, mover.id)[-1].status == "reverted"
    assert shown(audit_lab(lab, wait=PERIOD)) == []
    prove(conn, mover.id)


@contextmanager
def without_compute(lab: Lab, conn: Connection, host: str) -> Iterator[None]:
    """nova-compute of a host is stopped and nova knows it; afterwards it runs again."""
    stop_compute(lab, lab.node(host))
    force_down(conn, host, True)
    try:
        yield
    finally:
        start_compute(lab, lab.node(host))
        force_down(conn, host, False)


@pytest.mark.long
def test_evacuation_with_the_old_host_dead(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome, tmp_path: Path
) -> None:
    """What an evacuation leaves on a dead host is found and repaired there, and rolled back.

    nova-compute of the dead host would correct it at its start, as it does at the end of this test.
    """
    state = servers.state(conn, mover.id)
    assert state is not None
    dead = state.host or ""
    target = other_than(dead)
    kill_node(lab, dead)
    force_down(conn, dead, True)
    asked = MigrateRequest(mover.id, MoveOptions(to=(target,), method=Method.EVACUATE))
    tools = Tools(MoveJournal(tmp_path / "moves"), pace=Pace(SECONDS))
    report = migrate(conn, asked, plan_migrate(conn, asked), tools)
    assert report.ended == "evacuated", report
    left = Held(
        rows={dead: {"allocated": 2}, target: {"allocated": 2}},
        server={dead: CARDS, target: CARDS},
    )  # fmt: skip
    assert held(lab, conn, mover.id) == left
    stale = {(dead, "WC515"): CARDS_OF_A_HOST, (dead, "WC522"): 1}
    found = audit_lab(lab, wait=PERIOD)
    assert (by_rule(found), unread(found)) == (stale, {"sysfs", "libvirt"}), shown(found)

    before = rows(lab), allocation(conn, mover.id)
    refused = repairs.apply(repair_of(lab, conn, tmp_path / "state"))
    assert len(refused.planned.refused) == 1 + CARDS_OF_A_HOST
    assert all(f"--powered-off {dead}" in row.resolution for row in refused.planned.refused)
    assert (rows(lab), allocation(conn, mover.id)) == before

    off = RepairOptions(powered_off=frozenset({dead}))
    repair = repair_of(lab, conn, tmp_path / "state", off)
    kinds = Counter(action.kind for action in repairs.plan(repair, found).plan.actions)
    assert kinds == {"change-database-row": CARDS_OF_A_HOST, "change-allocations": 1}
    done = repairs.apply(repair)
    assert done.remaining is not None
    assert (shown(done.remaining), done.remaining.disagreements) == (["WC550", "WC550"], ())
    assert held(lab, conn, mover.id) == at_rest(target)

    repairs.rollback(repair)
    assert (rows(lab), allocation(conn, mover.id)) == before
    assert held(lab, conn, mover.id) == left

    start_killed_node(lab, dead)
    wait_until_held(lab, conn, mover.id, at_rest(target))
    force_down(conn, dead, False)
    assert shown(audit_lab(lab, wait=PERIOD)) == []


def repaired(
    lab: Lab, conn: Connection, server_id: str, repair: repairs.RepairRequest, sound: object
) -> None:
    """Repair what is found of a server; it holds what it should then, and nothing is left."""
    done = repairs.apply(repair)
    assert (done.exit_status, done.planned.steps) == (0, ()), done
    state = servers.state(conn, server_id)
    assert state is not None
    assert held(lab, conn, server_id) == at_rest(state.host or "")
    assert allocation(conn, server_id) == sound


@pytest.mark.long
def test_what_our_own_hand_broke(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome, tmp_path: Path
) -> None:
    """A row freed by SQL and a card taken out of an allocation are found under their own rules.

    nova-compute is down meanwhile: it would add the card to the allocation itself.
    """
    host = start(conn, mover.id)
    assert shown(audit_lab(lab, wait=PERIOD)) == []
    repair = repair_of(lab, conn, tmp_path / "state")
    with without_compute(lab, conn, host):
        sound = rows(lab), allocation(conn, mover.id)
        lab.control.sql(
            "update nova.pci_devices set status = 'available', instance_uuid = null "
            f"where instance_uuid = '{mover.id}' and address = '0000:01:00.0';"
        )
        names = {each.name: each.uuid for each in providers(conn)}
        without_provider(conn, mover.id, names[f"{host}_0000:02:00.0"])
        broken = rows(lab), allocation(conn, mover.id)
        ours = {(host, "WC513"): 1, (host, "WC523"): 1}
        found = audit_lab(lab, wait=PERIOD)
        assert by_rule(found) == ours, shown(found)
        repaired(lab, conn, mover.id, repair, sound[1])
        repairs.rollback(repair)
        assert (rows(lab), allocation(conn, mover.id)) == broken
        repaired(lab, conn, mover.id, repair, sound[1])
    assert shown(audit_lab(lab, wait=PERIOD)) == []
    prove(conn, mover.id)


@contextmanager
def without_ssh_to_others(lab: Lab, host: str) -> Iterator[None]:
    """A node cannot log in on other nodes, so that nova can copy no disk from it."""
    node = lab.node(host)
    node.ssh(["mv", SSH_CONFIG, f"{SSH_CONFIG}.away"], timeout=300)
    try:
        yield
    finally:
        node.ssh(["mv", f"{SSH_CONFIG}.away", SSH_CONFIG], timeout=300)


@pytest.mark.long
def test_migration_that_fails_in_the_middle(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome, tmp_path: Path
) -> None:
    """Where the disk cannot be copied the server stays where it was, with its cards.

    nova-compute of the destination keeps what it has claimed for the move in error: the audit finds
    its rows and nothing else, a repair frees them, and they stay free.
    """
    source = start(conn, mover.id)
    target = other_than(source)
    asked = MigrateRequest(mover.id, MoveOptions(to=(target,)))
    tools = Tools(MoveJournal(tmp_path / "moves"), pace=Pace(SECONDS))
    with without_ssh_to_others(lab, source):
        report = migrate(conn, asked, plan_migrate(conn, asked), tools)
    assert report.ended == "failed", report
    assert migrations(conn, mover.id)[-1].status == "error"
    found = audit_lab(lab, wait=PERIOD)
    assert by_rule(found) == {(target, "WC515"): CARDS_OF_A_HOST}, shown(found)
    repair = repair_of(lab, conn, tmp_path / "state", RepairOptions(restart_compute=True))
    kinds = Counter(action.kind for action in repairs.plan(repair, found).plan.actions)
    assert kinds == {"change-database-row": CARDS_OF_A_HOST, "restart-nova-compute": 1}
    done = repairs.apply(repair)
    assert done.remaining is not None
    assert shown(done.remaining) == []
    assert held(lab, conn, mover.id) == at_rest(source)
    # nova-compute has written its rows since, at its restart: a rollback would overwrite that.
    with pytest.raises(WholecardError, match="was changed since it was applied"):
        repairs.rollback(repair)
    assert held(lab, conn, mover.id) == at_rest(source)
    assert start(conn, mover.id) == source
    prove(conn, mover.id)


@pytest.mark.long
def test_resize_to_one_card(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome, tmp_path: Path
) -> None:
    """A server resized from two cards to one holds one in the end, and the other three are free.

    nova 34 may take another card than Placement allocated, and then keeps both allocated (WC524);
    the repair gives the second one back.
    """
    source = start(conn, mover.id)
    target = other_than(source)
    flavor = conn.compute.find_flavor(emulated_gpu.CARD_FLAVOR.name, ignore_missing=False)
    conn.compute.resize_server(mover.id, str(flavor.id))
    assert wait_for_status(conn, mover.id, "VERIFY_RESIZE").host == target
    waiting = held(lab, conn, mover.id)
    assert waiting.rows == {source: {"allocated": 2}, target: {"allocated": 1}}
    assert waiting.migration == {source: CARDS}
    conn.compute.confirm_server_resize(mover.id)
    assert wait_for_status(conn, mover.id, "ACTIVE").host == target
    found = audit_lab(lab, wait=PERIOD)
    cards = held(lab, conn, mover.id).server[target][emulated_gpu.GPU_CLASS]
    assert by_rule(found) == ({(target, "WC524"): 1} if cards == CARDS_OF_A_HOST else {})
    repairs.apply(repair_of(lab, conn, tmp_path / "state"))
    one = {**CARDS, emulated_gpu.GPU_CLASS: 1}
    wait_until_held(
        lab, conn, mover.id, Held(rows={target: {"allocated": 1}}, server={target: one})
    )
    assert shown(audit_lab(lab, wait=PERIOD)) == []
