"""nova's databases as records: rows, servers, migrations, services, whatever state they are in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from audit.views.conftest import FLEET, Sql
from support.fleet_database import PROJECT, SCHEMAS, TIME, databases_file, known_uuid
from wholecard.audit.record import CloudViews, ComputeNode, PciRequest
from wholecard.audit.views.databases_file import read_databases
from wholecard.audit.views.nova_database import NovaDatabase
from wholecard.audit.views.placement_view import Holdings
from wholecard.core import WholecardError

SERVER = FLEET.server(0, 0)


def opened(file: Path) -> NovaDatabase:
    nova = NovaDatabase(read_databases(file))
    nova.compute_nodes()
    return nova


def cloud(file: Path, *consumers: str, hosts: tuple[str, ...] | None = None) -> CloudViews:
    nova = opened(file)
    try:
        return nova.cloud_views(lambda: Holdings(consumers), hosts)
    finally:
        nova.close()


def test_compute_nodes(file: Path) -> None:
    """Each compute node with its cell, by the hypervisor's host name."""
    nova = NovaDatabase(read_databases(file))
    nodes = nova.compute_nodes()
    assert sorted(nodes) == ["gpu-00000", "gpu-00001", "gpu-00002"]
    assert nodes["gpu-00001"] == ComputeNode(
        2, known_uuid("node 1"), "gpu-00001", "gpu-00001", "cell1"
    )
    nova.close()


def test_devices(file: Path) -> None:
    """A row has all that nova says of the device, and rows are in order of address."""
    nova = opened(file)
    rows = nova.devices(["gpu-00001"])["gpu-00001"]
    assert [row.address for row in rows] == [FLEET.address(card) for card in range(4)]
    assert [row.status for row in rows] == ["allocated", "allocated", "available", "available"]
    row = rows[1]
    assert (row.host, row.compute_node_id, row.vendor_id, row.product_id, row.dev_type) == (
        "gpu-00001", 2, "10de", "2330", "type-PCI",
    )  # fmt: skip
    assert (row.instance_uuid, row.request_id) == (
        FLEET.server(1, 1), known_uuid("request 1 1"),
    )  # fmt: skip
    assert (row.numa_node, row.parent_addr, row.label) == (0, None, "label_10de_2330")
    assert json.loads(row.extra_info)["rp_uuid"] == known_uuid("card 1 1")
    assert (row.created_at, row.updated_at, row.deleted_at) == (TIME, TIME, None)
    assert rows[2].instance_uuid is None
    nova.close()


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("deleted = id, deleted_at = '2026-11-29 13:00:00'", False),
        ("deleted = id", True),
        ("deleted_at = '2026-11-29 13:00:00'", True),
        ("deleted = 1000, deleted_at = '2026-11-29 13:00:00'", True),
        ("deleted = NULL", True),
    ],
)
def test_half_deleted(file: Path, sql: Sql, change: str, counts: bool) -> None:
    """A row that is deleted in half is among the rows; one that is deleted is not."""
    sql("nova", f"UPDATE pci_devices SET {change} WHERE id = 2")
    nova = opened(file)
    assert (2 in [row.id for row in nova.devices(["gpu-00000"])["gpu-00000"]]) is counts
    nova.close()


