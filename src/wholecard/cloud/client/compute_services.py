"""nova-compute's services and the hypervisors they report."""

from __future__ import annotations

from dataclasses import dataclass

from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.pages import compute_rows
from wholecard.cloud.client.waiting import wait_until

# From compute API 2.88 on the list has each host's uptime, for which nova-api asks each compute by
# RPC: one that does not listen (it is listed before it does) delays the list until the RPC's
# time-out (nova/api/openstack/compute/hypervisors.py, nova/service.py).
_WITHOUT_UPTIME = "2.87"


@dataclass(frozen=True)
class ComputeService:
    """One nova service: `state` is up or down, `status` enabled or disabled.

    `id` is what a change of it needs; `forced_down` is whether a person told nova that it is down.
    """

    binary: str
    host: str
    state: str
    status: str
    disabled_reason: str | None
    id: str = ""
    forced_down: bool = False


@dataclass(frozen=True)
class Hypervisor:
    """One hypervisor host: `hostname` is its own name, `service_host` nova-compute's.

    `version` is QEMU's as libvirt has it, 8001002 for 8.1.2; 0 where nova does not tell.
    """

    id: str
    hostname: str
    service_host: str
    state: str
    status: str
    version: int = 0


def compute_services(conn: Connection) -> tuple[ComputeService, ...]:
    """All nova services, by binary and host. Raises CloudError."""
    with answer_read(conn, "list nova's services"):
        services = [
            ComputeService(
                str(service.binary),
                str(service.host),
                str(service.state),
                str(service.status),
                service.disabled_reason,
                str(service.id or ""),
                bool(service.is_forced_down),
            )
            for service in conn.compute.services()
        ]
    return tuple(sorted(services, key=lambda service: (service.binary, service.host)))


def hypervisors(conn: Connection) -> tuple[Hypervisor, ...]:
    """All hypervisor hosts, by name, without a call to any nova-compute. Raises CloudError.

    From compute API 2.33 on nova returns them in pages, of 1000 each by default.
    """
    with answer_read(conn, "list the hypervisors"):
        listed = [
            Hypervisor(
                str(row["id"]),
                str(row["hypervisor_hostname"]),
                str(row["service"]["host"]),
                str(row["state"]),
                str(row["status"]),
                int(row.get("hypervisor_version") or 0),
            )
            for row in compute_rows(
                conn, "/os-hypervisors/detail", "hypervisors", _WITHOUT_UPTIME, {}
            )
        ]
    return tuple(sorted(listed, key=lambda hypervisor: hypervisor.hostname))


def wait_for_compute(conn: Connection, host: str, timeout: float) -> Hypervisor:
    """Wait until nova-compute on `host` is up and its hypervisor is listed, and return that.

    The service says "up" before the inventory exists: wait for the providers as well
    (`resource_providers.wait_for_providers`). `timeout` in seconds. Raises WaitTimeoutError or
    CloudError.
    """
    seen = "nova has no such service"

    def probe() -> Hypervisor | None:
        nonlocal seen
        services = (row for row in compute_services(conn) if row.binary == "nova-compute")
        service = next((row for row in services if row.host == host), None)
        if service is None:
            return None
        seen = f"the service is {service.state} and {service.status}, no hypervisor is listed"
        if service.state != "up":
            return None
        return next((row for row in hypervisors(conn) if row.service_host == host), None)

    return wait_until(
        f"nova-compute on {host} up with its hypervisor",
        probe,
        timeout,
        last=lambda: seen,
        resolution="Read nova-compute's log on that host; a new host needs "
        "`nova-manage cell_v2 discover_hosts`.",
    )
