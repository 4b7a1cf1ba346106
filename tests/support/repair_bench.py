"""One broken cloud in a folder: a cell's database, Placement, nova, hosts, and their repair."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from support.repair_cloud import FakeCloud, consumer, provider
from wholecard.audit.record import Disagreement, Domain
from wholecard.audit.report import AuditReport
from wholecard.core import Action, Plan, WholecardError
from wholecard.repair.changing.apply import apply, finish, rollback
from wholecard.repair.changing.journal import RepairJournal
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.transaction.engine import Outcome

SECRET = "wr1te-pa55word"
CLASS = "CUSTOM_PCI_10DE_2330"
A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
MIGRATION = "dddddddd-0000-4000-8000-000000000009"
ROOT1, ROOT2 = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"
CARD1, CARD2 = "10000000-0000-4000-8000-000000000041", "20000000-0000-4000-8000-000000000041"
ADDRESS = "0000:41:00.0"
WHEN = "2026-11-29T10:40:00"
NOW = datetime(2026, 11, 30, 6, 0, 0)

# nova/db/main/models.py, PciDevice, as SQLAlchemy makes it for SQLite.
SCHEMA = """
CREATE TABLE pci_devices (
  created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, deleted INTEGER,
  id INTEGER NOT NULL PRIMARY KEY, uuid VARCHAR(36), compute_node_id INTEGER NOT NULL,
  address VARCHAR(12) NOT NULL, vendor_id VARCHAR(4) NOT NULL, product_id VARCHAR(4) NOT NULL,
  dev_type VARCHAR(8) NOT NULL, dev_id VARCHAR(255), label VARCHAR(255) NOT NULL,
  status VARCHAR(36) NOT NULL, request_id VARCHAR(36), extra_info TEXT, instance_uuid VARCHAR(36),
  numa_node INTEGER, parent_addr VARCHAR(12), UNIQUE (compute_node_id, address, deleted));
