"""Servers: boot one and report the outcome, read its console, delete it and wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, answer_read, api_errors
from wholecard.cloud.client.waiting import WaitTimeoutError, wait_until


@dataclass(frozen=True)
class StateSeconds:
    """How long a server was in one state, in seconds, as seen by polling."""

    state: str
    seconds: float


@dataclass(frozen=True)
class ServerOutcome:
    """How a boot ended: `status` is ACTIVE or ERROR.

    `host` (nova-compute's) and `hypervisor_hostname` are None where no host was found, and for a
    user who is not an administrator. `fault` is nova's message of an ERROR, else empty. `states`
    are in the order in which they were seen, `STATUS` or `STATUS/task`.
    """

    id: str
    name: str
    status: str
    host: str | None
    hypervisor_hostname: str | None
    fault: str
    states: tuple[StateSeconds, ...]

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return sum(state.seconds for state in self.states)


@dataclass(frozen=True)
class NewServer:
    """What a server is made of: ids of flavor and image, `networks` `none` or a network's id.

    `metadata` is in the server's config drive; `user_data` is in base64, empty for none. `host` is
    nova-compute's; empty: nova chooses. `availability_zone` is empty for nova's default.
    """

    name: str
    flavor_id: str
    image_id: str
    networks: str = "none"
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_data: str = ""
    config_drive: bool = False
    host: str = ""
    availability_zone: str = ""


@dataclass(frozen=True)
class ServerState:
    """A server as it is now; `fault` is nova's message of an ERROR, else empty."""

    id: str
    name: str
    status: str
    task: str | None
    host: str | None
    fault: str
    metadata: Mapping[str, str]


class ServerTimeoutError(WaitTimeoutError):
    """A server was neither ACTIVE nor ERROR in time; it still exists as `server_id`."""

    def __init__(self, brief: str, details: str, resolution: str, server_id: str) -> None:
        super().__init__(brief, details, resolution)
        self.server_id = server_id


def create(conn: Connection, new: NewServer) -> str:
    """Ask nova for a server; its id. Raises CloudError.

    `networks: none` needs compute API 2.37 and `host` 2.74; the SDK uses the newest that both sides
    know. With `host` the scheduler's filters still run, and by default only an administrator may
    name one (nova: rest_api_version_history.rst, 2.74).
    """
    networks: Any = "none" if new.networks == "none" else [{"uuid": new.networks}]
    more: dict[str, Any] = {"user_data": new.user_data} if new.user_data else {}
    if new.config_drive:
        more["config_drive"] = True
    if new.metadata:
        more["metadata"] = dict(new.metadata)
    if new.host:
        more["host"] = new.host
    if new.availability_zone:
        more["availability_zone"] = new.availability_zone
    with api_errors(conn, f"create the server {new.name}"):
        created = conn.compute.create_server(
            name=new.name, flavor_id=new.flavor_id, image_id=new.image_id, networks=networks, **more
        )
    return str(created.id)


def state(conn: Connection, server_id: str) -> ServerState | None:
    """The server as it is now, None where nova does not know it. Raises CloudError."""
    with answer_read(conn, f"read the server {server_id}"):
        try:
            return _state(conn.compute.get_server(server_id))
        except sdk.NotFoundException:
            return None


def servers_with(conn: Connection, key: str) -> tuple[ServerState, ...]:
    """The project's servers that have this key in their metadata. Raises CloudError."""
    with answer_read(conn, "list the servers"):
        states = map(_state, conn.compute.servers(details=True))
        return tuple(server for server in states if key in server.metadata)


def _state(server: Any) -> ServerState:
    return ServerState(
        id=str(server.id),
        name=str(server.name),
        status=str(server.status),
        task=server.task_state,
        host=server.compute_host,
        fault=str((server.fault or {}).get("message", "")) if server.status == "ERROR" else "",
        metadata={str(key): str(value) for key, value in (server.metadata or {}).items()},
    )


def boot(
    conn: Connection,
    name: str,
    flavor: str,
    image: str,
    timeout: float,
    *,
    host: str = "",
    on_state: Callable[[str, float], None] | None = None,
) -> ServerOutcome:
    """Create a server without networks and wait until it is ACTIVE or ERROR.

    `flavor` and `image` are names or ids, `timeout` is in seconds; `host` is as in NewServer.
    `on_state` is called with each new state and the seconds since the request. An ERROR is an
    outcome, not an exception: a test may expect that a server is refused.

    Raises ServerTimeoutError, which does not delete the server, or CloudError.
    """
    start = time.monotonic()
    with api_errors(conn, f"create the server {name}"):
        flavor_row = conn.compute.find_flavor(flavor, ignore_missing=False)
        image_row = conn.image.find_image(image, ignore_missing=False)
    server_id = create(conn, NewServer(name, str(flavor_row.id), str(image_row.id), host=host))
    entered: list[tuple[str, float]] = [("REQUEST", 0.0)]

    def probe() -> Any | None:
        with api_errors(conn, f"read the server {name}"):
            server = conn.compute.get_server(server_id)
        state = str(server.status) + (f"/{server.task_state}" if server.task_state else "")
        if state != entered[-1][0]:
            entered.append((state, time.monotonic() - start))
            if on_state is not None:
                on_state(*entered[-1])
        return server if server.status in {"ACTIVE", "ERROR"} else None

    try:
        server = wait_until(f"the server {name} ACTIVE or ERROR", probe, timeout)
    except WaitTimeoutError as late:
        raise ServerTimeoutError(
            late.brief,
            f"It is {entered[-1][0]}. Server: {server_id}",
            "See the logs of nova-scheduler and nova-compute; delete the server.",
            server_id,
        ) from late
    return ServerOutcome(
        id=server_id,
        name=name,
        status=str(server.status),
        host=server.compute_host,
        hypervisor_hostname=server.hypervisor_hostname,
        fault=str((server.fault or {}).get("message", "")) if server.status == "ERROR" else "",
        states=durations(entered, time.monotonic() - start),
    )


def durations(entered: list[tuple[str, float]], end: float) -> tuple[StateSeconds, ...]:
    """Seconds in each state, from the time of entry of each and the end of the last."""
    leaving = [*(at for _, at in entered[1:]), end]
    return tuple(
        StateSeconds(state, left - at) for (state, at), left in zip(entered, leaving, strict=True)
    )


def console(conn: Connection, server_id: str) -> str:
    """What the server has printed on its serial console; empty while it has none.

    nova keeps the last 100 KiB. Raises CloudError when the server does not exist.
    """
    with api_errors(conn, f"read the console of {server_id}"):
        try:
            return str(conn.compute.get_server_console_output(server_id)["output"] or "")
        except (sdk.ConflictException, sdk.NotFoundException):
            # Both also mean that it has no console yet; only a missing server is an error.
            conn.compute.get_server(server_id)
            return ""


def wait_for_console(
    conn: Connection,
    server_id: str,
    predicate: Callable[[str], bool],
    timeout: float,
    on_text: Callable[[str], None] | None = None,
) -> str:
    """Wait until the predicate holds of the console's whole text, and return that text.

    `on_text` gets what is new each time. `timeout` in seconds. A compute service that is too busy
    to answer nova in time (HTTP 500) is asked again. Raises WaitTimeoutError with the console's
    end, or CloudError when the server is gone or in ERROR.
    """
    seen = ""

    def probe() -> str | None:
        nonlocal seen
        try:
            text = console(conn, server_id)
        except CloudError as error:
            if error.http_status is None or error.http_status < 500:
                raise
            return None
        if on_text is not None and text != seen:
            on_text(text[len(seen) :] if text.startswith(seen) else text)
        seen = text
        if predicate(text):
            return text
        with api_errors(conn, f"read the server {server_id}"):
            server = conn.compute.get_server(server_id)
        if server.status == "ERROR":
            # No text will come.
            fault = str((server.fault or {}).get("message", ""))
            raise CloudError(
                f"the server {server_id} is in ERROR", fault, "See nova-compute's log."
            )
        return None

    return wait_until(
        f"the expected text on the console of {server_id}",
        probe,
        timeout,
        interval=1.0,
        last=lambda: "The console ends with:\n" + seen[-1500:],
        resolution="The guest is slow or did not boot: read its console.",
    )


def delete(conn: Connection, server_id: str) -> None:
    """Ask nova to delete a server; one that is gone is no error. Raises CloudError."""
    with api_errors(conn, f"delete the server {server_id}"):
        conn.compute.delete_server(server_id, ignore_missing=True)


# How often a deletion that ended in ERROR is asked for again.
_DELETIONS = 3


def delete_and_wait(conn: Connection, server_id: str, timeout: float) -> None:
    """Delete a server and wait until nova does not know it; one that is gone is no error.

    A deletion that ended in ERROR, as where nova-compute did not reach Placement for a moment, is
    asked for again. `timeout` in seconds. Raises WaitTimeoutError, CloudError.
    """
    delete(conn, server_id)
    seen, left = "", _DELETIONS

    def probe() -> bool | None:
        nonlocal seen, left
        with api_errors(conn, f"read the server {server_id}"):
            try:
                server = conn.compute.get_server(server_id)
            except sdk.NotFoundException:
                return True
        seen = f"It is {server.status}/{server.task_state}."
        # nova-api sets the task before it answers: in ERROR without one nobody deletes it any more.
        if server.status == "ERROR" and server.task_state is None and left:
            left -= 1
            delete(conn, server_id)
        return None

    wait_until(
        f"the server {server_id} deleted",
        probe,
        timeout,
        last=lambda: seen,
        resolution="See nova-compute's log; a compute that is down deletes it when it is up again.",
    )
