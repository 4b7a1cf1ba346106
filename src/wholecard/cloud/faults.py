"""A server that failed: its flavor and image as it had them, nova's fault, and who refused it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.errors import api_errors

# The last line of a traceback: the exception and its words.
_LAST_LINE = re.compile(r"^[\w.]+(?:_Remote)?: (.*)", re.MULTILINE)


@dataclass(frozen=True)
class Failure:
    """One event of an action that ended in an error, and the host that it ran on."""

    action: str
    event: str
    host: str
    message: str


@dataclass(frozen=True)
class FailedServer:
    """A server as it is. Sizes are MiB and GiB; `disk_gb` is None for one on a volume.

    `fault` is nova's message, empty where it has none; `failures` are only an administrator's to
    see in full. `tried` are the hosts whose nova-compute was given the server: one that refuses a
    claim leaves no error behind.
    """

    id: str
    name: str
    status: str
    flavor: str
    vcpus: int
    ram_mb: int
    disk_gb: int | None
    extra_specs: Mapping[str, str]
    image_id: str | None
    zone: str | None
    fault: str
    failures: tuple[Failure, ...]
    tried: tuple[str, ...] = ()


def failed_server(conn: Connection, server: str) -> FailedServer:
    """The server of that id or name. Raises CloudError, also where there is none.

    The flavor is the one that the server was made with, extra specs included (compute API 2.47).
    """
    with api_errors(conn, f"read the server {server}"):
        found = conn.compute.find_server(server, ignore_missing=False, all_projects=True)
        row = conn.compute.get_server(found.id)
        events = _events(conn, str(found.id))
    flavor = row.flavor or {}
    fault = row.fault or {}
    image_id = (row.image or {}).get("id") if row.image else None
    disk = int(flavor.get("disk") or 0) + int(flavor.get("ephemeral") or 0)
    return FailedServer(
        id=str(row.id),
        name=str(row.name),
        status=str(row.status),
        flavor=str(flavor.get("original_name") or flavor.get("name") or flavor.get("id") or ""),
        vcpus=int(flavor.get("vcpus") or 0),
        ram_mb=int(flavor.get("ram") or 0),
        disk_gb=disk if image_id else None,
        extra_specs={str(k): str(v) for k, v in dict(flavor.get("extra_specs") or {}).items()},
        image_id=image_id,
        zone=getattr(row, "pinned_availability_zone", None) or row.availability_zone or None,
        fault=str(fault.get("message") or ""),
        failures=tuple(_failure(action, each) for action, each in events if each.result == "Error"),
        tried=tuple(
            dict.fromkeys(
                str(each.host)
                for _, each in events
                if each.host and str(each.event).startswith("compute_")
            )
        ),
    )


def _events(conn: Connection, server_id: str) -> list[tuple[str, Any]]:
    """Every event of the server, with its action's name."""
    found: list[tuple[str, Any]] = []
    for action in conn.compute.server_actions(server_id):
        try:
            full = conn.compute.get_server_action(action.request_id, server_id)
        except sdk.NotFoundException:
            continue
        found += [(str(full.action), event) for event in full.events or ()]
    return found


def _failure(action: str, event: Any) -> Failure:
    lines = _LAST_LINE.findall(str(event.traceback or ""))
    message = lines[-1] if lines else str(event.details or "")
    return Failure(action, str(event.event), str(event.host or ""), message)