def test_rows_of_deleted_node(file: Path, sql: Sql) -> None:
    """A compute node that is deleted is known as long as it has rows; its rows are its name's."""
    sql(
        "nova",
        "UPDATE compute_nodes SET deleted = id WHERE id IN (2, 3)",
        "UPDATE pci_devices SET deleted = id, deleted_at = created_at WHERE compute_node_id = 3",
        "INSERT INTO compute_nodes SELECT created_at, updated_at, NULL, 9, service_id, vcpus,"
        " memory_mb, local_gb, vcpus_used, memory_mb_used, local_gb_used, hypervisor_type,"
        " hypervisor_version, cpu_info, NULL, NULL, NULL, NULL, NULL, 'gpu-00000', 0, NULL, NULL,"
        " NULL, NULL, NULL, NULL, NULL, 'other', NULL, NULL, 'uuid-9', NULL, NULL"
        " FROM compute_nodes WHERE id = 1",
        "UPDATE pci_devices SET compute_node_id = 9 WHERE id = 1",
    )
    nova = NovaDatabase(read_databases(file))
    nodes = nova.compute_nodes()
    assert {name: node and node.id for name, node in nodes.items()} == {
        "gpu-00000": 1, "gpu-00001": None,
    }  # fmt: skip
    rows = nova.devices(["gpu-00000", "gpu-00001"])
    assert {row.compute_node_id for row in rows["gpu-00000"]} == {1, 9}
    assert len(rows["gpu-00001"]) == 4
    nova.close()


def test_instances(file: Path, sql: Sql) -> None:
    """A server has its place, its states, its PCI requests and how many VGPU its flavor asks."""
    flavor = {"cur": {"nova_object.data": {"extra_specs": {
        "resources:VGPU": "2", "resources1:VGPU": "1", "trait:CUSTOM_VGPU": "required",
    }}}}  # fmt: skip
    sql("nova", f"UPDATE instance_extra SET flavor = '{json.dumps(flavor)}' WHERE id = 2")
    views = cloud(file)
    assert len(views.instances) == 6
    one = views.instances[SERVER]
    assert (one.host, one.node, one.vm_state, one.task_state) == (
        "gpu-00000", "gpu-00000", "active", None,
    )  # fmt: skip
    assert (one.deleted, one.project_id, one.name, one.vgpus) == (
        False, PROJECT, "training-0-0", 0,
    )  # fmt: skip
    assert one.pci_requests == (PciRequest(known_uuid("request 0 0"), 1, "h100"),)
    assert (one.created_at, one.updated_at, one.power_state) == (TIME, TIME, 1)
    assert views.instances[FLEET.server(0, 1)].vgpus == 3


@pytest.mark.parametrize(
    ("text", "requests"),
    [("NULL", ()), ("'[]'", ()), ("'null'", ()), ("'nonsense'", ()), ("'[{}]'", ())],
)
def test_no_requests(file: Path, sql: Sql, text: str, requests: tuple[PciRequest, ...]) -> None:
    """A server without requests has none, whatever the column has; garbage is none too."""
    sql("nova", f"UPDATE instance_extra SET pci_requests = {text} WHERE id = 1")
    assert cloud(file).instances[SERVER].pci_requests == requests


def test_requests_not_read(file: Path, sql: Sql) -> None:
    """Without a row of instance_extra it is not known what a server asked for."""
    sql("nova", "DELETE FROM instance_extra WHERE id = 1")
    assert cloud(file).instances[SERVER].pci_requests is None


def test_deleted_servers(file: Path, sql: Sql) -> None:
    """A deleted server is read where a row or a consumer names it, and else left out."""
    servers = [FLEET.server(host, 1) for host in range(3)]
    sql(
        "nova",
        *(f"UPDATE instances SET deleted = id WHERE uuid = '{each}'" for each in servers),
        f"UPDATE pci_devices SET instance_uuid = NULL WHERE instance_uuid IN {tuple(servers[1:])}",
    )
    views = cloud(file, servers[1], "no-such-consumer")
    assert {uuid for uuid, row in views.instances.items() if row.deleted} == {*servers[:2]}
    assert servers[2] not in views.instances
    chosen = cloud(file, hosts=("gpu-00000",))
    assert sorted(chosen.instances) == sorted([SERVER, servers[0]])
    assert chosen.instances[servers[0]].deleted


