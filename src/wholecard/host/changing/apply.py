"""`apply` and `finish`: a host's plan through its journal, and what a host refuses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wholecard.core import Finding, Plan, RefusedError, Step, WholecardError
from wholecard.host.changing import in_use, journal
from wholecard.host.changing.free_space import refuse_without_room
from wholecard.host.changing.journal import AppliedHostPlan, HostJournal, HostJournalEntry
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import read_boot_id
from wholecard.host.operations.operation import HostContext
from wholecard.host.operations.registry import OF_SLICES, RUNTIME, operation_of
from wholecard.host.planning.device_bindings import claims
from wholecard.transaction import engine
from wholecard.transaction.atomic_files import remove_directory, under
from wholecard.transaction.backup import Backup
from wholecard.transaction.engine import Outcome, Progress, silent


@dataclass(frozen=True)
class HostSystem(engine.System[HostJournalEntry, HostContext]):
    """The host whose journals these are; `host` are its facts where the caller has them."""

    journal: HostJournal
    host: Host | None = None

    @property
    def root(self) -> Path:
        """The host's root folder."""
        return self.journal.root

    def context(self, descriptor: int, entry: HostJournalEntry | None) -> HostContext:
        """With the backup of the journal that is undone, which is whole."""
        backup = Backup(self.journal.folder) if entry is None else entry.backup()
        backup.refuse_damaged()
        return HostContext(self.root, descriptor, read_boot_id(self.root), backup)

    def begin(self, applied: AppliedHostPlan) -> HostJournalEntry:
        """Begin a journal, with the backups."""
        return self.journal.begin(applied)

    def record(self) -> dict[str, Any]:
        """The boot: a binding ends with it."""
        return {"boot": read_boot_id(self.root)}

    def refuse_apply(self, plan: Plan) -> None:
        """Where a path leads out of the root, a function is in use, or there is no room."""
        self.refuse_finish(plan)
        refuse_without_room(self.root, plan, self.journal.lock_folder)

    def refuse_finish(self, plan: Plan) -> None:
        """Where a path leads out of the root, or a function is in use, now."""
        for action in plan.actions:
            operation = operation_of(action)
            self._refuse_outside(operation.creates, operation.targets(self.root))
        operations = [operation_of(action) for action in plan.actions]
        addresses = [each for do in operations for each in do.functions_taken(self.root)]
        mdevs = [each for do in operations for each in do.mdevs_taken(self.root)]
        findings = in_use.find(self.root, self.host, addresses)
        findings += in_use.find_mdevs(self.root, mdevs)
        _refuse_in_use("cannot change the driver of a function that is in use", findings)

    def refuse_rollback(self, journals: Sequence[tuple[HostContext, Sequence[Step]]]) -> None:
        """Where a path leads out of the root, or a function to be given back is in use."""
        for context, steps in journals:
            backup = context.backup
            self._refuse_outside([file.path for file in backup.files], backup.created)
            for step in steps:
                self._refuse_outside(operation_of(step.action).targets(self.root))
        addresses = [
            address
            for context, steps in journals
            for step in steps
            for address in operation_of(step.action).functions_given_back(context, step.begun)
        ]
        steps = [step for _, own in journals for step in own]
        self._refuse_undo(steps)
        mdevs = [each for step in steps
                 for each in operation_of(step.action).mdevs_given_back(self.root)]  # fmt: skip
        findings = in_use.find(self.root, None, addresses)
        findings += in_use.find_mdevs(self.root, mdevs)
        _refuse_in_use("cannot unbind a function that is in use", findings)

    def _refuse_undo(self, steps: Sequence[Step]) -> None:
        """Where somebody else has changed what is to be undone; the last step of a thing counts."""
        seen = set()
        for step in reversed(steps):
            key = (step.action.kind, step.action.subject)
            if key not in seen:
                seen.add(key)
                operation_of(step.action).refuse_undo(self.root, step)

    def _refuse_outside(self, *paths: Iterable[str]) -> None:
        """Raises WholecardError where one of the paths leads out of the root."""
        for path in chain(*paths):
            under(self.root, path)

    def tidy(self, context: HostContext) -> None:
        """Remove the directories that were made and are empty."""
        for path in reversed(context.backup.created):
            remove_directory(under(self.root, path))


def apply(
    root: Path, host: Host, desired: DesiredState, plan: Plan, progress: Progress = silent
) -> Outcome:
    """Apply `plan`, which was made from `host` and `desired`.

    Raises as `engine.apply` does; the host refuses where there is no room, and with RefusedError
    where a function to be bound is in use.
    """
    applied = AppliedHostPlan(
        plan=plan,
        cards=tuple(sorted((*desired.cards, *(split.card for split in desired.splits)))),
        functions=tuple(str(claim) for claim in claims(host, desired)),
        boot_id=host.boot.boot_id,
        time=round(time.time(), 3),
    )
    system = HostSystem(journal.journal_of(root), host)
    return apply_or_roll_back(system, applied, progress)


def apply_or_roll_back(
    system: HostSystem, applied: AppliedHostPlan, progress: Progress = silent
) -> Outcome:
    """Apply; where a driver or a tool refuses a part of a card half way, undo the whole journal.

    A half split card serves nobody, and what refused once mostly refuses again. Other plans are
    left unfinished, to be finished or rolled back. Raises as `engine.apply` does.
    """
    before = system.journal.newest()
    try:
        return engine.apply(system, applied, progress)
    except WholecardError as error:
        entry = system.journal.newest()
        if entry is None or entry == before or not _is_half_split(entry, applied):
            raise
        engine.rollback(system, progress)
        error.details = f"{error.details}\nEverything was rolled back: the host is as before."
        # The engine's advice is for a journal that is left unfinished.
        resolution = error.resolution.replace(entry.advice, "").rstrip()
        error.resolution = f"{resolution} Then apply again.".lstrip()
        raise


def _is_half_split(entry: HostJournalEntry, applied: AppliedHostPlan) -> bool:
    """Whether the journal stopped where a running host's card is split."""
    stopped = entry.unfinished()
    splits = any(isinstance(action.do, OF_SLICES) for action in applied.plan.actions)
    return splits and stopped is not None and isinstance(stopped.action.do, RUNTIME)


def apply_files(files_journal: HostJournal, plan: Plan, progress: Progress = silent) -> Outcome:
    """Apply a plan of files alone, which no cards are behind, through a journal of its own.

    The host's journals are about its cards: neither undoes what the other did. Raises as `apply`.
    """
    applied = AppliedHostPlan(
        plan=plan,
        cards=(),
        functions=(),
        boot_id=read_boot_id(files_journal.root),
        time=round(time.time(), 3),
    )
    return engine.apply(HostSystem(files_journal), applied, progress)


def finish(root: Path, progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan, see `engine.finish`."""
    return engine.finish(HostSystem(journal.journal_of(root)), progress)


def _refuse_in_use(brief: str, findings: Iterable[Finding]) -> None:
    findings = tuple(findings)
    if findings:
        fixes = " ".join(dict.fromkeys(finding.fix for finding in findings))
        raise RefusedError(brief, findings, fixes)
