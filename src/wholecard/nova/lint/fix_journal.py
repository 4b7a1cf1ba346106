"""The journals of `lint --fix`: apart from a host's, and one for each set of files.

What lint edits is nova's configuration, often somebody's copy of it in a project. A host's journals
are about its cards. Were both in one place, a rollback of the one would undo the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from wholecard.core import Action, UsageError, WholecardError
from wholecard.core.state_folder import state_folder
from wholecard.host.changing.apply import HostSystem
from wholecard.host.changing.journal import APPLYING, HostJournal, HostJournalEntry
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction import engine
from wholecard.transaction.engine import Outcome

_ROOT = Path("/")


class FixJournalEntry(HostJournalEntry):
    """One run of `lint --fix`."""

    @property
    def advice(self) -> str:
        """What can be done where it was interrupted."""
        return "The fix is unfinished: run lint --fix again, or undo it with lint --undo."

    @property
    def edited(self) -> tuple[str, ...]:
        """The files that it edited. Raises WholecardError where they cannot be read."""
        return tuple(_path(action) for action in self.read().plan.actions)


class FixJournal(HostJournal):
    """The journals of the fixes of one set of files; any person can have them, without root."""

    command = "wholecard nova lint"
    system = "to these files by lint --fix"
    undo_words = "--undo"
    discard_command = "lint --undo --discard-edits"

    @property
    def lock_folder(self) -> Path:
        """The journals' own folder."""
        return self.folder

    def entry(self, number: int, directory: Path) -> FixJournalEntry:
        """The journal with this number."""
        return FixJournalEntry(number, directory)


def fix_journal(files: Iterable[Path]) -> FixJournal:
    """The journal for fixes of exactly these files, below `$XDG_STATE_HOME/wholecard/lint`."""
    paths = sorted({os.path.realpath(file) for file in files})
    digest = hashlib.sha256("\n".join(paths).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", Path(paths[0]).name).strip("-") if paths else ""
    return FixJournal(state_folder("lint", f"{name or 'files'}-{digest}"), _ROOT)


def finish_fixes(files: Iterable[Path]) -> None:
    """Finish the runs of --fix that were killed while they edited one of these files."""
    for journal, entry in _newest_of(files):
        if entry.state == APPLYING:
            engine.finish(HostSystem(journal))


def undo_fix(files: Iterable[Path], discard_edits: bool = False) -> tuple[str, ...]:
    """Undo the last run of --fix that edited one of these files; the files that it restored.

    A folder means the files below it. Raises UsageError where none of them was fixed, and as
    `engine.rollback` does.
    """
    newest = max(_newest_of(files), key=lambda pair: pair[1].read().time, default=None)
    if newest is None:
        raise UsageError(
            "lint --fix has changed none of these files, or that is undone already",
            f"Its journals are below {state_folder('lint')}.",
            "Name the files that it changed, as the same user.",
        )
    journal, entry = newest
    edited = entry.edited
    outcome: Outcome = engine.rollback(HostSystem(journal), discard_edits=discard_edits)
    return edited if outcome.journals else ()


def _newest_of(files: Iterable[Path]) -> Iterator[tuple[FixJournal, FixJournalEntry]]:
    """Of each set of files its newest run in effect, where that edited one of these files.

    A journal that cannot be read is passed over: it may be of other files.
    """
    wanted = [os.path.realpath(file) for file in files]
    for folder in sorted(state_folder("lint").glob("*")):
        journal = FixJournal(folder, _ROOT)
        with contextlib.suppress(WholecardError):
            entry = journal.newest()
            if isinstance(entry, FixJournalEntry) and any(
                path == file or path.startswith(f"{file}/")
                for path in entry.edited
                for file in wanted
            ):
                yield journal, entry


def _path(action: Action) -> str:
    if not isinstance(action.do, WriteFile):
        raise WholecardError("a journal of lint --fix has something else than files")
    return action.do.path
