"""Servers as an administrator sees them: host, state, lock, flavor, image, server groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.pages import compute_rows
from wholecard.core import UsageError

# With it a server shows its server groups (2.71), the zone that it is pinned to (2.96) and its
# image's properties as nova keeps them (2.98): nova/api/openstack/compute/views/servers.py.
_VERSION = "2.98"
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ServerDetails:
    """A server as it is. `ram_mb` and `swap_mb` are MiB, `disk_gb` and `ephemeral_gb` GiB.

    `host` is nova-compute's, `node` the hypervisor's host name; both None for a server without a
    host, and for a user who is no administrator. `image_id` is None for a server that boots from a
    volume. `properties` are its image's. `zone_known` tells whether `zone` is what it is pinned to.
    `fault` is nova's message of an ERROR.
    """

    id: str
    name: str
    status: str
    vm_state: str
    task_state: str | None
    host: str | None
    node: str | None
    locked: bool = False
    flavor: str = ""
    vcpus: int = 0
    ram_mb: int = 0
    disk_gb: int = 0
    ephemeral_gb: int = 0
    swap_mb: int = 0
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_id: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    zone_known: bool = True
    groups: tuple[str, ...] = ()
    fault: str = ""

    @property
    def state(self) -> str:
        """`RESIZE/resize_prep`, or the status alone."""
        return f"{self.status}/{self.task_state}" if self.task_state else self.status


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group: its policy (`anti-affinity`, `affinity`, `soft-…`) and its servers' ids.

    `most` is how many of them one host may have, for anti-affinity (compute API 2.64).
    """

    id: str
    name: str
    policy: str
    members: tuple[str, ...]
    most: int = 1


def server_details(conn: Connection, server_id: str) -> ServerDetails | None:
    """The server of that id, None where nova does not know it. Raises CloudError."""
    with answer_read(conn, f"read the server {server_id}"):
        response = conn.compute.get(f"/servers/{server_id}", microversion=_version(conn))
        if response.status_code == 404:
            return None
        sdk.raise_from_response(response)
        return _server(response.json()["server"])


def find_server(conn: Connection, name: str) -> ServerDetails:
    """The server of that id or name, of any project.

    Raises UsageError where there is none, or where several have the name; CloudError.
    """
    found = server_details(conn, name) if _ID.fullmatch(name) else None
    if found is not None:
        return found
    with answer_read(conn, f"look for the server {name}"):
        # nova takes `name` as a regular expression of its database's kind.
        only = {"name": f"^{name}$"} if re.fullmatch(r"[\w-]+", name) else {}
        rows = [row for row in _pages(conn, {"all_tenants": "1", **only}) if row["name"] == name]
        servers = [_server(row) for row in rows]
    if len(servers) == 1:
        return servers[0]
    if servers:
        lines = "\n".join(f"{each.id}  {each.status}  on {each.host}" for each in servers)
        raise UsageError(f"{len(servers)} servers are named {name}", lines, "Use the server's id.")
    raise UsageError(
        f"the cloud has no server {name}, or does not show it",
        resolution="openstack server list --all-projects shows its servers.",
    )


def servers_on(conn: Connection, host: str) -> tuple[ServerDetails, ...]:
    """All projects' servers on this nova-compute's host, by name. Raises CloudError."""
    with answer_read(conn, f"list the servers on {host}"):
        rows = _pages(conn, {"all_tenants": "1", "host": host})
        # A user who is no administrator gets servers of other hosts too.
        servers = [server for server in map(_server, rows) if server.host == host]
    return tuple(sorted(servers, key=lambda server: (server.name, server.id)))


def server_groups(conn: Connection) -> tuple[ServerGroup, ...]:
    """All projects' server groups. Raises CloudError."""
    version = utils.maximum_supported_microversion(conn.compute, "2.64")
    with answer_read(conn, "list the server groups"):
        query = {"all_projects": "True"}
        response = conn.compute.get("/os-server-groups", params=query, microversion=version)
        sdk.raise_from_response(response)
        return tuple(_group(row) for row in response.json()["server_groups"])


def _group(row: Mapping[str, Any]) -> ServerGroup:
    policy = row.get("policy") or next(iter(row.get("policies") or ()), "")
    most = int((row.get("rules") or {}).get("max_server_per_host", 1))
    members = tuple(map(str, row.get("members") or ()))
    return ServerGroup(str(row["id"]), str(row["name"]), str(policy), members, most)


def _version(conn: Connection) -> str | None:
    version: str | None = utils.maximum_supported_microversion(conn.compute, _VERSION)
    return version


def _pages(conn: Connection, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return compute_rows(conn, "/servers/detail", "servers", _VERSION, query)


def _server(row: Mapping[str, Any]) -> ServerDetails:
    flavor, image = row.get("flavor") or {}, row.get("image") or {}
    names = (flavor.get(key) for key in ("original_name", "name", "id"))
    return ServerDetails(
        id=str(row["id"]),
        name=str(row["name"]),
        status=str(row["status"]),
        vm_state=_text(row, "OS-EXT-STS:vm_state") or "",
        task_state=_text(row, "OS-EXT-STS:task_state"),
        host=_text(row, "OS-EXT-SRV-ATTR:host"),
        node=_text(row, "OS-EXT-SRV-ATTR:hypervisor_hostname"),
        locked=bool(row.get("locked")),
        flavor=str(next(filter(None, names), "")),
        vcpus=_number(flavor, "vcpus"),
        ram_mb=_number(flavor, "ram"),
        disk_gb=_number(flavor, "disk"),
        ephemeral_gb=_number(flavor, "ephemeral"),
        swap_mb=_number(flavor, "swap"),
        extra_specs=_texts(flavor.get("extra_specs")),
        image_id=_text(image, "id"),
        properties=_texts(image.get("properties")),
        zone=_text(row, "pinned_availability_zone"),
        zone_known="pinned_availability_zone" in row,
        groups=tuple(map(str, row.get("server_groups", ()))),
        fault=_text(row.get("fault", {}), "message") or "",
    )


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    return str(value) if value else None


def _number(row: Mapping[str, Any], key: str) -> int:
    # nova writes an empty text for a flavor without swap.
    return int(row.get(key) or 0)


def _texts(row: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (row or {}).items()}
