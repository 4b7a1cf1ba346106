"""`apply`, `finish` and `rollback` of a repair, through the journal on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from wholecard.cloud.changing.target import cloud_identity, journal_notes, nova_addresses
from wholecard.cloud.client.errors import api_errors
from wholecard.core import Action, Plan, Step
from wholecard.repair.changing.journal import AppliedRepair, RepairJournal, RepairJournalEntry
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.guards import GuardError
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.transaction import engine
from wholecard.transaction.engine import Outcome, Progress, silent
from wholecard.transaction.os_errors import explained
from wholecard.transaction.planned_undo import PlannedUndo


@dataclass(frozen=True)
class RepairSystem(engine.System[RepairJournalEntry, RepairContext]):
    """The cloud that is repaired, and the journals of it."""

    journal: RepairJournal
    repaired: RepairContext

    def context(self, descriptor: int, entry: RepairJournalEntry | None) -> RepairContext:  # noqa: ARG002
        """The same, whatever is done with it."""
        return self.repaired

    def begin(self, applied: AppliedRepair) -> RepairJournalEntry:
        """Begin a journal."""
        return self.journal.begin(applied)

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """The API's errors are told with what was done; those of databases are told already."""
        with explained(), api_errors(self.repaired.conn, doing):
            yield

    def refuse_apply(self, plan: Plan) -> None:
        """Raises WholecardError where a guard of any action refuses: nothing is begun then."""
        for action in plan.actions:
            guard(self.repaired, action)

    def refuse_finish(self, plan: Plan) -> None:
        """Raises UsageError where a database is to be written without an account for it."""
        _refuse_without_account(self.repaired, [action.do for action in plan.actions])

    def refuse_rollback(self, journals: Sequence[tuple[RepairContext, Sequence[Step]]]) -> None:
        """Raises UsageError where a database is to be written without an account for it."""
        for context, steps in journals:
            _refuse_without_account(context, [step.action.do for step in steps])

    def notes(self, entry: RepairJournalEntry) -> tuple[str, ...]:
        """What moved in the same cloud. Raises WholecardError where this is another one."""
        return journal_notes(entry.id, entry.read().cloud, self.repaired.conn)


def guard(context: RepairContext, action: Action) -> None:
    """Raises GuardError where an action must not be begun, WholecardError where that is not known.

    All of its values have to be as they were planned, or all as it leaves them: the engine would
    take some of each for an interrupted run's.
    """
    change, name = action.do, f"{action.kind} {action.subject}"
    if not isinstance(change, RepairOperation):
        return
    with explained(), api_errors(context.conn, f"guard {name}"):
        state = change.look(context)
        if state == change.state_after:
            return
        if state != change.state_before:
            difference = change.difference(context, state, [change.state_before])
            raise GuardError(f"{name} was changed since the audit", difference, "Run repair again.")
        change.check(context)


def apply(
    context: RepairContext,
    journal: RepairJournal,
    plan: Plan,
    rules: Sequence[str],
    progress: Progress = silent,
) -> Outcome:
    """Apply `plan`, which repairs findings of `rules`, see `engine.apply`."""
    if not plan.actions:
        return Outcome()
    _refuse_without_account(context, [action.do for action in plan.actions])
    identity = cloud_identity(context.conn)
    applied = AppliedRepair(plan, identity, tuple(rules), round(time.time(), 3))
    return engine.apply(_system(context, journal), applied, progress)


def finish(
    context: RepairContext, journal: RepairJournal, progress: Progress = silent
) -> Outcome | None:
    """Finish a repair that was killed or failed, by its own plan, see `engine.finish`."""
    return engine.finish(_system(context, journal), progress)


def rollback(
    context: RepairContext,
    journal: RepairJournal,
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo repairs that are in effect, see `engine.rollback`.

    What is gone, or what a server has got meanwhile, becomes a note, and the rest is undone.
    """
    return engine.rollback(_system(context, journal), progress, discard_edits, to)


def plan_rollback(
    context: RepairContext, journal: RepairJournal, to: int | None = None
) -> PlannedUndo:
    """What `rollback` would do, see `engine.plan_rollback`; nothing is changed."""
    return engine.plan_rollback(_system(context, journal), to)


def _system(context: RepairContext, journal: RepairJournal) -> RepairSystem:
    addresses = nova_addresses(context.conn) if journal.shared else ()
    return RepairSystem(replace(journal, addresses=addresses), context)


def _refuse_without_account(context: RepairContext, operations: Sequence[object]) -> None:
    for operation in operations:
        if isinstance(operation, DatabaseRowChange):
            context.databases.engine(operation.cell)