"""


@dataclass
class FakeHosts:
    """Domains by host; a host that is not there cannot be read. `restarted` are those that were."""

    by_host: dict[str, tuple[Domain, ...]] = field(default_factory=dict)
    reads: int = 0
    restarted: list[str] = field(default_factory=list)
    at_read: Callable[[int], None] = lambda number: None
    at_restart: Callable[[str], None] = lambda host: None

    def domains(self, host: str) -> tuple[Domain, ...]:
        self.reads += 1
        self.at_read(self.reads)
        if host not in self.by_host:
            raise WholecardError(f"{host} does not answer")
        return self.by_host[host]

    def restart_compute(self, host: str) -> str:
        self.restarted.append(host)
        self.at_restart(host)
        return "nova-compute.service"


class Bench:
    """gpu-01 and gpu-02 with a card each, both free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "cell1.sqlite"
        with sqlite3.connect(self.database) as connection:
            connection.executescript(SCHEMA)
        self.cloud = FakeCloud(folder / "cloud.json")
        self.cloud.write({
            "providers": {
                ROOT1: provider("gpu-01", resource_class="VCPU", total=32),
                CARD1: provider(f"gpu-01_{ADDRESS.upper()}", ROOT1),
                ROOT2: provider("gpu-02", resource_class="VCPU", total=32),
                CARD2: provider(f"gpu-02_{ADDRESS.upper()}", ROOT2),
            },
            "consumers": {},
            "servers": {},
            "services": {
                host: {"state": "up", "updated_at": "2026-11-30T05:59:00"}
                for host in ("gpu-01", "gpu-02")
            },
        })  # fmt: skip
        self.hosts = FakeHosts({"gpu-01": (), "gpu-02": ()})
        self.journal = RepairJournal(folder / "state")
        self.write_file = folder / "write.ini"
        # SQLite takes a user and a password, and does nothing with them.
        self.write_file.write_text(f"[cell cell1]\nconnection = sqlite:///{self.database}\n")
        self.write_file.chmod(0o600)

    @cached_property
    def conn(self) -> Connection:
        return self.cloud.connect()

    @property
    def context(self) -> RepairContext:
        return RepairContext(self.conn, self.databases, self.hosts)

    @cached_property
    def databases(self) -> CellDatabases:
        return CellDatabases.read(self.write_file)

    def save(self) -> None:
        """Keep the broken cloud as it is, for `restore`."""
        self._saved = self.database.read_bytes(), self.cloud.place.read_bytes()

    def restore(self) -> None:
        """The cloud as it was saved, and no journal."""
        database, cloud = self._saved
        self.database.write_bytes(database)
        self.cloud.place.write_bytes(cloud)
        shutil.rmtree(self.journal.folder, ignore_errors=True)

    def change(self, **parts: Mapping[str, Any]) -> None:
        """Put these into the cloud: `consumers=…`, `servers=…`, `services=…`, `providers=…`."""
        state = self.cloud.state
        for name, values in parts.items():
            state[name].update(values)
        self.cloud.write(state)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database, timeout=5) as connection:
            return connection.execute(statement, values).fetchall()

    def add_row(self, number: int, address: str = ADDRESS, **fields: Any) -> None:
        row = {
            "id": number, "compute_node_id": 1, "address": address, "vendor_id": "10de",
            "product_id": "2330", "dev_type": "type-PCI", "label": "label_10de_2330",
            "status": "available", "deleted": 0, "updated_at": "2026-11-29 10:40:00.000000",
            "created_at": "2026-11-01 00:00:00.000000", "uuid": f"uuid-{number}",
            "extra_info": '{"managed": "true"}', "dev_id": f"pci_{number}",
        } | fields  # fmt: skip
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        self.sql(f"INSERT INTO pci_devices ({names}) VALUES ({marks})", *row.values())

    def rows(self) -> list[tuple[Any, ...]]:
        return self.sql("SELECT * FROM pci_devices ORDER BY id")

    def state_of(self, number: int) -> tuple[Any, ...]:
        query = "SELECT status, instance_uuid, request_id, deleted FROM pci_devices WHERE id = ?"
        (row,) = self.sql(query, number)
        return row

    def seen(self) -> tuple[Any, ...]:
        """All that repairs change, without what only counts changes."""
        state = json.loads(self.cloud.place.read_text())
        for row in state["providers"].values():
            del row["generation"]
            row["traits"].sort()
        for row in state["consumers"].values():
            del row["generation"]
        return self.rows(), state

    def plan(self, *changes: RepairOperation) -> Plan:
        return Plan(tuple(Action(do.kind, str(n), "why", do, "") for n, do in enumerate(changes)))

    def apply(self, *changes: RepairOperation) -> Outcome:
        return apply(self.context, self.journal, self.plan(*changes), ("WC515",))

    def finish(self) -> Outcome | None:
        return finish(self.context, self.journal)

    def rollback(self, **more: Any) -> Outcome:
        return rollback(self.context, self.journal, **more)

    @property
    def status(self) -> str:
        return str(self.journal.status()["state"])


def holding(*providers: str, **fields: Any) -> dict[str, Any]:
    """A consumer that holds one card of each provider, and a VCPU of each root."""
    held = {uuid: {"VCPU" if uuid in (ROOT1, ROOT2) else CLASS: 1} for uuid in providers}
    return consumer(held, **fields)


def found(rule: str, host: str = "gpu-01", server: str = A, **facts: str) -> Disagreement:
    """A disagreement with these facts."""
    pending = facts.pop("pending", "")
    address = facts.pop("address", ADDRESS)
    return Disagreement(
        rule, host, address, "They disagree.", server=server, facts=facts, pending=pending
    )


def row_facts(number: int, status: str, server: str, service: str = "down") -> dict[str, str]:
    """The facts of a row."""
    return {"row_id": str(number), "row_status": status, "row_instance": server,
            "row_updated": WHEN, "cell": "cell1", "compute_node": "1",
            "service": service}  # fmt: skip


def report(*rows: Disagreement) -> AuditReport:
    """An audit that found these."""
    return AuditReport(2, 2, rows)
