"""What an audit has to find, from the tables and the hypervisors alone: no code of the audit's.

Only of servers with which nothing is done: each place that names a server where it is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Found = frozenset[tuple[str, str, str]]
# What it tells: whatever nova, killed or not, may leave by itself.
RULES = frozenset({
    "WC511", "WC513", "WC514", "WC515", "WC520", "WC521", "WC522", "WC523", "WC524", "WC542",
})  # fmt: skip

_ROWS = """
SELECT n.hypervisor_hostname, d.address, d.instance_uuid FROM pci_devices d
JOIN compute_nodes n ON n.id = d.compute_node_id
WHERE d.deleted = 0 AND d.instance_uuid IS NOT NULL
"""
_SERVERS = "SELECT uuid, host, vm_state FROM instances WHERE deleted = 0"
_BUILDS = """
SELECT uuid, host, task_state, updated_at FROM instances
WHERE deleted = 0 AND vm_state = 'building'
"""
_MOVES = "SELECT uuid, instance_uuid, status, source_compute, dest_compute FROM migrations"
# The ends of a migration. `done` is not among them: an evacuation's, until the old host is back.
_ENDED = frozenset({"confirmed", "reverted", "error", "failed", "completed", "cancelled"})
_HELD = """
SELECT a.consumer_id, p.name FROM allocations a
JOIN resource_providers p ON p.id = a.resource_provider_id
"""


class Oracle:
    """One moment of a world; `told` are its hypervisors, `busy` servers in work, `away` hosts
    whose nova-compute is down.

    `read` gives the rows of a SELECT in `cell1` or `placement`. Servers in BUILD are in work too;
    by the clock `now`, if any, not one that nova-compute has begun and left on no host for an hour.
    """

    def __init__(
        self, read: Callable[[str, str], list[Any]], told: Mapping[str, Any],
        busy: Collection[str], now: datetime | None = None, away: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.hosts, self.away = told, frozenset(away)
        self.busy = frozenset(busy) | {
            server for server, host, task, changed in read("cell1", _BUILDS)
            if host or task or now is None or not _is_old(changed, now)
        }  # fmt: skip
        self.rows = {(host, address): server for host, address, server in read("cell1", _ROWS)}
        self.servers = {uuid: (host, state) for uuid, host, state in read("cell1", _SERVERS)}
        self.moves = {uuid: rest for uuid, *rest in read("cell1", _MOVES)}
        self.held = []
        self.counted: dict[tuple[str, str], set[str]] = {}
        for consumer, name in read("placement", _HELD):
            host, _, address = name.lower().partition("_")
            self.held.append((consumer, host, address))
            self.counted.setdefault((host, address), set()).add(consumer)

    def expected(self) -> Found:
        """Rule, host and address of all that is wrong."""
        found = {*self._of_rows(), *self._of_allocations(), *self._of_domains()}
        return frozenset(found)

    def _moving(self, server: str, host: str) -> bool:
        """Whether a resize waits for its confirm or revert, and the server owns on both hosts."""
        return self.servers[server][1] == "resized" and any(
            status == "finished" and of == server and host in (source, dest)
            for of, status, source, dest in self.moves.values()
        )

    def _is_at(self, server: str | None, host: str) -> bool:
        """Whether nova has the server on this host, be it in VERIFY_RESIZE."""
        return server is not None and server in self.servers and self.servers[server][0] == host

    def _users(self, host: str, address: str) -> set[str]:
        """The servers whose running domains have the device."""
        return {
            server for server, domain in self.hosts[host]["domains"].items()
            if domain["state"] == "running" and address in domain["hostdevs"]
        }  # fmt: skip

    def _of_rows(self) -> Iterator[tuple[str, str, str]]:
        for (host, address), server in self.rows.items():
            if server in self.busy:
                if self._is_left(server, host):
                    yield "WC515", host, address
                continue
            if server not in self.servers:
                # While its domain has the device, that is what is said: it goes first.
                if server not in self._users(host, address):
                    yield "WC511", host, address
            elif self.servers[server][0] != host and not self._moving(server, host):
                yield "WC515", host, address
            elif self.servers[server][0] == host:
                yield from self._of_counts(host, address, server)

    def _is_left(self, server: str, host: str) -> bool:
        """Whether a row on a host that is down has nothing to do with what is done with its server:
        that is elsewhere, and no move from or to the host is in progress."""
        at = self.servers.get(server, (None, ""))[0]
        moves = (move for move in self.moves.values() if move[0] == server and host in move[2:])
        return host in self.away and at not in (None, host) and all(
            status in _ENDED for _, status, *_ in moves
        )  # fmt: skip

    def _of_counts(self, host: str, address: str, server: str) -> Iterator[tuple[str, str, str]]:
        """A row of a server that is here, which Placement does not count for it."""
        counted = self.counted.get((host, address), set())
        if server in counted or any(
            consumer in self.moves and self.moves[consumer][0] == server for consumer in counted
        ):
            return
        others = {consumer for consumer in counted if self._is_at(consumer, host)}
        if not others:
            yield "WC523", host, address
        elif (
            others - self.busy and not self._moving(server, host)
            # Where another's domain has the device, that is what is said.
            and self._users(host, address) <= {server}
        ):  # fmt: skip
            yield "WC514", host, address

    def _of_allocations(self) -> Iterator[tuple[str, str, str]]:
        for consumer, host, address in self.held:
            if consumer in self.busy:
                continue
            if consumer in self.moves:
                server, status, *_ = self.moves[consumer]
                if status != "finished" and server not in self.busy:
                    yield "WC521", host, ""
            elif consumer not in self.servers:
                yield "WC520", host, ""
            elif self.servers[consumer][0] != host:
                if not self._moving(consumer, host):
                    yield "WC522", host, ""
            elif address and not self._is_used(consumer, host, address):
                yield "WC524", host, address

    def _is_used(self, server: str, host: str, address: str) -> bool:
        """Whether a server here has what Placement counts for it, or what it has not is said by
        another rule: of its domain, or of the two servers."""
        owner = self.rows.get((host, address))
        if owner == server or server in self._users(host, address):
            return True
        if owner is None or owner in self.counted[host, address]:
            return False
        return self._is_at(owner, host) and not self._moving(owner, host)

    def _of_domains(self) -> Iterator[tuple[str, str, str]]:
        for host, one in self.hosts.items():
            addresses = {each for domain in one["domains"].values() for each in domain["hostdevs"]}
            for address in addresses:
                users = self._users(host, address)
                if len(users) > 1:
                    yield "WC514", host, address
                elif users - self.busy:
                    yield from self._of_user(host, address, users.pop())

    def _of_user(self, host: str, address: str, server: str) -> Iterator[tuple[str, str, str]]:
        owner = self.rows.get((host, address))
        if server not in self.servers:
            yield "WC542", host, address
        elif owner == server or self._moving(server, host):
            return
        elif self.servers[server][0] != host:
            yield "WC542", host, address
        elif (
            owner is None
            or owner not in self.servers
            or not (self._is_at(owner, host) or self._moving(owner, host))
        ):
            yield "WC513", host, address
        elif owner not in self.busy:
            yield "WC514", host, address


def _is_old(changed: object, now: datetime) -> bool:
    """Whether a row with this `updated_at` is an hour old; one that never changed is new."""
    if changed is None:
        return False
    return now - datetime.fromisoformat(str(changed)) >= timedelta(hours=1)


def comparable(found: Collection[tuple[str, str, str]]) -> Found:
    """Findings about one consumer on one host count once, whichever address they name."""
    return frozenset(
        (rule, host, "" if rule in ("WC520", "WC521", "WC522") else address)
        for rule, host, address in found
    )


def files_in(folder: Path) -> Callable[[str, str], list[Any]]:
    """The reader of a world whose tables are files in a folder."""

    def read(database: str, statement: str) -> list[Any]:
        file = sqlite3.connect(f"file:{folder}/{database}.sqlite?mode=ro", uri=True)
        try:
            return file.execute(statement).fetchall()
        finally:
            file.close()

    return read
