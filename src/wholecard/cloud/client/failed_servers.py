"""A server that failed: its flavor and image as it had them, nova's fault, and who refused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors

# The last line of a traceback: the exception and its words.
_LAST_LINE = re.compile(r"^[\w.]+(?:_Remote)?: (.*)", re.MULTILINE)
# With it a server shows the zone that it is pinned to (2.96) and its image's properties as nova
# keeps them (2.98): nova/api/openstack/compute/views/servers.py.
_VERSION = "2.98"
# The actions in which nova chooses a host (nova/compute/instance_actions.py).
_CHOOSING = frozenset({"create", "rebuild", "resize", "migrate", "evacuate", "unshelve"})
_MOVES = frozenset({"resize", "migrate"})
# nova-compute's events that claim, and hand the server on when the claim fails: they end in
# "Success" all the same (nova/compute/manager.py of 27 to 34, `_do_build_and_run_instance` and
# `prep_resize`).
_HANDING_ON = frozenset({"compute__do_build_and_run_instance", "compute_prep_resize"})
# With those that end in "Error" where a host cannot take or start the server; the other events are
# a source's, or have nothing to do with where a server is.
_STARTING = _HANDING_ON | {
    "compute_prep_snapshot_based_resize_at_dest",
    "compute_finish_resize",
    "compute_finish_snapshot_based_resize_at_dest",
    "compute_rebuild_instance",
    "compute_unshelve_instance",
}
# What comes after a claim that held, when a server is moved.
_AFTER_CLAIM = frozenset({"compute_resize_instance", "compute_finish_resize"})


@dataclass(frozen=True)
class Failure:
    """One event that ended in an error, and the host that it ran on."""

    event: str
    host: str
    message: str


@dataclass(frozen=True)
class FailedServer:
    """A server as it is. Sizes are MiB and GiB; `disk_gb` is what is asked of its host.

    `fault` is nova's message, empty where it has none. `action` is the last action in which nova
    chose a host, and `failures` its errors, which only an administrator sees in full. `tried` are
    the hosts that were given the server in it and do not have it: one that refuses a claim leaves
    no error behind. `properties` are its image's as nova keeps them, None where its API is older.
    `zone_known` tells whether `zone` is what was asked for: before compute API 2.96 the zone of a
    server that was given to a host is the host's.
    """

    id: str
    name: str
    status: str
    flavor: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    extra_specs: Mapping[str, str]
    image_id: str | None
    properties: Mapping[str, str] | None
    zone: str | None
    zone_known: bool
    fault: str
    action: str
    failures: tuple[Failure, ...]
    tried: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is in ERROR, or its last action that chose a host failed.

        A server whose resize finds no host is what it was before, with its old flavor
        (nova/conductor/manager.py, `_cold_migrate`).
        """
        return self.status == "ERROR" or bool(self.failures)

    @property
    def moved(self) -> bool:
        """Whether it was to be moved to another host, or another size."""
        return self.action in _MOVES

    @property
    def said(self) -> dict[str, tuple[str, ...]]:
        """What each nova-compute said that was given the server; "" where nothing is recorded."""
        found: dict[str, tuple[str, ...]] = {}
        for failure in self.failures:
            # The conductor's and the scheduler's events bear their own hosts' names.
            if failure.event in _STARTING and failure.host:
                found[failure.host] = (*found.get(failure.host, ()), failure.message)
        for host in self.tried:
            found.setdefault(host, ("",))
        return found


def failed_server(conn: Connection, server: str) -> FailedServer:
    """The server of that id or name. Raises CloudError, also where there is none.

    The flavor is the one that the server was made with, extra specs included (compute API 2.47).
    """
    with api_errors(conn, f"read the server {server}"):
        row = _row(conn, server)
        action, events = _last_action(conn, str(row["id"]))
    flavor = row.get("flavor") or {}
    image = row.get("image") or {}
    sizes = [int(flavor.get(key) or 0) for key in ("disk", "ephemeral", "swap")]
    specs, properties = flavor.get("extra_specs") or {}, image.get("properties")
    zone, zone_known = _zone(row, events)
    return FailedServer(
        id=str(row["id"]),
        name=str(row["name"]),
        status=str(row["status"]),
        flavor=str(flavor.get("original_name") or flavor.get("name") or flavor.get("id") or ""),
        vcpus=int(flavor.get("vcpus") or 0),
        ram_mb=int(flavor.get("ram") or 0),
        disk_gb=disk_asked(*sizes, on_volume=not image),
        extra_specs={str(key): str(value) for key, value in specs.items()},
        image_id=image.get("id"),
        properties=None
        if properties is None
        else {str(key): str(value) for key, value in properties.items()},
        zone=zone,
        zone_known=zone_known,
        fault=str((row.get("fault") or {}).get("message") or ""),
        action=action,
        failures=tuple(_failure(each) for each in events if each.result == "Error"),
        tried=_tried(row, action, events),
    )


