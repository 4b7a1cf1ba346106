"""The entry point: what is asked of a repair, its plan, and what apply and rollback did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from wholecard.audit.report import AuditReport
from wholecard.core import Action, WholecardError
from wholecard.repair.changing import apply as applying
from wholecard.repair.changing.journal import RepairJournal
from wholecard.repair.operations.guards import GuardError
from wholecard.repair.operations.operation import RepairContext
from wholecard.repair.placement_reader import PlacementReader
from wholecard.repair.planning import RepairFilter, plan_repair
from wholecard.repair.record import Refusal, RepairPlan, RepairReport
from wholecard.repair.remedies.case import RepairOptions
from wholecard.transaction.engine import Outcome, Progress, silent
from wholecard.transaction.planned_undo import PlannedUndo


@dataclass(frozen=True)
class RepairRequest:
    """What to repair and with what.

    `audit` makes an audit of the cloud that `context` leads to, each time that it is called.
    """

    context: RepairContext
    audit: Callable[[], AuditReport]
    journal: RepairJournal
    options: RepairOptions = field(default_factory=RepairOptions)
    only: RepairFilter = field(default_factory=RepairFilter)


def plan(request: RepairRequest, report: AuditReport | None = None) -> RepairPlan:
    """What apply would do about what the audit finds, or about `report`; changes nothing.

    Raises WholecardError where the audit or Placement fails.
    """
    seen = report or request.audit()
    now = datetime.now(UTC).replace(tzinfo=None)
    reader = PlacementReader(request.context.conn)
    rows = (*seen.disagreements, *seen.in_flight)
    planned = plan_repair(rows, reader, request.options, now, request.only)
    unread = tuple(f"{view.value} was not read: {why}" for view, (why, _) in seen.unread.items())
    return replace(planned, notes=unread, is_undecided=bool(unread or seen.in_flight))


def apply(
    request: RepairRequest,
    progress: Progress = silent,
    shown: Callable[[RepairPlan], None] = lambda _: None,
) -> RepairReport:
    """Finish an interrupted repair; then audit, plan, apply, and audit again.

    An action whose guard refuses is left out, and the others are done; `shown` gets the plan that
    is going to be applied. Raises UsageError where a database is to be written and no account for
    it was named, before anything is touched, and WholecardError as `engine.apply` does.
    """
    finished = applying.finish(request.context, request.journal, progress)
    planned = plan(request)
    for cell in planned.cells:
        request.context.databases.engine(cell)
    planned = planned.without(_refused(request.context, planned.plan.actions))
    shown(planned)
    outcome = applying.apply(
        request.context, request.journal, planned.plan, planned.rules, progress
    )
    changed = outcome.journals or finished is not None
    return RepairReport(planned, outcome, finished, request.audit() if changed else None)


def rollback(
    request: RepairRequest,
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo repairs, see `changing.apply.rollback`."""
    return applying.rollback(request.context, request.journal, progress, discard_edits, to)


def plan_rollback(request: RepairRequest, to: int | None = None) -> PlannedUndo:
    """What `rollback` would do, and what was changed since; changes nothing."""
    return applying.plan_rollback(request.context, request.journal, to)


def _refused(context: RepairContext, actions: tuple[Action, ...]) -> dict[Action, Refusal]:
    """The actions that their own guards refuse now, and why."""
    refused = {}
    for action in actions:
        try:
            applying.guard(context, action)
        except GuardError as error:
            name = f"{action.kind} {action.subject}"
            refused[action] = Refusal(name, error.brief, error.details, error.resolution)
        except WholecardError as error:
            error.resolution = f"{error.resolution} Nothing was changed.".strip()
            raise
    return refused
