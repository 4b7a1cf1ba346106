"""`migrate` as records: a request in, a plan and a report out. Nothing is printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from openstack.connection import Connection

from wholecard.audit.report import AuditReport
from wholecard.cloud.client.compute_services import ComputeService, compute_services
from wholecard.cloud.client.server_details import ServerDetails, find_server, server_details
from wholecard.cloud.client.server_moves import actions_of, events_of, migrations_of
from wholecard.core import Finding, RefusedError, Severity, UsageError, WholecardError
from wholecard.moving import journal as entries
from wholecard.moving import left_over
from wholecard.moving.estimate import estimate
from wholecard.moving.holdings import holdings_of, without_left_over
from wholecard.moving.journal import MoveEntry, MoveJournal
from wholecard.moving.live_migration import live_answer
from wholecard.moving.move import CHOOSING, Move, MoveWatcher, Pace
from wholecard.moving.obstacles import fix_of_state
from wholecard.moving.pauses import Pauses
from wholecard.moving.planner import CANNOT, MoveOptions, Planner
from wholecard.moving.proof import Domains, Expected, proof
from wholecard.moving.record import Destination, End, Holdings, Method, MovePlan, MoveReport
from wholecard.nova.known_bugs import MOVE_TAKES_OTHER_CARD

FAILED = "WC592"
# An audit of these hosts, by their hypervisors' names.
Audit = Callable[[tuple[str, ...]], AuditReport]


@dataclass(frozen=True)
class MigrateRequest:
    """Which server (id or name), and how. `end` is what becomes of it in VERIFY_RESIZE.

    `told` is whether a person named that end, so that it holds for a migration of others too.
    """

    server: str
    options: MoveOptions = field(default_factory=MoveOptions)
    end: End = End.CONFIRM
    told: bool = False
    go_on: bool = False


@dataclass(frozen=True)
class Tools:
    """What a move works with: where it is written down, who is told, who audits and looks.

    `left_over` takes out a card that nova left in the allocation, None where that is not allowed.
    `pauses` reads and keeps how long guests stood still.
    """

    journal: MoveJournal
    watcher: MoveWatcher = field(default_factory=MoveWatcher)
    audit: Audit | None = None
    domains: Domains | None = None
    left_over: left_over.LeftOver | None = None
    pace: Pace = field(default_factory=Pace)
    pauses: Pauses = field(default_factory=Pauses)


def plan_migrate(conn: Connection, request: MigrateRequest) -> MovePlan:
    """How the server would be moved; changes nothing.

    Raises UsageError for a server or host that does not exist or is ambiguous, RefusedError for an
    evacuation whose host is not down, CloudError.
    """
    server = find_server(conn, request.server)
    if request.options.method is Method.EVACUATE:
        _require_fenced(conn, server)
    return Planner(conn, request.options).plan(server)


def unfinished(conn: Connection, request: MigrateRequest, journal: MoveJournal) -> MovePlan | None:
    """The move of an earlier run that has not ended, as a plan; None where there is none.

    Raises UsageError where one is to be continued and there is none; CloudError.
    """
    server = find_server(conn, request.server)
    entry = journal.read(server.id)
    if entry is not None and not entry.is_over:
        return _resumed(conn, server, entry)
    if not request.go_on:
        return None
    if server.vm_state == "resized" and request.told:
        return _adopted(conn, server, request.end, journal)
    raise UsageError(
        f"no migration of {server.name} by wholecard is unfinished",
        f"It is {server.state} on {server.host}.",
        "To end a migration that was begun otherwise: --continue with --confirm or --revert."
        if server.vm_state == "resized"
        else "Move it without --continue.",
    )


def migrate(conn: Connection, request: MigrateRequest, plan: MovePlan, tools: Tools) -> MoveReport:
    """Move the server as planned, or take up what an earlier run began.

    Raises RefusedError where the plan has no way, CloudError where an API refuses or time is over;
    the journal has then how far it came, and the same call goes on. Raises WholecardError where
    another run moves the same server.
    """
    server = plan.server
    with tools.journal.lock(server.id, f"moves {server.name}"):
        return _migrated(conn, request, plan, tools)


def _migrated(
    conn: Connection, request: MigrateRequest, plan: MovePlan, tools: Tools
) -> MoveReport:
    entry = tools.journal.read(plan.server.id)
    if entry is None or entry.is_over:
        if plan.blocked:
            raise RefusedError(
                f"the server {plan.server.name} cannot be moved", plan.findings, plan.fix
            )
        entry = new_entry(plan, request.end)
    nodes = tuple(dict.fromkeys((entry.source_node, entry.destination_node)))
    before, _ = audited(tools, nodes)
    move = Move(conn, entry, tools.journal, tools.watcher, tools.pace)
    report = run(conn, move, request, plan, tools.domains)
    report = _without_left_over(conn, move.entry, report, tools)
    if report.ended == "moved":
        node, flavor = entry.destination_node, plan.server.flavor
        report = replace(report, pause=tools.pauses.measure(flavor, node, entry.server))
    after, why = audited(tools, nodes)
    return replace(report, before=before, after=after, unproved=(*report.unproved, *why))


def _without_left_over(
    conn: Connection, entry: MoveEntry, report: MoveReport, tools: Tools
) -> MoveReport:
    if tools.left_over is None or not left_over.is_left(report):
        return report
    node = entry.destination_node
    tools.watcher.note(f"{entry.name}: taking out what nova left in its allocation on {node}")
    journals, why = tools.left_over.take_out(node, entry.server)
    return left_over.told(_described(conn, entry, report, tools.domains), journals, why)


def audited(tools: Tools, nodes: tuple[str, ...]) -> tuple[AuditReport | None, tuple[str, ...]]:
    """An audit of these hosts, or why there is none: it never keeps a move from its end."""
    if tools.audit is None:
        return None, (f"{', '.join(nodes)}: not audited.",)
    tools.watcher.note(f"auditing {', '.join(nodes)}")
    try:
        return tools.audit(nodes), ()
    except WholecardError as error:
        return None, (f"{', '.join(nodes)}: not audited: {error.brief}.",)


def new_entry(plan: MovePlan, end: End) -> MoveEntry:
    """A move that nobody has asked for yet."""
    server, to = plan.server, plan.destination
    if to is None:
        raise UsageError(f"there is no host for the server {server.name}")
    return MoveEntry(
        server=server.id, name=server.name, source=server.host or "",
        source_node=server.node or server.host or "", destination=to.host,
        destination_node=to.node, method=plan.method, end=end, state=entries.BEGUN,
        started=time.time(), status=server.status,
        cards=without_left_over(plan.holdings.card_amounts, server),
    )  # fmt: skip


def run(
    conn: Connection, move: Move, request: MigrateRequest, plan: MovePlan, domains: Domains | None
) -> MoveReport:
    """One move to its end, without audits. Raises CloudError."""
    entry = move.entry
    if not (_is_begun(move) and move.take_up(request.told)):
        move.begin()
    end = request.end if request.told else entry.end
    # One that is being confirmed or reverted was proved before, and may be at its end already.
    ending = move.entry.state == entries.ENDING
    ended = "verify" if ending else move.wait()
    if ended == "verify":
        proved = ending or _has_cards(conn, move.entry, domains)
        if end is End.REVERT or (end is End.CONFIRM and proved):
            ended = move.finish(end)
    move.close(ended)
    report = MoveReport(plan, ended, move.phases, error=move.error)
    return _described(conn, move.entry, report, domains)


def _is_begun(move: Move) -> bool:
    known = move.journal.read(move.entry.server)
    return known is not None and not known.is_over


def _has_cards(conn: Connection, entry: MoveEntry, domains: Domains | None) -> bool:
    """Whether a server in VERIFY_RESIZE is as before: until it is confirmed it can go back."""
    findings = _look(conn, entry, "verify", domains).findings
    return all(finding.severity is not Severity.ERROR for finding in findings)


def _described(
    conn: Connection, entry: MoveEntry, report: MoveReport, domains: Domains | None
) -> MoveReport:
    """The report with what nova and Placement show of the server now."""
    now = _look(conn, entry, report.ended, domains)
    findings = now.findings
    if report.ended == "failed":
        fix = _fix_of_a_failure(entry, report.error, now.server)
        failed = Finding(FAILED, entry.name, Severity.ERROR, report.error, fix)
        findings = (failed, *(each for each in findings if each.severity is Severity.ERROR))
    elif report.ended == "verify" and any(each.severity is Severity.ERROR for each in findings):
        fix = f"Take it back:\nwholecard migrate {entry.server} --continue --revert"
        findings = tuple(
            replace(each, fix=fix) if each.severity is Severity.ERROR else each for each in findings
        )
    events = events_of(conn, entry.server, entry.request_id) if entry.request_id else ()
    return replace(
        report, events=events, server=now.server, holdings=now.holdings, findings=findings,
        unproved=now.unproved,
    )  # fmt: skip


def _fix_of_a_failure(entry: MoveEntry, error: str, server: ServerDetails | None) -> str:
    if MOVE_TAKES_OTHER_CARD.is_in_log(error):
        return _fix_of_a_refused_card(entry)
    if server is not None and server.vm_state == "error":
        # A guest goes on where it was if the destination of a live move was lost.
        return fix_of_state(server)
    return f"See nova's steps:\nopenstack server event list {entry.server}"


def _fix_of_a_refused_card(entry: MoveEntry) -> str:
    return (
        "nova took another card than Placement had allocated, and Placement refuses that one "
        f"({MOVE_TAKES_OTHER_CARD.link}). wholecard audit shows on {entry.destination_node} which "
        "card is free in nova and not in Placement: one that an earlier move left in an allocation "
        "(WC524: wholecard repair plan), or one that waits to be cleaned (wholecard handover "
        f"--once). Then: openstack server set --state active {entry.server}, and try again."
    )


@dataclass(frozen=True)
class _Now:
    """A server as it is, and what is wrong with it."""

    server: ServerDetails | None
    holdings: Holdings = field(default_factory=Holdings)
    findings: tuple[Finding, ...] = ()
    unproved: tuple[str, ...] = ()


def _look(conn: Connection, entry: MoveEntry, ended: str, domains: Domains | None) -> _Now:
    server = server_details(conn, entry.server)
    if server is None:
        gone = Finding(FAILED, entry.name, Severity.ERROR, "it was deleted meanwhile")
        return _Now(None, findings=(gone,))
    back = ended in ("reverted", "failed")
    node = entry.source_node if back else entry.destination_node
    statuses = {
        "verify": ("VERIFY_RESIZE",),
        # Stopped from compute API 2.95 on, as before with an older one.
        "evacuated": ("SHUTOFF", "ACTIVE"),
    }.get(ended, (entry.status,) if entry.status else ("ACTIVE", "SHUTOFF"))
    left = entry.source_node if ended == "evacuated" else ""
    anew = not back and entry.method is not Method.LIVE
    expected = Expected(node, statuses, entry.cards, left, anew)
    holdings = holdings_of(conn, entry.server)
    return _Now(server, holdings, *proof(server, holdings, expected, domains))


def _resumed(conn: Connection, server: ServerDetails, entry: MoveEntry) -> MovePlan:
    to = Destination(entry.destination, entry.destination_node, "yes")
    return _plan_of(conn, server, entry.method, to)


def _adopted(conn: Connection, server: ServerDetails, end: End, journal: MoveJournal) -> MovePlan:
    """A migration of others that a person told us to end: the journal gets what nova knows of it.

    The migration's own id holds what the server had on the source (nova/conductor/tasks/migrate.py,
    `replace_allocation_with_migration`).
    """
    row = next(iter(migrations_of(conn, server.id)), None)
    if row is None:
        raise UsageError(f"nova does not show a migration of {server.name}")
    before = holdings_of(conn, row.uuid)
    newest = next((one for one in actions_of(conn, server.id) if one.action in CHOOSING), None)
    entry = MoveEntry(
        server=server.id, name=server.name, source=row.source or "",
        source_node=next(iter(before.hosts), row.source or ""), destination=server.host or "",
        destination_node=server.node or "", method=Method.COLD, end=end, state=entries.ASKED,
        started=time.time(), status="", request_id=newest.request_id if newest else "",
        cards=before.card_amounts,
    )  # fmt: skip
    journal.write(entry)
    return _resumed(conn, server, entry)


def _plan_of(conn: Connection, server: ServerDetails, method: Method, to: Destination) -> MovePlan:
    holdings = holdings_of(conn, server.id, traits=True)
    return MovePlan(
        server, holdings, live_answer(server, holdings), method, (to,), to,
        estimate(server, method), notes=("An earlier run began this move; it goes on.",),
    )  # fmt: skip


def service_of(conn: Connection, host: str) -> ComputeService | None:
    """nova-compute on that host, None where nova has none. Raises CloudError."""
    rows = (row for row in compute_services(conn) if row.binary == "nova-compute")
    return next((row for row in rows if row.host == host), None)


def _require_fenced(conn: Connection, server: ServerDetails) -> None:
    """Refuse an evacuation from a host that may still run the server.

    nova refuses it only while the service reports (nova/compute/api.py, `evacuate`). A host that
    only lost its network still runs its guests, with their disks and cards: a second copy would
    start. `forced_down` is the operator's word that the host is off.
    """
    host = server.host or ""
    service = service_of(conn, host)
    if service is None:
        raise UsageError(f"nova has no nova-compute on {host}")
    if service.forced_down:
        return
    state = "is up" if service.state == "up" else "does not report, and may still run"
    message = f"nova-compute on {host} {state}: the server could run twice"
    fix = (
        "Fence the host first: switch its power off (BMC, PDU) and see that it is off. Then say "
        f"so:\nopenstack compute service set --down {host} nova-compute"
    )
    if service.state == "up":
        fix = f"Move it without --evacuate, while its host works. If the host is broken: {fix}"
    finding = Finding(CANNOT, server.name, Severity.ERROR, message, fix)
    raise RefusedError(f"the server {server.name} is not evacuated", (finding,), fix)
