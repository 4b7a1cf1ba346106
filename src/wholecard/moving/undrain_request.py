"""`undrain` as records: a host gets servers again once an audit and a proof say that it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from openstack.connection import Connection

from wholecard.audit.report import AuditReport
from wholecard.cloud.client.compute_services import ComputeService
from wholecard.cloud.client.server_details import server_details
from wholecard.cloud.proving.record import ProveReport
from wholecard.core import Finding, Severity, UsageError, WholecardError
from wholecard.moving.drain_journal import DrainJournal
from wholecard.moving.drain_request import require_service
from wholecard.moving.journal import DONE, MoveEntry
from wholecard.moving.migrate_request import (
    FAILED,
    MigrateRequest,
    Tools,
    audited,
    migrate,
    plan_migrate,
)
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import MoveReport

RULE = "WC594"
# The proof of servers of our own on that nova-compute's host.
Prove = Callable[[str], ProveReport]


@dataclass(frozen=True)
class UndrainRequest:
    """Which host; `back` is whether its former servers come back."""

    host: str
    back: bool = False
    options: MoveOptions = field(default_factory=MoveOptions)


@dataclass(frozen=True)
class UndrainReport:
    """What was found and done. `enabled` is whether the service is enabled at the end."""

    host: str
    enabled: bool
    findings: tuple[Finding, ...] = ()
    audit: AuditReport | None = None
    proof: ProveReport | None = None
    back: tuple[MoveReport, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "host": self.host, "enabled": self.enabled,
            "proved": self.proof.proved if self.proof else None,
            "audited": self.audit is not None,
            "back": [report.to_json() for report in self.back],
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip


def undrain(
    conn: Connection, request: UndrainRequest, journal: DrainJournal, tools: Tools,
    prove: Prove | None = None,
) -> UndrainReport:  # fmt: skip
    """Audit the host, enable its service, prove it, and disable it again where the proof fails.

    nova starts no server on a disabled host, also none of ours, so that the proof runs after the
    service is enabled. Raises UsageError for a host that nova does not have or that is down,
    WholecardError, CloudError.
    """
    service = require_service(conn, request.host)
    if service.state != "up":
        raise UsageError(
            f"nova-compute on {request.host} is down",
            resolution="Start it, and wait until openstack compute service list shows it up.",
        )
    with journal.servers.lock("drain", f"drains {request.host}"):
        return _undrained(conn, request, journal, tools, prove, service)


def _undrained(
    conn: Connection, request: UndrainRequest, journal: DrainJournal, tools: Tools,
    prove: Prove | None, service: ComputeService,
) -> UndrainReport:  # fmt: skip
    host = request.host
    audit, notes = audited(tools, (host,))
    bad = _errors(audit)
    if bad:
        message = f"the audit of {host} found {len(bad)} errors: it stays {service.status}"
        fix = "Fix them: wholecard repair plan. Then undrain again."
        return UndrainReport(host, False, (_ready(host, message, fix), *bad), audit)
    if service.status == "disabled":
        notes += _enable(conn, service, journal)
        tools.watcher.note(f"{host}: the service is enabled")
    proof = prove(host) if prove else None
    if proof is not None and not proof.proved:
        now = require_service(conn, host)
        journal.disable(conn, now, "wholecard: the proof of this host failed")
        message = f"the proof of {host} failed: its service is disabled again"
        fix = "Find the cause: wholecard --on HOST check, wholecard nova lint. Then undrain again."
        findings = (_ready(host, message, fix), *proof.all_findings)
        return UndrainReport(host, False, findings, audit, proof, notes=notes)
    if proof is None:
        notes += (f"{host} was not proved: --prove FLAVOR boots a server of ours there.",)
    _close(journal)
    back, failed = _back(conn, request, journal, tools) if request.back else ((), ())
    return UndrainReport(host, True, failed, audit, proof, back, notes)


def _errors(audit: AuditReport | None) -> tuple[Finding, ...]:
    findings = audit.findings if audit else ()
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def _ready(host: str, message: str, fix: str) -> Finding:
    return Finding(RULE, host, Severity.ERROR, message, fix)


def _enable(conn: Connection, service: ComputeService, journal: DrainJournal) -> tuple[str, ...]:
    """Enable the service, by a rollback of what we did or as an operation of its own; notes."""
    if journal.holds_service:
        return journal.enable(conn)
    journal.set_status(conn, service, "enabled", "", "it is given back to nova")
    return (f"The service was disabled by others: {service.disabled_reason or 'no reason'}.",)


def _close(journal: DrainJournal) -> None:
    entry = journal.read()
    if entry is not None:
        journal.write(replace(entry, over=True))


def came_from(host: str, journal: DrainJournal) -> tuple[MoveEntry, ...]:
    """The servers that the last drain moved away from the host."""
    return tuple(
        entry for entry in journal.servers.entries()
        if entry.state == DONE and entry.source == host and entry.ended in ("confirmed", "moved")
    )  # fmt: skip


def _back(
    conn: Connection, request: UndrainRequest, journal: DrainJournal, tools: Tools
) -> tuple[tuple[MoveReport, ...], tuple[Finding, ...]]:
    """Move the former servers back, those that are still where we moved them."""
    reports, failed = [], []
    options = replace(request.options, to=(request.host,))
    for entry in came_from(request.host, journal):
        server = server_details(conn, entry.server)
        if server is None or server.host != entry.destination:
            continue
        wanted = MigrateRequest(entry.server, options)
        try:
            plan = plan_migrate(conn, wanted)
            reports.append(migrate(conn, wanted, plan, replace(tools, audit=None)))
        except WholecardError as error:
            message = f"{error.brief}. {error.details}".strip()
            failed.append(Finding(FAILED, entry.name, Severity.ERROR, message, error.resolution))
    return tuple(reports), tuple(failed)
