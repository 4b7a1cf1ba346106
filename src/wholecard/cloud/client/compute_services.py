"""nova-compute's services and the hypervisors they report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.waiting import wait_until

# From compute API 2.88 on the list has each host's uptime, for which nova-api asks each compute by
# RPC: one that does not listen (it is listed before it does) holds the list up until the RPC's
# time-out (nova/api/openstack/compute/hypervisors.py, nova/service.py).
_WITHOUT_UPTIME = "2.87"


@dataclass(frozen=True)
class ComputeService:
    """One nova service: `state` is up or down, `status` enabled or disabled."""

    binary: str
    host: str
    state: str
    status: str
    disabled_reason: str | None


@dataclass(frozen=True)
class Hypervisor:
    """One hypervisor host: `hostname` is its own name, `service_host` nova-compute's."""

    id: str
    hostname: str
    service_host: str
    state: str
    status: str


def compute_services(conn: Connection) -> tuple[ComputeService, ...]:
    """All nova services, by binary and host. Raises CloudError."""
    with answer_read(conn, "list nova's services"):
        found = [
            ComputeService(
                str(each.binary),
                str(each.host),
                str(each.state),
                str(each.status),
                each.disabled_reason,
            )
            for each in conn.compute.services()
        ]
    return tuple(sorted(found, key=lambda each: (each.binary, each.host)))


def hypervisors(conn: Connection) -> tuple[Hypervisor, ...]:
    """All hypervisor hosts, by name; no nova-compute is asked for it. Raises CloudError.

    From compute API 2.33 on nova gives them in pages, of 1000 each by default.
    """
    with answer_read(conn, "list the hypervisors"):
        found = [
            Hypervisor(
                str(each["id"]),
                str(each["hypervisor_hostname"]),
                str(each["service"]["host"]),
                str(each["state"]),
                str(each["status"]),
            )
            for each in _hypervisor_rows(conn)
        ]
    return tuple(sorted(found, key=lambda each: each.hostname))


def _hypervisor_rows(conn: Connection) -> Iterator[dict[str, Any]]:
    version = utils.maximum_supported_microversion(conn.compute, _WITHOUT_UPTIME)
    query: dict[str, str] | None = {}
    asked: list[dict[str, str]] = []
    while query is not None and query not in asked:
        asked.append(query)
        answer = conn.compute.get("/os-hypervisors/detail", params=query, microversion=version)
        sdk.raise_from_response(answer)
        body = answer.json()
        yield from body["hypervisors"]
        links = body.get("hypervisors_links", ())
        following = next((each["href"] for each in links if each["rel"] == "next"), None)
        # Its query alone: behind a proxy nova may not know its own address.
        query = None if following is None else dict(parse_qsl(urlsplit(following).query))


def wait_for_compute(conn: Connection, host: str, timeout: float) -> Hypervisor:
    """Wait until nova-compute on `host` is up and its hypervisor is listed, and return that.

    The service says "up" before the inventory exists: wait for the providers as well
    (`placement.wait_for_providers`). `timeout` in seconds. Raises WaitTimeoutError or CloudError.
    """
    seen = "nova has no such service"

    def probe() -> Hypervisor | None:
        nonlocal seen
        mine = [
            each
            for each in compute_services(conn)
            if each.binary == "nova-compute" and each.host == host
        ]
        if not mine:
            return None
        seen = f"the service is {mine[0].state} and {mine[0].status}, no hypervisor is listed"
        if mine[0].state != "up":
            return None
        listed = [each for each in hypervisors(conn) if each.service_host == host]
        return listed[0] if listed else None

    return wait_until(
        f"nova-compute on {host} up with its hypervisor",
        probe,
        timeout,
        last=lambda: seen,
        resolution="Read nova-compute's log on that host; a new host needs "
        "`nova-manage cell_v2 discover_hosts`.",
    )
