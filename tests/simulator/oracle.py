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
_HELD = """
SELECT a.consumer_id, p.name FROM allocations a
JOIN resource_providers p ON p.id = a.resource_provider_id
"""


class Oracle:
    """One moment of a world; `told` are its hypervisors, `busy` servers in work.

    `read` gives the rows of a SELECT in `cell1` or `placement`. Servers in BUILD are in work too;
    by the clock `now`, if any, not one that nova-compute has begun and left on no host for an hour.
    """

    def __init__(
        self, read: Callable[[str, str], list[Any]], told: Mapping[str, Any],
        busy: Collection[str], now: datetime | None = None,
    ) -> None:  # fmt: skip
        self.hosts = told
        self.busy = frozenset(busy) | {
            server for server, host, task, changed in read("cell1", _BUILDS)
            if host or task or now is None or not _is_old(changed, now)
        }  # fmt: skip
        self.rows = {(host, address): server for host, address, server in read("cell1", _ROWS)}
        self.servers = {uuid: (host, state) for uuid, host, state in read("cell1", _SERVERS)}
        self.moves = {uuid: rest for uuid, *rest in read("cell1", _MOVES)}
        self.held = [
            (consumer, *name.partition("_")[::2]) for consumer, name in read("placement", _HELD)
        ]

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

    def _runs(self, host: str, server: str, address: str) -> bool:
        domain = self.hosts[host]["domains"].get(server)
        return bool(domain) and domain["state"] == "running" and address in domain["hostdevs"]

    def _of_rows(self) -> Iterator[tuple[str, str, str]]:
        held = {(consumer, host, address.lower()) for consumer, host, address in self.held}
        for (host, address), server in self.rows.items():
            if server in self.busy:
                continue
            if server not in self.servers:
                # While its domain has the device, that is what is said: it goes first.
                if not self._runs(host, server, address):
                    yield "WC511", host, address
            elif self.servers[server][0] != host and not self._moving(server, host):
                yield "WC515", host, address
            elif self.servers[server][0] == host and (server, host, address) not in held:
                yield "WC523", host, address

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
            elif address and self.rows.get((host, address.lower())) != consumer:
                yield "WC524", host, address.lower()

    def _of_domains(self) -> Iterator[tuple[str, str, str]]:
        for host, one in self.hosts.items():
            for server, domain in one["domains"].items():
                if domain["state"] != "running" or server in self.busy:
                    continue
                for address in domain["hostdevs"]:
                    if server not in self.servers:
                        yield "WC542", host, address
                    elif self.rows.get((host, address)) != server:
                        yield "WC513", host, address


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
