"""A proof of one host: what is refused before a server boots, and whether it booted there."""

from __future__ import annotations

from collections.abc import Iterable

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import ComputeService, compute_services
from wholecard.cloud.client.errors import CloudError
from wholecard.core import Finding, Severity, UsageError
from wholecard.core.near_names import did_you_mean

_FORBIDDEN = 403


def require_host(conn: Connection, host: str) -> None:
    """Refuse a host on which nova starts nothing; an empty one is nova's choice.

    Whoever may not list the services is not refused here: nova itself says what it does not allow.
    Raises UsageError or CloudError.
    """
    if not host:
        return
    try:
        services = compute_services(conn)
    except CloudError as error:
        if error.http_status != _FORBIDDEN:
            raise
        return
    computes = [service for service in services if service.binary == "nova-compute"]
    _require_enabled(computes, host)


def _require_enabled(computes: list[ComputeService], host: str) -> None:
    service = next((service for service in computes if service.host == host), None)
    if service is None:
        raise UsageError(
            f"the cloud has no nova-compute on {host}",
            did_you_mean(host, [service.host for service in computes]),
            "openstack compute service list shows the hosts; write one as its column Host does.",
        )
    if service.status != "enabled":
        # Placement's candidates leave it out, whoever asks (nova: scheduler/request_filter.py,
        # compute_status_filter), also for `--availability-zone ZONE:HOST`.
        why = f": {service.disabled_reason}" if service.disabled_reason else ""
        raise UsageError(
            f"{host} is disabled{why}",
            "nova starts no server on a disabled host, not even for an administrator.",
            "Keep other projects out by an aggregate (see Prove a host after maintenance), and "
            f"run:\nopenstack compute service set --enable {host} nova-compute",
        )
    if service.state != "up":
        raise UsageError(
            f"nova-compute on {host} is {service.state}",
            "nova starts no server there.",
            f"Start it on {host}, and read its log.",
        )


def host_notes(seen: Iterable[str | None], asked: str) -> list[str]:
    """A sentence where nova did not show this user on which host a server is."""
    if asked and None in set(seen):
        return [f"nova does not show this user the servers' hosts: whether {asked} was proved is "
                "nova's word alone."]  # fmt: skip
    return []


def host_finding(name: str, seen: str | None, asked: str) -> Finding | None:
    """WC409 for a server that nova started on another host; None where that is not known."""
    if not asked or seen is None or seen == asked:
        return None
    return Finding(
        "WC409", name, Severity.ERROR,
        f"the server is on {seen} and not on {asked}: {asked} is not proved",
        "Prove it again. A server can be elsewhere only if it was moved meanwhile: look at its "
        "migrations.",
    )  # fmt: skip