def _migration(uuid: str, status: str, server: str = SERVER, deleted: int = 0) -> str:
    return (
        "INSERT INTO migrations (uuid, status, migration_type, instance_uuid, source_compute,"
        " dest_compute, source_node, dest_node, deleted, created_at, updated_at)"
        f" VALUES ('{uuid}', '{status}', 'resize', '{server}', 'c0', 'c1', 'n0', 'n1', {deleted},"
        f" '{TIME}', '{TIME}')"
    )


def test_migrations(file: Path, sql: Sql) -> None:
    """Those in progress or in error are read, and those whose uuid holds an allocation."""
    sql("nova", *(_migration(*each) for each in (
        ("m1", "finished"), ("m2", "error"), ("m3", "confirmed"), ("m4", "pre-migrating"),
        ("m5", "completed"),
    )), _migration("m6", "running", deleted=6))  # fmt: skip
    views = cloud(file, "m5")
    assert [row.uuid for row in views.migrations] == ["m1", "m2", "m4", "m5"]
    first = views.migrations[0]
    assert (first.migration_type, first.instance_uuid, first.source_node, first.dest_node) == (
        "resize", SERVER, "n0", "n1",
    )  # fmt: skip
    assert (first.created_at, first.updated_at) == (TIME, TIME)
    assert not {"m2", "m5"} & set(views.instances)


def test_server_of_migration(file: Path, sql: Sql) -> None:
    """The deleted server of a migration that holds something is read with it."""
    gone = FLEET.server(2, 1)
    sql(
        "nova", _migration("m1", "error", gone),
        f"UPDATE instances SET deleted = id WHERE uuid = '{gone}'",
        f"UPDATE pci_devices SET instance_uuid = NULL WHERE instance_uuid = '{gone}'",
    )  # fmt: skip
    assert cloud(file, "m1").instances[gone].deleted


@pytest.mark.parametrize(
    ("change", "up", "disabled", "forced"),
    [
        ("last_seen_up = datetime('now', '-20 seconds')", True, False, False),
        ("last_seen_up = datetime('now', '-5 minutes')", False, False, False),
        ("last_seen_up = datetime('now', '+5 minutes')", False, False, False),
        ("created_at = datetime('now', '-20 seconds')", True, False, False),
        ("last_seen_up = datetime('now'), forced_down = 1", False, False, True),
        ("last_seen_up = datetime('now'), disabled = 1", True, True, False),
    ],
)
def test_services(
    file: Path, sql: Sql, change: str, up: bool, disabled: bool, forced: bool
) -> None:
    """nova-compute is up as nova says it: by its last report, and not where it is forced down."""
    sql("nova", f"UPDATE services SET {change} WHERE id = 1")
    service = cloud(file).services["gpu-00000"]
    assert (service.is_up, service.disabled, service.forced_down) == (up, disabled, forced)


def test_clock(file: Path) -> None:
    """`now` is the database's clock."""
    now = cloud(file).now
    assert now is not None
    assert abs(now - datetime.utcnow()) < timedelta(minutes=1)


def test_older_schema(file: Path, sql: Sql) -> None:
    """Without the columns that came after Queens the records are the same."""
    before = cloud(file)
    sql("nova", "ALTER TABLE instances DROP COLUMN hidden",
        "ALTER TABLE instances DROP COLUMN compute_id",
        "ALTER TABLE migrations DROP COLUMN cross_cell_move",
        "ALTER TABLE migrations DROP COLUMN dest_compute_id",
        "ALTER TABLE pci_devices DROP COLUMN uuid",
        "ALTER TABLE instance_extra DROP COLUMN resources")  # fmt: skip
    assert cloud(file).instances == before.instances


