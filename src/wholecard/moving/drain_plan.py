"""What will happen to each server when a host is drained, with no card promised twice."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client.server_details import servers_on
from wholecard.core import Finding, Severity
from wholecard.moving.assignment import Need, assigned
from wholecard.moving.planner import CANNOT, MoveOptions, Planner
from wholecard.moving.record import Destination, Method, MovePlan


class Fate(enum.StrEnum):
    """What becomes of a server."""

    LIVE = "moves live"
    STOP = "moves with a stop"
    # It does not run, so that nobody notices.
    STOPPED = "moves (is stopped)"
    GOES_ON = "moves since before"
    STAYS = "cannot move"


@dataclass(frozen=True)
class DrainRow:
    """One server of the host: where it goes, or why it stays. `seconds` are the estimate's."""

    plan: MovePlan
    fate: Fate
    why: str = ""
    fix: str = ""

    @property
    def to(self) -> Destination | None:
        """Where it goes, None for one that stays."""
        return None if self.fate is Fate.STAYS else self.plan.destination

    @property
    def seconds(self) -> float:
        """The longest that the copy of its disk and its shutdown take."""
        return 0.0 if self.fate is Fate.STAYS else self.plan.estimate.longest

    def to_json(self) -> dict[str, Any]:
        """`{"server", "name", "status", "fate", "to", "seconds", "cards", "why", "fix"}`."""
        server = self.plan.server
        return {
            "server": server.id, "name": server.name, "status": server.state, "fate": self.fate,
            "to": self.to.host if self.to else None, "seconds": round(self.seconds, 1),
            "cards": self.plan.holdings.card_amounts, "why": self.why, "fix": self.fix,
        }  # fmt: skip


@dataclass(frozen=True)
class DrainPlan:
    """All servers of one host (nova-compute's name), by fate and name."""

    host: str
    rows: tuple[DrainRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def moving(self) -> tuple[DrainRow, ...]:
        """Those that move."""
        return tuple(row for row in self.rows if row.fate is not Fate.STAYS)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """WC590 for each server that stays."""
        return tuple(
            Finding(CANNOT, row.plan.server.name, Severity.ERROR, row.why, row.fix)
            for row in self.rows if row.fate is Fate.STAYS
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "host": self.host,
            "servers": [row.to_json() for row in self.rows],
            "seconds": round(sum(row.seconds for row in self.rows), 1),
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }


def plan_drain(
    conn: Connection, host: str, options: MoveOptions, *, live_only: bool = False,
    ours: frozenset[str] = frozenset(),
) -> DrainPlan:  # fmt: skip
    """What will happen to the servers on `host`; `ours` are ids of those that we move already.

    Raises CloudError, UsageError for a host that nova does not know.
    """
    planner = Planner(conn, options)
    plans = [planner.plan(server) for server in servers_on(conn, host)]
    rows = [_row(plan, live_only, plan.server.id in ours) for plan in plans]
    rows = _shared_out(planner, rows)
    order = list(Fate)
    rows.sort(key=lambda row: (order.index(row.fate), row.plan.server.name))
    # A note is about a move: what it may leave behind, or how its host was found.
    moving = (row.plan for row in rows if row.fate is not Fate.STAYS)
    notes = tuple(dict.fromkeys(note for plan in moving for note in plan.notes))
    return DrainPlan(host, tuple(rows), notes)


def _row(plan: MovePlan, live_only: bool, ours: bool) -> DrainRow:
    if ours:
        return DrainRow(plan, Fate.GOES_ON)
    if plan.blocked:
        return DrainRow(plan, Fate.STAYS, plan.blocked, plan.fix)
    if plan.method is Method.LIVE:
        return DrainRow(plan, Fate.LIVE)
    if plan.server.vm_state != "active":
        return DrainRow(plan, Fate.STOPPED)
    if live_only:
        why = f"it would be stopped (--live-only): {plan.live.why}"
        return DrainRow(plan, Fate.STAYS, why, "Agree a time with its owner, and drain without "
                        "--live-only.")  # fmt: skip
    return DrainRow(plan, Fate.STOP, plan.live.why)


def _shared_out(planner: Planner, rows: Iterable[DrainRow]) -> list[DrainRow]:
    """The rows with a host each, so that all of them fit at the same time."""
    rows = list(rows)
    free: dict[str, dict[str, int]] = {}
    needs = []
    for row in rows:
        if row.fate in (Fate.STAYS, Fate.GOES_ON):
            continue
        server, holdings = row.plan.server, row.plan.holdings
        group = planner.grouping(server)
        hosts = [to.host for to in row.plan.destinations if to.answer != "no"]
        for name, amounts in planner.search(server, holdings).free.items():
            free.setdefault(name, {}).update(amounts)
            if group.most is not None:
                # Two of one group must not meet: a place of the group is a resource too.
                free[name][f"group {group.group}"] = group.room_on(name)
        amounts = dict(holdings.amounts)
        if group.most is not None:
            amounts[f"group {group.group}"] = 1
        needs.append(Need(server.id, amounts, hosts))
    places = assigned(needs, free)
    return [_placed(planner, row, places) for row in rows]


def _placed(planner: Planner, row: DrainRow, places: Mapping[str, str | None]) -> DrainRow:
    server = row.plan.server
    if server.id not in places:
        return row
    host = places[server.id]
    if host is not None:
        to = next(to for to in row.plan.destinations if to.host == host)
        return replace(row, plan=planner.placed(row.plan, to))
    could = [to.host for to in row.plan.destinations if to.answer != "no"]
    why = f"other servers of this host take the last room on {', '.join(could)}"
    fix = "Free cards or room there, or add a host (--to); then drain again."
    return DrainRow(replace(row.plan, destination=None), Fate.STAYS, why, fix)
