"""nova through its API: what an audit sees without nova's databases.

The API shows no row of pci_devices, no pci_requests and no deleted server's host: with this source
a card is compared in Placement, libvirt and sysfs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from openstack.connection import Connection

from wholecard.audit.record import (
    FORGOTTEN,
    CloudViews,
    ComputeNode,
    ComputeService,
    Instance,
    Migration,
    PciDevice,
)
from wholecard.audit.views.placement_view import Holdings
from wholecard.cloud.client.compute_services import hypervisors
from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.pages import compute_rows

# api-ref/source/os-migrations.inc: uuid since 2.59 (Queens), pages with it.
_MIGRATIONS_VERSION = "2.59"
# api-ref/source/servers.inc: a flavor's own extra specs since 2.47.
_SERVERS_VERSION = "2.47"
_PAGE = "1000"


class NovaApi:
    """A `NovaView`. Methods raise CloudError where nova cannot be read; it needs an admin."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def compute_nodes(self) -> Mapping[str, ComputeNode | None]:
        """The hypervisors by their host's name; the uuid is known from compute API 2.53 on."""
        return {
            row.hostname: ComputeNode(0, row.id, row.service_host, row.hostname)
            for row in hypervisors(self._conn)
        }

    def unread_hosts(self) -> Mapping[str, str]:
        """None: the API shows all cells."""
        return {}

    def devices(self, hosts: Sequence[str]) -> Mapping[str, tuple[PciDevice, ...]] | None:  # noqa: ARG002
        """None: the API does not show them."""
        return None

    def cloud_views(
        self,
        held: Callable[[], Holdings],
        hosts: Sequence[str] | None = None,
    ) -> CloudViews:
        """All servers of all projects, migrations and services.

        With `hosts` the servers of other hosts are left out, unless they hold something.
        """
        holdings = held()
        consumers = frozenset(holdings.consumers)
        wanted = None if hosts is None else frozenset(hosts)
        instances = {
            row.uuid: row
            for row in self._servers()
            if wanted is None or row.node in wanted or row.uuid in consumers
        }
        migrations = tuple(
            row
            for row in self._migrations()
            if row.status not in FORGOTTEN or row.uuid in consumers
        )
        services = {row.host: row for row in self._services()}
        now = datetime.now(UTC).replace(tzinfo=None)
        return CloudViews(instances, migrations, services, holdings.hosts, now)

    def close(self) -> None:
        """Nothing is open."""

    def _servers(self) -> Iterator[Instance]:
        pages = self._pages("/servers/detail", "servers", _SERVERS_VERSION, all_tenants="True")
        with answer_read(self._conn, "list the servers"):
            for row in pages:
                yield Instance(
                    str(row["id"]), row.get("OS-EXT-SRV-ATTR:host"),
                    row.get("OS-EXT-SRV-ATTR:hypervisor_hostname"), row.get("OS-EXT-STS:vm_state"),
                    row.get("OS-EXT-STS:task_state"), row.get("OS-EXT-STS:power_state"),
                    project_id=row.get("tenant_id"), name=str(row.get("name", "")),
                    vgpus=_vgpus(row.get("flavor")), created_at=_time(row.get("created")),
                    updated_at=_time(row.get("updated")),
                )  # fmt: skip

    def _migrations(self) -> Iterator[Migration]:
        with answer_read(self._conn, "list the migrations"):
            for row in self._pages("/os-migrations", "migrations", _MIGRATIONS_VERSION):
                yield Migration(
                    int(row["id"]), str(row.get("uuid") or ""), str(row["status"]),
                    str(row.get("migration_type") or ""), str(row["instance_uuid"]),
                    row.get("source_compute"), row.get("dest_compute"), row.get("source_node"),
                    row.get("dest_node"), _time(row.get("created_at")),
                    _time(row.get("updated_at")),
                )  # fmt: skip

    def _services(self) -> Iterator[ComputeService]:
        with answer_read(self._conn, "list nova's services"):
            for row in self._pages("/os-services", "services", "2.11", binary="nova-compute"):
                yield ComputeService(
                    str(row["host"]), row["state"] == "up", row["status"] != "enabled",
                    bool(row.get("forced_down")), _time(row.get("updated_at")),
                )  # fmt: skip

    def _pages(
        self, path: str, name: str, version: str, **query: str
    ) -> Iterator[Mapping[str, Any]]:
        """The rows of all pages of a list, each in API's own words."""
        # nova's list of services has no pages, and takes no limit.
        asked = query if path == "/os-services" else {**query, "limit": _PAGE}
        return compute_rows(self._conn, path, name, version, asked)


def _vgpus(flavor: Any) -> int:
    specs = (flavor or {}).get("extra_specs") or {}
    return sum(
        int(value)
        for key, value in specs.items()
        if key.startswith("resources") and key.partition(":")[2] == "VGPU" and value.isdigit()
    )


def _time(text: Any) -> datetime | None:
    """A time of nova's API: UTC with and without its Z."""
    return datetime.fromisoformat(str(text)).replace(tzinfo=None) if text else None
