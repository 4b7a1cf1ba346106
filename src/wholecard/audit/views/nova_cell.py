"""One cell of nova: SELECTs of its database, each answer as records.

Works with the schemas of Queens to 2026.2 (see `nova_tables.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, literal, null, or_, select
from sqlalchemy.sql import ColumnElement, Select

from wholecard.audit.record import (
    FORGOTTEN,
    ComputeNode,
    ComputeService,
    Instance,
    Migration,
    PciDevice,
    PciRequest,
)
from wholecard.audit.views.joined_rows import LARGE_GROUP, AsJson, grouped_rows, json_text
from wholecard.audit.views.nova_tables import (
    COMPUTE_NODES,
    INSTANCE_EXTRA,
    INSTANCES,
    MIGRATIONS,
    PCI_DEVICES,
    SERVICES,
)
from wholecard.audit.views.read_only_database import ReadOnlyDatabase

# nova/conf/service.py, [DEFAULT] service_down_time: seconds without a report.
SERVICE_DOWN_TIME = 60

_DEVICE_COLUMNS = (
    "compute_node_id", "id", "address", "vendor_id", "product_id", "dev_type", "status",
    "instance_uuid", "request_id", "numa_node", "parent_addr", "label", "extra_info", "created_at",
    "updated_at", "deleted_at", "deleted",
)  # fmt: skip
_NO_REQUESTS = ("", "[]", "null")


class NovaCell:
    """The database of one cell. Every method raises WholecardError where it cannot be read."""

    def __init__(self, cell: str, database: ReadOnlyDatabase) -> None:
        self.cell = cell
        self.database = database

    def compute_nodes(self) -> Iterator[tuple[ComputeNode, bool]]:
        """Each compute node, and whether it is deleted; deleted ones only where rows are left."""
        tables = ("compute_nodes", "pci_devices", "instances", "instance_extra", "migrations")
        self.database.require(tables, "a cell database of nova")
        nodes = COMPUTE_NODES.c
        left = exists().where(PCI_DEVICES.c.compute_node_id == nodes.id, PCI_DEVICES.c.deleted == 0)
        statement = grouped_rows(
            select().where(or_(nodes.deleted == 0, left)), nodes.id, nodes.id, nodes.uuid,
            nodes.host, nodes.hypervisor_hostname, nodes.deleted, size=LARGE_GROUP,
        )  # fmt: skip
        for number, uuid, host, name, deleted in self.database.joined(statement):
            yield ComputeNode(int(number), uuid, host, name or host, self.cell), deleted != "0"

    def devices(self, hosts: Mapping[int, str]) -> dict[int, tuple[PciDevice, ...]]:
        """The rows of these compute nodes (by id, with the host's name), in order of address.

        A row that `deleted`, `deleted_at` and `id` say to be deleted is left out
        (oslo.db, `SoftDeleteMixin.soft_delete` sets both); one that is deleted in half is not.
        """
        rows = PCI_DEVICES.c
        half = or_(rows.deleted == 0, rows.deleted.is_(None), rows.deleted != rows.id,
                   rows.deleted_at.is_(None))  # fmt: skip
        columns = (rows[name] for name in _DEVICE_COLUMNS)
        statement = grouped_rows(
            select().where(rows.compute_node_id.in_(hosts), half), rows.compute_node_id, *columns
        )
        found: dict[int, list[PciDevice]] = defaultdict(list)
        for fields in self.database.joined(statement):
            node = int(fields[0])
            found[node].append(_device(hosts[node], node, fields))
        return {node: tuple(sorted(rows, key=_by_address)) for node, rows in found.items()}

    def live_instances(self, hosts: Sequence[str] | None) -> Iterator[Instance]:
        """The servers that are not deleted, of these hypervisor hosts, of all for None."""
        statement = self._instances().where(INSTANCES.c.deleted == 0)
        if hosts is None:
            rows = self.database.joined(statement)
        else:
            rows = self.database.joined_in_chunks(statement, INSTANCES.c.node, hosts)
        read = _InstanceReader()
        return map(read.instance, rows)

    def instances_by_uuid(self, uuids: Iterable[str]) -> Iterator[Instance]:
        """The servers with these ids, deleted ones too."""
        read = _InstanceReader()
        rows = self.database.joined_in_chunks(self._instances(), INSTANCES.c.uuid, uuids)
        return map(read.instance, rows)

    def row_owners(self, nodes: Iterable[int] | None) -> Iterator[str]:
        """The servers that rows of these compute nodes name; of all (None), those that are gone.

        Where all hosts are read the database compares, so that of a sound cell nothing comes. A
        server that lives may be on a host that is not read: then it must be looked up.
        """
        rows = PCI_DEVICES.c
        statement = select(rows.instance_uuid).distinct()
        held = and_(rows.deleted == 0, rows.instance_uuid.is_not(None))
        if nodes is not None:
            answer: Iterable[Any] = self.database.in_chunks(
                statement.where(held), rows.compute_node_id, nodes
            )
        else:
            live = and_(INSTANCES.c.uuid == rows.instance_uuid, INSTANCES.c.deleted == 0)
            gone = statement.select_from(PCI_DEVICES.outerjoin(INSTANCES, live))
            answer = self.database.all(gone.where(held, INSTANCES.c.uuid.is_(None)))
        return (str(row[0]) for row in answer)

    def migrations(self, uuids: Iterable[str]) -> Iterator[Migration]:
        """Those that may keep devices, and those with these uuids; some may come twice."""
        rows = MIGRATIONS.c
        keeping = and_(
            or_(rows.deleted == 0, rows.deleted.is_(None)),
            or_(rows.status.is_(None), rows.status.not_in(sorted(FORGOTTEN))),
        )
        statement = select(*(self._known("migrations", each) for each in rows))
        yield from map(_migration, self.database.all(statement.where(keeping)))
        if "uuid" in self.database.columns("migrations"):
            yield from map(_migration, self.database.in_chunks(statement, rows.uuid, uuids))

    def services(self, now: datetime, down_time: int) -> Iterator[ComputeService]:
        """nova-compute's services, as nova judges them (nova/servicegroup/drivers/db.py)."""
        rows = SERVICES.c
        columns = (rows.host, rows.disabled, rows.forced_down, rows.created_at, rows.last_seen_up)
        statement = grouped_rows(
            select().where(rows.binary == "nova-compute", rows.deleted == 0),
            rows.id, *(self._known("services", each) for each in columns), size=LARGE_GROUP,
        )  # fmt: skip
        most = timedelta(seconds=down_time)
        for host, disabled, forced_down, created, reported in self.database.joined(statement):
            seen = _time(reported or created)
            fresh = seen is not None and abs(now - seen) <= most
            forced = _is_true(forced_down)
            yield ComputeService(host, fresh and not forced, _is_true(disabled), forced, seen)

    def _instances(self) -> Select[Any]:
        rows, extra = INSTANCES.c, INSTANCE_EXTRA.c
        flavor = case((extra.flavor.contains("VGPU"), extra.flavor), else_=null())
        requests = case((extra.pci_requests.in_(_NO_REQUESTS), literal("")),
                        else_=extra.pci_requests)  # fmt: skip
        table = INSTANCES.outerjoin(INSTANCE_EXTRA, extra.instance_uuid == rows.uuid)
        return grouped_rows(
            select().select_from(table), rows.id, rows.uuid, rows.host, rows.node, rows.vm_state,
            rows.task_state, rows.power_state, rows.deleted, rows.project_id,
            AsJson(rows.display_name), rows.created_at, rows.updated_at,
            self._known("instances", rows.hidden), requests, flavor, extra.instance_uuid,
            size=LARGE_GROUP,
        )  # fmt: skip

    def _known(self, table: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The column, NULL where this release's table does not have it."""
        name = str(column.key)
        return column if name in self.database.columns(table) else null().label(name)


def _by_address(device: PciDevice) -> tuple[str, int]:
    return device.address, device.id


def _device(host: str, node: int, fields: list[str]) -> PciDevice:
    (_, number, address, vendor, product, kind, status, instance, request, numa, parent, label,
     extra, created, updated, deleted_at, deleted) = fields  # fmt: skip
    return PciDevice(
        int(number), host, node, address, vendor, product, kind, status,
        instance or None, request or None, int(numa) if numa else None, parent or None, label,
        extra or "{}", _time(created), _time(updated), _time(deleted_at), int(deleted or 0),
    )  # fmt: skip


def _is_true(text: str) -> bool:
    """A number that is not 0, or PostgreSQL's own word; NULL is false."""
    return text not in ("", "0", "false")


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class _InstanceReader:
    """Makes instances of rows; texts that many servers share are kept once."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def instance(self, fields: list[str]) -> Instance:
        (uuid, host, node, vm_state, task_state, power, deleted, project, name, created, updated,
         hidden, requests, flavor, has_extra) = fields  # fmt: skip
        shared = self._shared
        return Instance(
            uuid, shared(host), shared(node), shared(vm_state), shared(task_state),
            int(power) if power else None,
            # A copy that waits in the other cell of a move is not the server (nova, Train on).
            _is_true(deleted) or _is_true(hidden), shared(project), json_text(name),
            _requests(requests) if has_extra else None, _vgpus(flavor) if flavor else 0,
            _time(created), _time(updated),
        )  # fmt: skip

    def _shared(self, text: str) -> str | None:
        return self._texts.setdefault(text, text) if text else None


def _requests(text: str | None) -> tuple[PciRequest, ...]:
    """`InstancePCIRequests.to_json`'s list (nova/objects/instance_pci_requests.py)."""
    if not text:
        return ()
    try:
        return tuple(
            PciRequest(str(row["request_id"]), int(row["count"]), row.get("alias_name"))
            for row in json.loads(text)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _vgpus(text: str) -> int:
    """How many VGPU the current flavor asks for: `resources:VGPU`, in groups `resources1:VGPU`."""
    try:
        specs = json.loads(text)["cur"]["nova_object.data"]["extra_specs"]
        return sum(
            int(value)
            for key, value in specs.items()
            if key.startswith("resources") and key.partition(":")[2] == "VGPU"
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0


def _migration(row: Any) -> Migration:
    return Migration(
        row.id, row.uuid or "", row.status or "", row.migration_type or "",
        row.instance_uuid or "", row.source_compute, row.dest_compute, row.source_node,
        row.dest_node, row.created_at, row.updated_at,
    )  # fmt: skip
