"""A lab of two nodes: both in nova and Placement, linked, woken together; servers that move.

Two emulated nodes have two cores' work each: everything here waits for states.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing

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
from wholecard.cloud.client import servers
from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.placement.resource_providers import providers
from wholecard.guest.proof import comparison
from wholecard.guest.proof.report import parse
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE, SECOND_NODE
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.cloud_plan import free_units

FIRST, SECOND = GPU_NODE.name, SECOND_NODE.name
UP = ("lab", "up", "--nodes", "2")


@pytest.fixture(scope="module")
def lab(lab_folder: LabFolder) -> Iterator[Lab]:
    """The lab with two nodes, up; woken where such a lab was saved."""
    ran = wholecard(*UP, timeout=2400)
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


def test_both_nodes_wake(lab: Lab, conn: Connection) -> None:
    """After `lab down` a lab of two nodes wakes from the saved state of both, and can be used."""
    assert wholecard("lab", "down", timeout=300).status == 0
    ran = wholecard(*UP, timeout=2400)
    assert ran.status == 0, ran.stdout + ran.stderr
    for name in (FIRST, SECOND):
        assert f"node {name}: restore from its saved state" in ran.stdout
    test_both_nodes_are_in_nova_and_placement(lab, conn)


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


def test_cold_migration_and_confirm(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome
) -> None:
    """A server with two cards moves to the other host; after confirm it holds nothing twice."""
    source = mover.host or ""
    target = SECOND if source == FIRST else FIRST
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


def test_cold_migration_and_revert(
    lab: Lab, conn: Connection, mover: servers.ServerOutcome
) -> None:
    """After a revert the server is back on its host with its cards, and holds nothing twice."""
    state = servers.state(conn, mover.id)
    assert state is not None
    source = state.host or ""
    target = SECOND if source == FIRST else FIRST
    conn.compute.migrate_server(mover.id, host=target)
    assert wait_for_status(conn, mover.id, "VERIFY_RESIZE").host == target
    assert held(lab, conn, mover.id) == moved_and_waiting(source, target)
    conn.compute.revert_server_resize(mover.id)
    assert wait_for_status(conn, mover.id, "ACTIVE").host == source
    wait_until_held(lab, conn, mover.id, at_rest(source))
    assert migrations(conn, mover.id)[-1].status == "reverted"
    prove(conn, mover.id)
