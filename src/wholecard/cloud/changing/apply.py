"""`apply`, `finish` and `rollback` of a cloud's plan, through the journal on this machine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.changing.journal import AppliedCloudPlan, CloudJournal, CloudJournalEntry
from wholecard.cloud.changing.target import cloud_identity, journal_notes, nova_addresses
from wholecard.cloud.client.errors import api_errors
from wholecard.core import Plan, WholecardError
from wholecard.transaction import engine
from wholecard.transaction.engine import Outcome, Progress, silent
from wholecard.transaction.os_errors import explained
from wholecard.transaction.planned_undo import PlannedUndo


@dataclass(frozen=True)
class CloudSystem(engine.System[CloudJournalEntry, Connection]):
    """The cloud that `conn` leads to, and its journals."""

    journal: CloudJournal
    conn: Connection

    def context(self, descriptor: int, entry: CloudJournalEntry | None) -> Connection:  # noqa: ARG002
        """The connection, whatever is done with it."""
        return self.conn

    def begin(self, applied: AppliedCloudPlan) -> CloudJournalEntry:
        """Begin a journal."""
        return self.journal.begin(applied)

    def refuse_apply(self, plan: Plan) -> None:  # noqa: ARG002 -- whatever the plan is
        """Raises WholecardError where an apply is unfinished under another name of the cloud."""
        entry = self.journal.unfinished_elsewhere(cloud_identity(self.conn))
        if entry is not None:
            folder = entry.directory.parent
            raise WholecardError(
                f"journal {entry.id} of the same cloud is unfinished ({entry.state})",
                f"It was written under another name of clouds.yaml: {folder.name}. Nothing was "
                "changed.",
                f"Finish or undo it first: wholecard cloud apply or rollback, with --cloud "
                f"{shlex.quote(folder.name)}",
            )

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """The API's errors are told with what was done."""
        with explained(), api_errors(self.conn, doing):
            yield

    def notes(self, entry: CloudJournalEntry) -> tuple[str, ...]:
        """What moved in the same cloud. Raises WholecardError where this is another one."""
        return journal_notes(entry.id, entry.read().cloud, self.conn)


def apply(
    conn: Connection, journal: CloudJournal, plan: Plan, site: Path, progress: Progress = silent
) -> Outcome:
    """Apply `plan`, which was made from the file `site`, see `engine.apply`."""
    if not plan.actions:
        return Outcome()
    applied = AppliedCloudPlan(plan, cloud_identity(conn), str(site), round(time.time(), 3))
    return engine.apply(_system(conn, journal), applied, progress)


def finish(conn: Connection, journal: CloudJournal, progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan, see `engine.finish`."""
    return engine.finish(_system(conn, journal), progress)


def rollback(
    conn: Connection,
    journal: CloudJournal,
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo journals that are in effect, see `engine.rollback`.

    What is gone or cannot be undone becomes a note, and the rest is undone; a service that fails
    or does not answer stops it, and the next rollback goes on from there. Every value becomes what
    it was when its operation was begun.
    """
    return engine.rollback(_system(conn, journal), progress, discard_edits, to)


def plan_rollback(conn: Connection, journal: CloudJournal, to: int | None = None) -> PlannedUndo:
    """What `rollback` would do, see `engine.plan_rollback`; nothing is changed."""
    return engine.plan_rollback(_system(conn, journal), to)


def _system(conn: Connection, journal: CloudJournal) -> CloudSystem:
    addresses = nova_addresses(conn) if journal.shared else ()
    return CloudSystem(replace(journal, addresses=addresses), conn)
