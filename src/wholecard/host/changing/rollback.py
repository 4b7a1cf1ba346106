"""`rollback`: journals played backwards, the newest first, until every byte is what it was."""

from __future__ import annotations

from pathlib import Path

from wholecard.host.changing.apply import HostSystem
from wholecard.host.changing.journal import journal_of
from wholecard.transaction import engine
from wholecard.transaction.engine import Outcome, Progress, silent
from wholecard.transaction.planned_undo import PlannedUndo


def rollback(
    root: Path, progress: Progress = silent, discard_edits: bool = False, to: int | None = None
) -> Outcome:
    """Undo journals that are in effect, see `engine.rollback`.

    Files get their former content, mode, owner, label and time, or go; directories that were made
    and are empty go too. A tool's outputs are put back from the backup while they are what apply
    left; where they have changed since (a kernel was installed) the tool runs again instead, after
    the files are back. A driver is given back in the boot in which it was taken; after a reboot
    that is skipped, which a note says.

    Raises as `engine.rollback` does, and RefusedError when a function to be given back is in use.
    """
    return engine.rollback(HostSystem(journal_of(root)), progress, discard_edits, to)


def plan_rollback(root: Path, to: int | None = None) -> PlannedUndo:
    """What `rollback` would do, in its order; nothing is changed. See `engine.plan_rollback`."""
    return engine.plan_rollback(HostSystem(journal_of(root)), to)
