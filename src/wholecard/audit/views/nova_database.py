"""nova as its databases have it: all cells together, and what the API database knows besides.

Without `[api]` in the databases file a server that is being scheduled, or that is in a cell which
the file does not name, is unknown: what it holds in Placement then looks as if no server had it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import select

from wholecard.audit.record import (
    CloudViews,
    ComputeNode,
    ComputeService,
    Instance,
    Migration,
    PciDevice,
)
from wholecard.audit.views.databases_file import Databases
from wholecard.audit.views.nova_cell import SERVICE_DOWN_TIME, NovaCell
from wholecard.audit.views.nova_tables import CELL_MAPPINGS, HOST_MAPPINGS, INSTANCE_MAPPINGS
from wholecard.audit.views.placement_view import Holdings
from wholecard.audit.views.read_only_database import ReadOnlyDatabase

# nova/objects/cell_mapping.py, CellMapping.CELL0_UUID: the cell of servers that found no host.
_CELL0 = "00000000-0000-0000-0000-000000000000"


class NovaDatabase:
    """The cells of one cloud. Methods raise WholecardError where a database cannot be read."""

    def __init__(self, databases: Databases, service_down_time: int = SERVICE_DOWN_TIME) -> None:
        self._cells = [NovaCell(name, ReadOnlyDatabase(each)) for name, each in databases.cells]
        self._api = ReadOnlyDatabase(databases.api) if databases.api else None
        self._down_time = service_down_time
        # By hypervisor's host name: the cell, the row's id, and the node where it is not deleted.
        self._nodes: dict[str, list[tuple[NovaCell, int, ComputeNode | None]]] = {}

    def compute_nodes(self) -> Mapping[str, ComputeNode | None]:
        """The compute nodes by hypervisor's host name; None for one that only has rows left."""
        self._nodes = {}
        for cell in self._cells:
            for node, deleted in cell.compute_nodes():
                entry = (cell, node.id, None if deleted else node)
                self._nodes.setdefault(node.hypervisor_hostname, []).append(entry)
        return {
            name: next((node for _, _, node in entries if node is not None), None)
            for name, entries in self._nodes.items()
        }

    def unread_hosts(self) -> Mapping[str, str]:
        """nova-compute's hosts that are in a cell without a connection, and why they are unread."""
        if self._api is None:
            return {}
        self._api.require(("cell_mappings", "host_mappings"), "nova's API database")
        read = {node.host for entries in self._nodes.values() for _, _, node in entries if node}
        cells = CELL_MAPPINGS.c
        names = {
            row.id: row.name or row.uuid
            for row in self._api.all(select(cells.id, cells.uuid, cells.name))
            if row.uuid != _CELL0
        }
        hosts = HOST_MAPPINGS.c
        return {
            row.host: f"The databases file has no connection for nova's cell {names[row.cell_id]}."
            for row in self._api.rows(select(hosts.host, hosts.cell_id))
            if row.host not in read and row.cell_id in names
        }

    def devices(self, hosts: Sequence[str]) -> Mapping[str, tuple[PciDevice, ...]]:
        """The rows of pci_devices of each of these hosts."""
        found: dict[str, tuple[PciDevice, ...]] = dict.fromkeys(hosts, ())
        for cell in self._cells:
            names = {
                node: host
                for host in hosts
                for owner, node, _ in self._nodes.get(host, ())
                if owner is cell
            }
            if names:
                for node, rows in cell.devices(names).items():
                    found[names[node]] += rows
        return found

    def cloud_views(
        self,
        held: Callable[[], Holdings],
        hosts: Sequence[str] | None = None,
    ) -> CloudViews:
        """What concerns more than one host.

        `held` is asked for what Placement has when the servers are read. With `hosts`, only servers
        of these hypervisor hosts are read, and those that these hosts' rows or consumers name.
        """
        instances: dict[str, Instance] = {}
        for cell in self._cells:
            _merge(instances, cell.live_instances(hosts))
        holdings = held()
        named = set(holdings.consumers).difference(instances)
        for cell in self._cells:
            named.update(cell.row_owners(self._node_ids(cell, hosts)))
        named.difference_update(instances)
        migrations = self._migrations(named)
        named.update(row.instance_uuid for row in migrations)
        named.difference_update(instances, (row.uuid for row in migrations))
        for cell in self._cells:
            _merge(instances, cell.instances_by_uuid(sorted(named.difference(instances))))
        _merge(instances, self._mapped(sorted(named.difference(instances))))
        now = self._cells[0].database.now()
        services: dict[str, ComputeService] = {}
        for cell in self._cells:
            services.update((row.host, row) for row in cell.services(now, self._down_time))
        return CloudViews(instances, migrations, services, holdings.hosts, now)

    def close(self) -> None:
        """End all connections."""
        for cell in self._cells:
            cell.database.close()
        if self._api is not None:
            self._api.close()

    def _node_ids(self, cell: NovaCell, hosts: Sequence[str] | None) -> list[int] | None:
        if hosts is None:
            return None
        return [
            node for host in hosts for owner, node, _ in self._nodes.get(host, ()) if owner is cell
        ]

    def _migrations(self, consumers: Iterable[str]) -> tuple[Migration, ...]:
        uuids = sorted(consumers)
        found: dict[tuple[str, int], Migration] = {}
        for cell in self._cells:
            found.update(((cell.cell, row.id), row) for row in cell.migrations(uuids))
        return tuple(found[key] for key in sorted(found))

    def _mapped(self, uuids: Sequence[str]) -> Iterator[Instance]:
        """Servers that the API database alone knows: in scheduling, cell0, or a cell not read.

        nova/conductor/manager.py, `schedule_and_build_instances`: the scheduler has allocated for
        a server before its row is in a cell; until then its mapping has no cell.
        """
        if self._api is None or not uuids:
            return
        self._api.require(("instance_mappings",), "nova's API database")
        rows = INSTANCE_MAPPINGS.c
        statement = select(rows.instance_uuid, rows.project_id, rows.cell_id)
        if "queued_for_delete" in self._api.columns("instance_mappings"):
            statement = statement.where(rows.queued_for_delete.is_not(True))
        cells = CELL_MAPPINGS.c
        buried = {row.id for row in self._api.all(select(cells.id).where(cells.uuid == _CELL0))}
        for row in self._api.in_chunks(statement, rows.instance_uuid, uuids):
            # As nova-api shows a server of which only the build request exists, and one in cell0
            # (nova/conductor/manager.py, `_bury_in_cell0`).
            if row.cell_id is not None:
                vm_state, task = ("error" if row.cell_id in buried else None), None
            else:
                vm_state, task = "building", "scheduling"
            yield Instance(row.instance_uuid, None, None, vm_state, task, project_id=row.project_id)


def _merge(found: dict[str, Instance], rows: Iterable[Instance]) -> None:
    """Add the servers; one that lives counts more than its deleted or hidden copy."""
    for row in rows:
        before = found.get(row.uuid)
        if before is None or before.deleted:
            found[row.uuid] = row
