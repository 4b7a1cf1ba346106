"""`drain` and `undrain` as records: requests in, reports out. Nothing is printed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from openstack.connection import Connection

from wholecard.audit.report import AuditReport
from wholecard.cloud.client.compute_services import ComputeService
from wholecard.cloud.client.server_details import server_details
from wholecard.core import Finding, Severity, UsageError, WholecardError
from wholecard.moving.drain_journal import DrainEntry, DrainJournal
from wholecard.moving.drain_plan import DrainPlan, DrainRow
from wholecard.moving.journal import MoveEntry
from wholecard.moving.migrate_request import (
    FAILED,
    MigrateRequest,
    Tools,
    audited,
    migrate,
    service_of,
    unfinished,
)
from wholecard.moving.move import MoveStoppedError
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import MovePlan, MoveReport, new_disagreements


@dataclass(frozen=True)
class DrainRequest:
    """Which host (nova-compute's name), why, and how many servers move at one time."""

    host: str
    reason: str
    options: MoveOptions = field(default_factory=MoveOptions)
    live_only: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class DrainReport:
    """What happened. `failed` are the errors of servers that did not move, by name.

    `stopped` is whether a person stopped it before its end; `left` the servers still on the host.
    """

    plan: DrainPlan
    moved: tuple[MoveReport, ...]
    failed: tuple[Finding, ...] = ()
    stopped: bool = False
    left: tuple[str, ...] = ()
    before: AuditReport | None = None
    after: AuditReport | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of the servers that stay, that failed, that moved; and what the audit found anew."""
        moved = [finding for report in self.moved for finding in report.all_findings]
        anew = [row.finding() for row in new_disagreements(self.before, self.after)]
        return (*self.plan.findings, *self.failed, *moved, *anew)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "host": self.plan.host, "plan": self.plan.to_json(),
            "servers": [_moved_json(report) for report in self.moved],
            "moved": [report.to_json() for report in self.moved],
            "stopped": self.stopped, "left": list(self.left), "seconds": round(self.seconds, 1),
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip


def _moved_json(report: MoveReport) -> dict[str, Any]:
    """A row for each server that was moved."""
    server = report.plan.server
    return {
        "server": server.id, "name": server.name, "ended": report.ended,
        "host": report.server.host if report.server else None,
        "seconds": round(report.seconds, 1), "error": report.error,
    }  # fmt: skip


def require_service(conn: Connection, host: str) -> ComputeService:
    """nova-compute of the host. Raises UsageError where nova has none, CloudError."""
    service = service_of(conn, host)
    if service is None:
        raise UsageError(
            f"nova has no nova-compute on {host}",
            resolution="openstack compute service list shows its hosts.",
        )
    return service


def taken_up(conn: Connection, journal: DrainJournal) -> tuple[MovePlan, ...]:
    """The moves of an earlier drain that nova may still be doing. Raises CloudError."""
    plans = []
    for entry in journal.servers.entries():
        if entry.is_over:
            continue
        if server_details(conn, entry.server) is None:
            journal.servers.write(replace(entry, state="failed", ended="failed",
                                          error="the server was deleted"))  # fmt: skip
            continue
        plan = unfinished(conn, MigrateRequest(entry.server), journal.servers)
        if plan is not None:
            plans.append(plan)
    return tuple(plans)


def drain(
    conn: Connection, request: DrainRequest, plan: DrainPlan, journal: DrainJournal, tools: Tools
) -> DrainReport:
    """Disable the host's service, and move its servers as planned.

    A server that does not move does not keep the others from it. What an earlier run began is
    taken up first. Raises UsageError for a host that nova does not have, WholecardError where
    another run drains it or the service cannot be disabled.
    """
    started = time.monotonic()
    service = require_service(conn, request.host)
    with journal.servers.lock("drain", f"drains {request.host}"):
        journal.forget_stop()
        earlier = taken_up(conn, journal)
        known = journal.read()
        if known is None or known.over:
            journal.servers.clear()
        entry = DrainEntry(
            request.host, request.reason, time.time(), request.options.to, request.live_only
        )
        journal.write(entry if known is None or known.over else known)
        if journal.disable(conn, service, request.reason):
            tools.watcher.note(f"{request.host}: the service is disabled")
        run = _Run(conn, request, journal, replace(tools, journal=journal.servers))
        before, _ = audited(tools, (request.host,))
        run.move(earlier, plan.moving)
        after, notes = audited(tools, (request.host,))
    left = tuple(row.plan.server.name for row in plan.rows if row.plan.server.id not in run.gone)
    return DrainReport(
        plan, tuple(run.moved), tuple(run.failed), run.stopped, left, before, after,
        time.monotonic() - started, notes,
    )  # fmt: skip


class _Run:
    """One run over a host's servers."""

    def __init__(
        self, conn: Connection, request: DrainRequest, journal: DrainJournal, tools: Tools
    ) -> None:
        self.conn, self.request, self.journal = conn, request, journal
        self.interrupted = False
        pace = replace(tools.pace, stopped=lambda: self.interrupted)
        self.tools = replace(tools, audit=None, pace=pace)
        self.moved: list[MoveReport] = []
        self.failed: list[Finding] = []
        self.gone: set[str] = set()
        self.stopped = False

    def move(self, earlier: Iterable[MovePlan], rows: Iterable[DrainRow]) -> None:
        """Take up the earlier moves, then do the planned ones."""
        plans = list(earlier)
        known = {plan.server.id for plan in plans}
        plans += [row.plan for row in rows if row.plan.server.id not in known]
        if self.request.jobs == 1:
            for plan in plans:
                self._one(plan)
            return
        with ThreadPoolExecutor(self.request.jobs) as pool:
            try:
                list(pool.map(self._one, plans))
            except KeyboardInterrupt:
                self.interrupted = True
                raise

    def _one(self, plan: MovePlan) -> None:
        if self.interrupted or self.journal.stop_asked:
            self.stopped = True
            return
        name = plan.server.name
        try:
            report = migrate(self.conn, MigrateRequest(plan.server.id), plan, self.tools)
        except MoveStoppedError:
            self.stopped = True
            return
        except WholecardError as error:
            message = f"{error.brief}. {error.details}".strip()
            fix = error.resolution or "Drain again to try it again."
            self.failed.append(Finding(FAILED, name, Severity.ERROR, message, fix))
            return
        self.moved.append(report)
        if report.ended in ("confirmed", "moved"):
            self.gone.add(plan.server.id)


@dataclass(frozen=True)
class DrainStatus:
    """How far a host's drain came: what was asked, each move, and whether the service is ours."""

    entry: DrainEntry | None
    moves: tuple[MoveEntry, ...]
    service: ComputeService
    disabled_by_us: bool

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        entry = self.entry
        return {
            "host": self.service.host, "service": self.service.status,
            "reason": self.service.disabled_reason, "disabled_by_us": self.disabled_by_us,
            "started": entry.started if entry else None, "over": entry.over if entry else None,
            "servers": [
                {"server": move.server, "name": move.name, "to": move.destination,
                 "method": move.method, "state": move.state, "ended": move.ended,
                 "seconds": move.seconds, "error": move.error}
                for move in self.moves
            ],
        }  # fmt: skip


def drain_status(conn: Connection, host: str, journal: DrainJournal) -> DrainStatus:
    """How far the drain of the host came; changes nothing. Raises CloudError, UsageError."""
    service = require_service(conn, host)
    return DrainStatus(journal.read(), journal.servers.entries(), service, journal.holds_service)


def stop(conn: Connection, host: str, journal: DrainJournal) -> tuple[str, ...]:
    """End a drain: no further server moves, and the service is enabled again where we disabled it.

    What moved stays where it is. Sentences on what was done; one that still runs ends after the
    server that it moves now. Raises WholecardError where the service cannot be enabled.
    """
    journal.ask_stop()
    try:
        with journal.servers.lock("drain", f"drains {host}"):
            notes = journal.enable(conn)
            journal.forget_stop()
            if (entry := journal.read()) is None:
                return (f"wholecard did not drain {host} from this machine: nothing was stopped.",)
            journal.write(replace(entry, over=True))
    except WholecardError as error:
        if not error.brief.startswith("another run of wholecard"):
            raise
        return (
            f"The drain of {host} still runs. It ends after the servers that it moves now; then "
            "say --stop again to enable the service.",
        )
    service = require_service(conn, host)
    return (f"The drain of {host} has ended. Its service is {service.status}.", *notes)