def disk_asked(root_gb: int, ephemeral_gb: int, swap_mb: int, *, on_volume: bool = False) -> int:
    """How much DISK_GB nova asks Placement for: swap in whole GiB, a root on a volume not at all.

    nova, nova/scheduler/utils.py, `ResourceRequest.from_request_spec`.
    """
    return (0 if on_volume else root_gb) + ephemeral_gb + -(-swap_mb // 1024)


def _row(conn: Connection, server: str) -> dict[str, Any]:
    """The server as the API shows it; a missing key and an empty one are two things here."""
    try:
        found = conn.compute.find_server(server, ignore_missing=False, all_projects=True)
    except sdk.ForbiddenException:
        found = conn.compute.find_server(server, ignore_missing=False)
    version = utils.maximum_supported_microversion(conn.compute, _VERSION)
    answer = conn.compute.get(f"/servers/{found.id}", microversion=version)
    sdk.raise_from_response(answer)
    row: dict[str, Any] = answer.json()["server"]
    return row


def _last_action(conn: Connection, server_id: str) -> tuple[str, list[Any]]:
    """The newest action that chose a host, with its events, the newest first; "" without one."""
    try:
        actions = _newest_first(conn.compute.server_actions(server_id))
        for action in actions:
            if action.action in _CHOOSING:
                full = conn.compute.get_server_action(action.request_id, server_id)
                return str(action.action), _newest_first(full.events or ())
    except (sdk.NotFoundException, sdk.ForbiddenException):
        pass
    return "", []


def _newest_first(rows: Iterable[Any]) -> list[Any]:
    """As nova lists them, which is by when they were recorded, whatever a cell's order was."""
    return sorted(rows, key=lambda each: str(each.start_time or ""), reverse=True)


def _zone(row: Mapping[str, Any], events: Iterable[Any]) -> tuple[str | None, bool]:
    """The zone that was asked for, and whether that is known.

    nova writes the chosen host's zone into the server (nova/conductor/manager.py,
    `schedule_and_build_instances`) and takes it out when the host refuses; before that it is what
    was asked for.
    """
    if "pinned_availability_zone" in row:
        return row["pinned_availability_zone"] or None, True
    given = (
        row.get("OS-EXT-SRV-ATTR:host")
        or row.get("hostId")
        or row.get("OS-SRV-USG:launched_at")
        or any(str(each.event).startswith("compute_") for each in events)
    )
    return (None, False) if given else (row.get("OS-EXT-AZ:availability_zone") or None, True)


def _tried(row: Mapping[str, Any], action: str, events: Iterable[Any]) -> tuple[str, ...]:
    """The hosts that claimed the server and handed it on, the newest first.

    The last one kept it where the server was started, or where its move went on after the claim.
    """
    events = list(events)
    hosts = [
        str(each.host) for each in events if each.host and each.result and each.event in _HANDING_ON
    ]
    kept: set[Any] = set()
    if action in _MOVES:
        went_on = any(each.event in _AFTER_CLAIM for each in events)
        if went_on or not any(each.result == "Error" for each in events):
            kept = set(hosts[:1])
    else:
        kept = {row.get("OS-EXT-SRV-ATTR:host")}
        kept |= set(hosts[:1]) if row.get("OS-SRV-USG:launched_at") else set()
    return tuple(host for host in dict.fromkeys(hosts) if host not in kept)


def _failure(event: Any) -> Failure:
    lines = _LAST_LINE.findall(str(event.traceback or ""))
    message = lines[-1] if lines else str(event.details or "")
    return Failure(str(event.event), str(event.host or ""), message)
