"""nova's moves of a server, and what nova wrote down of them.

Source: nova, nova/api/openstack/compute/{migrate_server,evacuate,servers}.py and
rest_api_version_history.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, answer_read, api_errors

# With it the administrator names the destination of a cold migration.
_MIGRATE_TO = "2.56"
# A host that is named is checked by the scheduler; `force` is gone from 2.68 on.
_LIVE = "2.68"
# An evacuated server is left stopped.
_EVACUATE = "2.95"
# With it a server's migrations show their `uuid`.
_MIGRATIONS = "2.59"


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration as `GET /os-migrations` shows it; `status` is nova's own word.

    `kind` is `migration`, `resize`, `live-migration` or `evacuation`.
    """

    uuid: str
    status: str
    kind: str
    source: str | None
    destination: str | None
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class ServerAction:
    """One of a server's actions as nova recorded it. Times are nova's own text, UTC."""

    action: str
    request_id: str
    start_time: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """An event of an action: nova-compute's or the conductor's. `seconds` is None while it runs."""

    event: str
    host: str
    result: str
    seconds: float | None
    error: str = ""


def migrate(conn: Connection, server_id: str, host: str) -> str:
    """Ask for a cold migration to `host` (nova-compute's); the request's id. Raises CloudError.

    The scheduler's filters still run for the host that is named. An empty host: nova chooses.
    """
    body = {"migrate": {"host": host} if host else None}
    return _act(conn, server_id, body, _MIGRATE_TO, "migrate")


def live_migrate(conn: Connection, server_id: str, host: str) -> str:
    """Ask for a live migration to `host`; the request's id. Raises CloudError."""
    body = {"os-migrateLive": {"host": host or None, "block_migration": "auto"}}
    return _act(conn, server_id, body, _LIVE, "live-migrate")


def evacuate(conn: Connection, server_id: str, host: str) -> str:
    """Ask for an evacuation to `host`; the request's id. Raises CloudError.

    nova refuses it while the source's nova-compute is up (ComputeServiceInUse).
    """
    body = {"evacuate": {"host": host} if host else {}}
    return _act(conn, server_id, body, _EVACUATE, "evacuate")


def confirm(conn: Connection, server_id: str) -> str:
    """Confirm a cold migration; the request's id. Raises CloudError."""
    return _act(conn, server_id, {"confirmResize": None}, None, "confirm the migration of")


def revert(conn: Connection, server_id: str) -> str:
    """Revert a cold migration; the request's id. Raises CloudError."""
    return _act(conn, server_id, {"revertResize": None}, None, "revert the migration of")


def _act(
    conn: Connection, server_id: str, body: dict[str, Any], version: str | None, doing: str
) -> str:
    with api_errors(conn, f"{doing} the server {server_id}"):
        if version and not utils.supports_microversion(conn.compute, version):
            version = utils.maximum_supported_microversion(conn.compute, version)
            if version is None or _number(version) < (2, 56):
                raise CloudError(
                    f"cannot {doing} the server {server_id}: nova's API is older than 2.56",
                    resolution="Wholecard names the destination, which needs nova of Queens.",
                )
        path = f"/servers/{server_id}/action"
        response = conn.compute.post(path, json=body, microversion=version)
        sdk.raise_from_response(response)
    return str(response.headers.get("x-openstack-request-id") or "")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def migrations_of(conn: Connection, server_id: str) -> tuple[MigrationState, ...]:
    """The server's migrations, the newest first. Raises CloudError."""
    version = utils.maximum_supported_microversion(conn.compute, _MIGRATIONS)
    with answer_read(conn, f"list the migrations of {server_id}"):
        query = {"instance_uuid": server_id}
        response = conn.compute.get("/os-migrations", params=query, microversion=version)
        sdk.raise_from_response(response)
        rows = [
            MigrationState(
                str(row.get("uuid") or row["id"]), str(row["status"]),
                str(row.get("migration_type") or ""), row.get("source_compute"),
                row.get("dest_compute"), str(row.get("created_at") or ""),
            )
            for row in response.json()["migrations"]
            if row.get("instance_uuid") == server_id
        ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: row.created_at, reverse=True))


def actions_of(conn: Connection, server_id: str) -> tuple[ServerAction, ...]:
    """The server's actions, the newest first; none where the server is gone. Raises CloudError."""
    path = f"/servers/{server_id}/os-instance-actions"
    with answer_read(conn, f"list the actions of {server_id}"):
        response = conn.compute.get(path)
        if response.status_code == 404:
            return ()
        sdk.raise_from_response(response)
        rows = [
            ServerAction(str(row["action"]), str(row["request_id"]),
                         str(row.get("start_time") or ""), str(row.get("message") or ""))
            for row in response.json()["instanceActions"]
        ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: row.start_time, reverse=True))


def events_of(conn: Connection, server_id: str, request_id: str) -> tuple[ActionEvent, ...]:
    """The events of one action in their order; none where it is not known. Raises CloudError."""
    path = f"/servers/{server_id}/os-instance-actions/{request_id}"
    version = utils.maximum_supported_microversion(conn.compute, "2.84")
    with answer_read(conn, f"read the action {request_id}"):
        response = conn.compute.get(path, microversion=version)
        if response.status_code == 404:
            return ()
        sdk.raise_from_response(response)
        rows = response.json()["instanceAction"].get("events") or ()
        rows = sorted(rows, key=lambda row: str(row.get("start_time") or ""))
        return tuple(map(_event, rows))


def _event(row: dict[str, Any]) -> ActionEvent:
    lines = [line for line in str(row.get("traceback") or "").splitlines() if line.strip()]
    error = str(row.get("details") or (lines[-1] if lines else ""))
    return ActionEvent(
        str(row["event"]), str(row.get("host") or ""), str(row.get("result") or ""),
        _between(row.get("start_time"), row.get("finish_time")),
        error if row.get("result") == "Error" else "",
    )  # fmt: skip


def _between(start: Any, end: Any) -> float | None:
    try:
        ended = datetime.fromisoformat(str(end))
        return (ended - datetime.fromisoformat(str(start))).total_seconds()
    except ValueError:
        return None
