"""A server that failed: its flavor and image, nova's fault, and the hosts that refused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors

# The last line of a traceback: the exception and its message.
_LAST_LINE = re.compile(r"^[\w.]+(?:_Remote)?: (.*)", re.MULTILINE)
# With it a server shows the zone that it is pinned to (2.96) and its image's properties as nova
# keeps them (2.98): nova/api/openstack/compute/views/servers.py.
_VERSION = "2.98"
# The actions in which nova chooses a host (nova/compute/instance_actions.py).
_CHOOSING = frozenset({"create", "rebuild", "resize", "migrate", "evacuate", "unshelve"})
_MOVES = frozenset({"resize", "migrate"})
# nova-compute's events that claim, and pass the server on when the claim fails: they end in
# "Success" even so (nova/compute/manager.py of 27 to 34, `_do_build_and_run_instance` and
# `prep_resize`).
_PASSING_ON = frozenset({"compute__do_build_and_run_instance", "compute_prep_resize"})
# With those that end in "Error" where a host cannot take or start the server; other events are of
# the source host, or do not concern the host at all.
_STARTING = _PASSING_ON | {
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
    the hosts that were chosen in it and do not have the server: one that refuses a claim records
    no error. `properties` are its image's as nova stored them, None where its API is older.
    `zone_known` tells whether `zone` is what was asked for: before compute API 2.96 it is the zone
    of the host, once one was chosen.
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
    def answers(self) -> dict[str, tuple[str, ...]]:
        """The errors of each nova-compute that was chosen, by host; "" where none is recorded."""
        messages: dict[str, tuple[str, ...]] = {}
        for failure in self.failures:
            # The conductor's and the scheduler's events have their own hosts' names.
            if failure.event in _STARTING and failure.host:
                messages[failure.host] = (*messages.get(failure.host, ()), failure.message)
        for host in self.tried:
            messages.setdefault(host, ("",))
        return messages


def failed_server(conn: Connection, server: str) -> FailedServer:
    """The server of that id or name. Raises CloudError, also where it does not exist.

    The flavor is that of the server's creation, with its extra specs (compute API 2.47).
    """
    with api_errors(conn, f"read the server {server}"):
        row = _row(conn, server)
        action, events = _last_action(conn, str(row["id"]))
    image, properties = row.get("image") or {}, (row.get("image") or {}).get("properties")
    zone, zone_known = _zone(row, events)
    return FailedServer(
        id=str(row["id"]),
        name=str(row["name"]),
        status=str(row["status"]),
        **_flavor(row.get("flavor") or {}, on_volume=not image),
        image_id=image.get("id"),
        properties=None if properties is None else _texts(properties),
        zone=zone,
        zone_known=zone_known,
        fault=str((row.get("fault") or {}).get("message") or ""),
        action=action,
        failures=tuple(_failure(event) for event in events if event.result == "Error"),
        tried=_tried(row, action, events),
    )


def _flavor(flavor: Mapping[str, Any], *, on_volume: bool) -> dict[str, Any]:
    """The fields of FailedServer about its flavor; an API before 2.47 shows its id alone."""
    names = (flavor.get(key) for key in ("original_name", "name", "id"))
    sizes = [int(flavor.get(key) or 0) for key in ("disk", "ephemeral", "swap")]
    return {
        "flavor": str(next(filter(None, names), "")),
        "vcpus": int(flavor.get("vcpus") or 0),
        "ram_mb": int(flavor.get("ram") or 0),
        "disk_gb": disk_asked(*sizes, on_volume=on_volume),
        "extra_specs": _texts(flavor.get("extra_specs") or {}),
    }


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in row.items()}


def disk_asked(root_gb: int, ephemeral_gb: int, swap_mb: int, *, on_volume: bool = False) -> int:
    """How much DISK_GB nova asks Placement for: swap in whole GiB, without a root on a volume.

    nova, nova/scheduler/utils.py, `ResourceRequest.from_request_spec`.
    """
    return (0 if on_volume else root_gb) + ephemeral_gb + -(-swap_mb // 1024)


def _row(conn: Connection, server: str) -> dict[str, Any]:
    """The server as the API shows it, for a missing key and an empty one differ."""
    try:
        listed = conn.compute.find_server(server, ignore_missing=False, all_projects=True)
    except sdk.ForbiddenException:
        listed = conn.compute.find_server(server, ignore_missing=False)
    version = utils.maximum_supported_microversion(conn.compute, _VERSION)
    response = conn.compute.get(f"/servers/{listed.id}", microversion=version)
    sdk.raise_from_response(response)
    row: dict[str, Any] = response.json()["server"]
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
    """In the order in which nova lists them: by start, whatever a cell's order was."""
    return sorted(rows, key=lambda row: str(row.start_time or ""), reverse=True)


def _zone(row: Mapping[str, Any], events: Iterable[Any]) -> tuple[str | None, bool]:
    """The zone that was asked for, and whether that is known.

    nova writes the chosen host's zone into the server (nova/conductor/manager.py,
    `schedule_and_build_instances`) and removes it when the host refuses; before that it is what
    was asked for.
    """
    if "pinned_availability_zone" in row:
        return row["pinned_availability_zone"] or None, True
    had_host = (
        row.get("OS-EXT-SRV-ATTR:host")
        or row.get("hostId")
        or row.get("OS-SRV-USG:launched_at")
        or any(str(event.event).startswith("compute_") for event in events)
    )
    return (None, False) if had_host else (row.get("OS-EXT-AZ:availability_zone") or None, True)


def _tried(row: Mapping[str, Any], action: str, events: Iterable[Any]) -> tuple[str, ...]:
    """The hosts that claimed the server and passed it on, the newest first.

    The last one has it where the server was started, or where its move went on after the claim.
    """
    events = list(events)
    hosts = [
        str(event.host)
        for event in events
        if event.host and event.result and event.event in _PASSING_ON
    ]
    having: set[Any] = set()
    if action not in _MOVES:
        having = {row.get("OS-EXT-SRV-ATTR:host")}
    stays = _moved_on(events) if action in _MOVES else row.get("OS-SRV-USG:launched_at")
    if stays:
        having |= set(hosts[:1])
    return tuple(host for host in dict.fromkeys(hosts) if host not in having)


def _moved_on(events: Iterable[Any]) -> bool:
    """Whether a move went on after its claim, or nothing of it failed."""
    went_on = any(event.event in _AFTER_CLAIM for event in events)
    return went_on or not any(event.result == "Error" for event in events)


def _failure(event: Any) -> Failure:
    lines = _LAST_LINE.findall(str(event.traceback or ""))
    message = lines[-1] if lines else str(event.details or "")
    return Failure(str(event.event), str(event.host or ""), message)
