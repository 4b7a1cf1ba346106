"""The audit from databases to its report: nova's and Placement's real columns, in SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from support.fleet_database import Fleet, known_uuid, sqlite_fleet
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditRequest, AuditWatcher, audit
from wholecard.audit.views.open_views import AuditSources

FLEET = Fleet(3)
HOST, OTHER = FLEET.host(0), FLEET.host(1)
FREE = FLEET.address(7)


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    """A sound cloud of three hosts, and the file that names its databases."""
    return sqlite_fleet(tmp_path, FLEET)


def sql(databases: Path, name: str, statement: str, *values: object) -> None:
    with sqlite3.connect(databases.parent / f"{name}.db") as connection:
        connection.execute(statement, values)
    connection.close()


def audited(databases: Path, hosts: tuple[str, ...] | None = None) -> AuditReport:
    return audit(AuditRequest(AuditSources(databases=databases, hosts=hosts), wait=0.0))


def found(report: AuditReport) -> list[tuple[str, str, str]]:
    return [(row.rule, row.host, row.address) for row in report.disagreements]


def test_sound(databases: Path) -> None:
    """A sound cloud gives nothing; that hosts were not asked is said, with exit status 4."""
    report = audited(databases)
    assert found(report) == []
    assert report.in_flight == ()
    assert (report.hosts, report.devices) == (3, 24)
    assert sorted(report.unread) == ["libvirt", "sysfs"]
    assert report.exit_status == 4


@pytest.mark.parametrize("hosts", [None, (HOST,)])
def test_row_of_a_server_elsewhere(databases: Path, hosts: tuple[str, ...] | None) -> None:
    """A row for a server of another host is WC515, also where only this host is read: the second
    look reads the hosts concerned alone."""
    server = FLEET.server(1, 0)
    sql(databases, "nova", "UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE "
        "address = ? AND compute_node_id = (SELECT id FROM compute_nodes WHERE "
        "hypervisor_hostname = ?)", server, FREE, HOST)  # fmt: skip
    report = audited(databases, hosts)
    assert found(report) == [("WC515", HOST, FREE)]
    assert f"is on {OTHER}" in report.disagreements[0].message


def test_row_of_an_unknown_server(databases: Path) -> None:
    """A row for a server that nova does not have is WC511."""
    sql(databases, "nova", "UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE "
        "address = ? AND compute_node_id = (SELECT id FROM compute_nodes WHERE "
        "hypervisor_hostname = ?)", known_uuid("gone"), FREE, HOST)  # fmt: skip
    assert found(audited(databases)) == [("WC511", HOST, FREE)]


def test_allocation_of_nobody(databases: Path) -> None:
    """An allocation of a consumer that nova does not know is WC520 after the second look."""
    sql(databases, "placement", "UPDATE allocations SET consumer_id = ? WHERE id = (SELECT "
        "min(a.id) FROM allocations a JOIN resource_providers p ON a.resource_provider_id = p.id "
        "WHERE p.parent_provider_id IS NOT NULL)", known_uuid("ghost"))  # fmt: skip
    assert sorted(rule for rule, _, _ in found(audited(databases))) == ["WC520", "WC523"]


@pytest.mark.parametrize("name", ["compute@gpu-00000", "compute"])
def test_device_spec(databases: Path, tmp_path: Path, name: str) -> None:
    """With nova-compute's configuration, devices in use that it does not select are WC517."""
    conf = tmp_path / "nova.conf"
    conf.write_text('[pci]\ndevice_spec = {"address": "0000:10:00.0"}\n')
    host = name.partition("@")[2]
    sources = AuditSources(databases=databases, hosts=(HOST,))
    report = audit(AuditRequest(sources, computes={host: (conf,)}))
    assert found(report) == [("WC517", HOST, FLEET.address(card)) for card in (1, 2, 3)]


def test_watcher(databases: Path) -> None:
    """The bar's length is the number of nova-computes, and every host moves it on."""

    class Counts(AuditWatcher):
        looks: list[tuple[int, bool]] = []  # noqa: RUF012 - one test, one list
        hosts: list[str] = []  # noqa: RUF012

        def look(self, hosts: int, again: bool) -> None:
            self.looks.append((hosts, again))

        def host(self, name: str) -> None:
            self.hosts.append(name)

    watcher = Counts()
    audit(AuditRequest(AuditSources(databases=databases)), watcher)
    assert watcher.looks == [(3, False)]
    assert watcher.hosts == [FLEET.host(number) for number in range(3)]
