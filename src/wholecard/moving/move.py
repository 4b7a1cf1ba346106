"""One server's move through nova, from the request to its end, taken up where a run was killed.

States and their order: nova, nova/compute/task_states.py and doc/source/reference/vm-states.rst.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from openstack.connection import Connection

from wholecard.cloud.client import server_moves
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.server_details import ServerDetails, server_details
from wholecard.cloud.client.servers import StateSeconds, durations
from wholecard.core import UsageError
from wholecard.moving import journal as entries
from wholecard.moving.journal import MoveEntry, MoveJournal
from wholecard.moving.record import End, Method

# nova/compute/instance_actions.py: the name of what each method asks for.
ACTIONS = {Method.COLD: "migrate", Method.LIVE: "live-migration", Method.EVACUATE: "evacuate"}
CHOOSING = frozenset({*ACTIONS.values(), "resize"})
_MOVED = {Method.LIVE: "moved", Method.EVACUATE: "evacuated", Method.COLD: "confirmed"}


class MoveWatcher:
    """Who is told meanwhile; does nothing."""

    def note(self, text: str) -> None:
        """A sentence about what is done now."""

    def server(self, name: str, state: str, seconds: float) -> None:
        """A server's state after each look at it, and the seconds since its move began."""

    def done(self, name: str, ended: str, seconds: float) -> None:
        """A server's move has ended."""


@dataclass(frozen=True)
class Pace:
    """Times in seconds: how long a phase may take, and the pause between two looks.

    `stopped` is asked before each look: once it is true the run ends, and nova goes on.
    """

    timeout: float = 7200.0
    interval: float = 2.0
    stopped: Callable[[], bool] = bool


class MoveStoppedError(CloudError):
    """A person stopped the run while nova moved the server; the next run goes on with it."""