def test_two_cells(file: Path, sql: Sql) -> None:
    """The cells' rows are together; a server that is in two of them counts where it lives."""
    folder = file.parent
    (folder / "nova2.db").write_bytes((folder / "nova.db").read_bytes())
    with sqlite3.connect(folder / "nova2.db") as connection:
        connection.execute("DELETE FROM pci_devices")
        connection.execute("UPDATE compute_nodes SET hypervisor_hostname = 'b-' || host")
        connection.execute("UPDATE instances SET hidden = 1, node = 'b-' || host")
    connection.close()
    file.write_text(f"[cell b]\nconnection = sqlite:///{folder}/nova2.db\n{file.read_text()}")
    nova = NovaDatabase(read_databases(file))
    nodes = nova.compute_nodes()
    assert [node.cell for _, node in sorted(nodes.items()) if node] == ["b"] * 3 + ["cell1"] * 3
    rows = nova.devices(sorted(nodes))
    assert [len(rows[name]) for name in sorted(nodes)] == [0, 0, 0, 4, 4, 4]
    one = nova.cloud_views(Holdings).instances[SERVER]
    assert (one.node, one.deleted) == ("gpu-00000", False)
    nova.close()


def test_api_database(file: Path, sql: Sql) -> None:
    """Servers that are being scheduled or in cell0, and hosts of cells without a connection, are
    known."""
    databases_file(file.parent, api=True)
    sql(
        "api",
        "INSERT INTO cell_mappings (id, uuid, name) VALUES"
        " (1, '00000000-0000-0000-0000-000000000000', 'cell0'), (2, 'u2', 'cell1'),"
        " (3, 'u3', 'far')",
        "INSERT INTO host_mappings (cell_id, host) VALUES (2, 'gpu-00000'), (3, 'far-01')",
        "INSERT INTO instance_mappings (instance_uuid, cell_id, project_id, queued_for_delete)"
        " VALUES ('new', NULL, 'p', 0), ('away', 3, 'p', 0), ('gone', 3, 'p', 1),"
        " ('buried', 1, 'p', 0)",
    )
    nova = opened(file)
    assert nova.unread_hosts() == {
        "far-01": "The databases file has no connection for nova's cell far."
    }
    views = nova.cloud_views(lambda: Holdings(["new", "away", "gone", "nobody", "buried"]))
    assert views.instances["new"].task_state == "scheduling"
    assert views.instances["away"].vm_state is None
    assert views.instances["buried"].was_never_built
    assert not {"gone", "nobody"} & set(views.instances)
    nova.close()


def test_not_a_cell(file: Path) -> None:
    """The connection of another database is refused by name."""
    file.write_text(f"[cell one]\nconnection = sqlite:///{file.parent}/placement.db\n")
    with pytest.raises(WholecardError, match="nova's cell one is not a cell database of nova"):
        NovaDatabase(read_databases(file)).compute_nodes()


@pytest.fixture
def columns_read() -> Iterator[set[str]]:
    """`table.column` for every column that any connection reads meanwhile."""
    seen: set[str] = set()

    def watch(connection: Any, _record: Any) -> None:
        def allow(action: int, table: str | None, column: str | None, *_: str | None) -> int:
            if action == sqlite3.SQLITE_READ:
                seen.add(f"{table}.{column}")
            return sqlite3.SQLITE_OK

        connection.set_authorizer(allow)

    event.listen(Engine, "connect", watch)
    yield seen
    event.remove(Engine, "connect", watch)


def test_reads_no_secret(file: Path, columns_read: set[str]) -> None:
    """Columns with user data, keys or other databases' passwords are never read."""
    databases_file(file.parent, api=True)
    nova = opened(file)
    nova.unread_hosts()
    nova.devices(["gpu-00000"])
    nova.cloud_views(lambda: Holdings(["x"]))
    nova.close()
    assert {"pci_devices.status", "instances.uuid", "instance_mappings.cell_id"} <= columns_read
    secret = {"user_data", "key_data", "keypairs", "trusted_certs", "transport_url",
              "database_connection", "ephemeral_key_uuid", "device_metadata"}  # fmt: skip
    assert not {name for name in columns_read if name.partition(".")[2] in secret}
    assert "user_data" in (SCHEMAS / "nova.sql").read_text()
