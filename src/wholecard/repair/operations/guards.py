"""What must be so before anything is changed, read anew each time: domains, servers, services."""

from __future__ import annotations

from collections.abc import Sequence

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.audit.record import Domain
from wholecard.cloud.client.errors import answer_read
from wholecard.core import WholecardError
from wholecard.repair.operations.operation import RepairContext

# Compute API 2.53: services have their ids as UUIDs, and can be asked for by host.
SERVICES_VERSION = "2.53"

_AGAIN = "Nothing of it was changed. Run wholecard audit, and plan again."


class GuardError(WholecardError):
    """A guard refused: what the audit saw is not so any more, or a server has the device."""


def refuse_held(
    context: RepairContext, host: str, addresses: Sequence[str], *, off: bool = False
) -> None:
    """Raises GuardError where a domain of the host names one of the addresses.

    A domain that is shut off counts too: it takes its devices when it is started. `off` is the
    operator's word that the host has no power: its domains are not read then, and nova's service
    there has to be down. Raises WholecardError where the domains cannot be read.
    """
    if off:
        _refuse_reporting(context.conn, host)
        return
    wanted = {address.lower() for address in addresses}
    for domain in _domains(context, host):
        held = sorted(wanted & {address.lower() for address in domain.hostdevs})
        if held:
            raise GuardError(
                f"the domain {domain.name} on {host} has {', '.join(held)}",
                f"Its UUID is {domain.uuid}, its state {domain.state}.",
                f"A device that a domain has is never freed. {_AGAIN}",
            )


def refuse_other_holder(context: RepairContext, host: str, address: str, server: str) -> None:
    """Raises GuardError unless the server's own domain runs with the device, and no other has it.

    Raises WholecardError where the domains cannot be read.
    """
    domains = [
        domain
        for domain in _domains(context, host)
        if address.lower() in {each.lower() for each in domain.hostdevs}
    ]
    if [domain.uuid for domain in domains if domain.is_active] != [server] or len(domains) != 1:
        having = ", ".join(domain.uuid for domain in domains) or "none"
        raise GuardError(
            f"{address} on {host} is not with the running domain of server {server} alone",
            f"Domains that have it: {having}.",
            _AGAIN,
        )


def refuse_domain(context: RepairContext, host: str, uuid: str, *, off: bool = False) -> None:
    """Raises GuardError where the host has a domain with this UUID; `off` as in `refuse_held`."""
    if off:
        _refuse_reporting(context.conn, host)
        return
    for domain in _domains(context, host):
        if domain.uuid == uuid:
            raise GuardError(
                f"server {uuid} has a domain on {host}",
                f"Its state is {domain.state}.",
                f"What a domain uses is not freed. {_AGAIN}",
            )


def refuse_known_server(conn: Connection, server: str) -> None:
    """Raises GuardError where nova has a server with this id. Raises CloudError."""
    if server_host(conn, server) is not None:
        raise GuardError(f"nova has a server {server}", "", _AGAIN)


def refuse_server_on(conn: Connection, server: str, host: str) -> None:
    """Raises GuardError unless nova has this server, on another host. Raises CloudError."""
    where = server_host(conn, server)
    if where in (None, "", host):
        place = "nowhere" if not where else f"on {where}"
        raise GuardError(f"server {server} is {place}, and not on another host", "", _AGAIN)


def refuse_server_away(conn: Connection, server: str, host: str) -> None:
    """Raises GuardError unless nova has this server on this host, in no task. Raises CloudError."""
    where = server_host(conn, server)
    if where != host:
        place = f"on {where}" if where else "in a task, or nowhere"
        raise GuardError(f"server {server} is {place}, and not on {host}", "", _AGAIN)


def server_host(conn: Connection, server: str) -> str | None:
    """The hypervisor's host name of a server, empty where it has none; None for no such server.

    One in a task counts as a server without a host, for its host may change. Raises CloudError.
    """
    with answer_read(conn, f"read server {server}"):
        answer = conn.compute.get(f"/servers/{server}", microversion="2.1")
        if answer.status_code == 404:
            return None
        sdk.raise_from_response(answer)
        row = answer.json()["server"]
        if row.get("OS-EXT-STS:task_state"):
            return ""
        return str(row.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or "")


def service_seen(conn: Connection, host: str) -> tuple[str, str] | None:
    """State (`up`, `down`) of nova-compute on a host and when it last reported; None without it.

    The hypervisor's host name may be a full one where nova's host is not. Raises CloudError.
    """
    names = dict.fromkeys((host, host.partition(".")[0]))
    return next(filter(None, (_service(conn, name) for name in names)), None)


def _service(conn: Connection, host: str) -> tuple[str, str] | None:
    with answer_read(conn, f"read the service of {host}"):
        answer = conn.compute.get(
            "/os-services",
            params={"binary": "nova-compute", "host": host},
            microversion=SERVICES_VERSION,
        )
        sdk.raise_from_response(answer)
        for row in answer.json()["services"]:
            return str(row["state"]), str(row.get("updated_at") or "")
    return None


def _refuse_reporting(conn: Connection, host: str) -> None:
    seen = service_seen(conn, host)
    if seen is not None and seen[0] != "down":
        raise GuardError(
            f"{host} is said to be powered off, and its nova-compute is {seen[0]}",
            "",
            "Leave out --powered-off: the host's domains are read then.",
        )


def _domains(context: RepairContext, host: str) -> tuple[Domain, ...]:
    try:
        return context.hosts.domains(host)
    except WholecardError as error:
        raise GuardError(
            f"the domains of {host} cannot be read: {error.brief}",
            error.details,
            "Nothing is freed that a domain may have. Make the host reachable by ssh. If it has no "
            f"power and stays off: --powered-off {host}",
        ) from error