class Move:
    """One move. Every step looks at nova first, so that any of them may be done again."""

    def __init__(
        self, conn: Connection, entry: MoveEntry, journal: MoveJournal,
        watcher: MoveWatcher, pace: Pace,
    ) -> None:  # fmt: skip
        self.conn, self.entry, self.journal = conn, entry, journal
        self.watcher, self.pace = watcher, pace
        self.began = time.monotonic()
        self.seen: list[tuple[str, float]] = []
        self.error = ""
        self.told = False

    @property
    def phases(self) -> tuple[StateSeconds, ...]:
        """The states in which the server was seen, with the seconds in each."""
        return durations(self.seen, self._last) if self.seen else ()

    def begin(self) -> None:
        """Ask nova for it. The journal knows of it before nova does. Raises CloudError."""
        self._keep(state=entries.BEGUN, started=time.time())
        self._saw("REQUEST")
        entry = self.entry
        ask = {
            Method.COLD: server_moves.migrate,
            Method.LIVE: server_moves.live_migrate,
            Method.EVACUATE: server_moves.evacuate,
        }[entry.method]
        try:
            request_id = ask(self.conn, entry.server, entry.destination)
        except CloudError as error:
            if error.lasting or error.http_status in (401, 403):
                self._keep(state=entries.FAILED, ended="failed", error=error.details or error.brief)
            raise
        self._keep(state=entries.ASKED, request_id=request_id)

    def take_up(self, told: bool) -> bool:
        """Whether the entry of a killed run is still in progress and ours, so that it goes on.

        False where nova never got the request, so that it may be asked for. `told` is whether a
        person said to end it whoever began it. Raises UsageError where it may be another's.
        """
        entry = self.entry
        server = self._look()
        newest = self._newest_move()
        if entry.request_id and newest is not None and newest.request_id == entry.request_id:
            return True
        idle = server.task_state is None and server.vm_state != "resized"
        if entry.state == entries.BEGUN and idle and server.host == entry.source:
            return False
        if told:
            return True
        who = f"The newest one is {newest.action} {newest.request_id}." if newest else ""
        raise UsageError(
            f"whether this run's request moved the server {entry.name} is not known",
            f"It is {server.state} on {server.host}. {who}".strip(),
            "Look at it: openstack server event list, then end it with --confirm or --revert.",
        )

    def _newest_move(self) -> server_moves.ServerAction | None:
        actions = server_moves.actions_of(self.conn, self.entry.server)
        return next((row for row in actions if row.action in CHOOSING), None)

    def wait(self) -> str:
        """Wait until nova has moved it: `verify`, `moved`, `evacuated`, `confirmed` or `failed`.

        Raises WaitTimeoutError after the time of a phase, CloudError.
        """
        return self._until(self._moved)

    def finish(self, end: End) -> str:
        """Confirm or revert it, unless it has ended already: `confirmed`, `reverted`, `verify`.

        Raises WaitTimeoutError, CloudError.
        """
        server = self._look()
        if server.vm_state == "resized" and end is not End.LEAVE:
            self._keep(state=entries.ENDING, end=end)
            if server.task_state is None:
                self._end(end)
        elif server.vm_state == "resized":
            return "verify"
        return self._until(lambda now: self._ended(now, end))

    def close(self, ended: str) -> None:
        """Write that it is over; one that is left in VERIFY_RESIZE is not."""
        seconds = round(time.monotonic() - self.began, 1)
        state = {"failed": entries.FAILED, "verify": entries.ASKED}.get(ended, entries.DONE)
        self._keep(state=state, ended=ended, error=self.error, seconds=seconds)
        self.watcher.done(self.entry.name, ended, seconds)

    def _end(self, end: End) -> None:
        act = server_moves.confirm if end is End.CONFIRM else server_moves.revert
        try:
            act(self.conn, self.entry.server)
        except CloudError as error:
            # Another run, or nova's own resize_confirm_window, was first: what it is then, we see.
            if error.http_status != 409:
                raise

    def _moved(self, server: ServerDetails) -> str | None:
        if server.vm_state == "resized" and server.task_state is None:
            return "verify"
        if server.task_state is not None or server.status in ("RESIZE", "MIGRATING", "REBUILD"):
            return None
        if server.host == self.entry.destination and server.vm_state != "error":
            return _MOVED[self.entry.method]
        if self.entry.destination == "" and server.host != self.entry.source:
            return _MOVED[self.entry.method]
        if server.vm_state != "error" and self._is_rebuilding():
            return None
        return self._failed(server)

    def _is_rebuilding(self) -> bool:
        """Whether nova still evacuates a server that shows no task.

        From 2.95 on it is stopped again before its host is changed (nova/compute/manager.py,
        rebuild_instance): SHUTOFF on the old host for some seconds.
        """
        if self.entry.method is not Method.EVACUATE or not self.entry.request_id:
            return False
        events = server_moves.events_of(self.conn, self.entry.server, self.entry.request_id)
        return any(not event.result for event in events)

    def _ended(self, server: ServerDetails, end: End) -> str | None:
        if server.vm_state == "error":
            return self._failed(server)
        if server.vm_state == "resized" or server.task_state is not None:
            return None
        if server.status in ("REVERT_RESIZE", "RESIZE"):
            return None
        back = server.host == self.entry.source
        if end is End.REVERT and not back:
            self.error = f"it is on {server.host}: it was confirmed before it could be reverted"
            return "failed"
        return "reverted" if back else "confirmed"

    def _failed(self, server: ServerDetails) -> str:
        self.error = server.fault or self._event_error() or (
            f"it is {server.state} on {server.host}, as before")  # fmt: skip
        return "failed"

    def _event_error(self) -> str:
        """What nova wrote down of the request: the API says nothing of a move that failed."""
        rows = server_moves.events_of(self.conn, self.entry.server, self.entry.request_id) if (
            self.entry.request_id) else ()  # fmt: skip
        return next((row.error for row in reversed(rows) if row.error), "")

    def _until(self, judge: Callable[[ServerDetails], str | None]) -> str:
        deadline = time.monotonic() + self.pace.timeout
        state = ""
        while True:
            if self.pace.stopped():
                raise MoveStoppedError(f"stopped while nova moves {self.entry.name}")
            server = self._look()
            if server.state != state:
                # The time-out is a phase's, for a large disk is copied for hours.
                state, deadline = server.state, time.monotonic() + self.pace.timeout
            result = judge(server)
            if result is not None:
                return result
            if time.monotonic() >= deadline:
                raise CloudError(
                    f"the server {self.entry.name} is {state} since {self.pace.timeout:g} s",
                    f"nova moves it from {self.entry.source} to {self.entry.destination}.",
                    "See nova-compute's log on both hosts. The same command goes on with it.",
                )
            time.sleep(self.pace.interval)

    def _look(self) -> ServerDetails:
        server = server_details(self.conn, self.entry.server)
        if server is None:
            self._keep(state=entries.FAILED, ended="failed", error="the server was deleted")
            raise CloudError(
                f"the server {self.entry.name} was deleted while it was moved",
                resolution="wholecard audit shows whether anything of it is left.",
            )
        self._saw(server.state)
        return server

    def _saw(self, state: str) -> None:
        self._last = time.monotonic() - self.began
        if not self.seen or self.seen[-1][0] != state:
            self.seen.append((state, self._last))
        self.watcher.server(self.entry.name, state, self._last)

    def _keep(self, **fields: object) -> None:
        self.entry = replace(self.entry, **fields)  # type: ignore[arg-type]
        self.journal.write(self.entry)
