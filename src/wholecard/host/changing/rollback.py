"""`rollback`: journals played backwards, the newest first, until every byte is what it was."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Action, RefusedError, UsageError, WholecardError
from wholecard.host.changing import in_use, journal
from wholecard.host.changing.apply import Outcome, Progress, difference, silent
from wholecard.host.changing.backup import Backup
from wholecard.host.changing.journal import HostJournalEntry
from wholecard.host.facts.inspect import read_boot_id
from wholecard.host.operations.bind_driver import BindDriver, driver_of
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.registry import HostOperation, operation_of
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile, text_digest
from wholecard.pci import Address
from wholecard.transaction.atomic_files import (
    expand,
    remove,
    remove_directory,
    scratch,
    state_of,
    under,
)
from wholecard.transaction.os_errors import explained


def rollback(
    root: Path,
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo journals that stand, finished or not; an unfinished rollback is finished.

    `to` is the number of the journal as which the host is to stand again, 0 for none at all: all
    newer ones are undone, newest first. Without it the newest is undone.

    Files get their former content, mode, owner, label and time, or go; directories that were made
    and are empty go too. A tool's outputs are put back from the backup while they are what apply
    left; where they have changed since (a kernel was installed) the tool runs again instead, after
    the files are back. A driver is given back in the boot in which it was taken; after a reboot
    that is skipped, and said in the outcome's notes.

    Raises UsageError when nothing stands applied or `to` is no journal that stands, and, before
    anything is touched, WholecardError when a file was edited since and `discard_edits` is not
    set or a journal is damaged, and RefusedError when a function to be given back is in use.
    """
    # Where nothing is to be undone nothing is touched, not even the lock.
    if not _to_undo(root, to):
        return Outcome(None, (), reboot_needed=False)
    with journal.lock(root) as held, explained():
        undoings = [_undoing(root, entry, held) for entry in _to_undo(root, to)]
        if not discard_edits:
            _refuse_edited(root, undoings)
        _refuse_in_use(root, undoings)
        seconds: list[float] = []
        for each in undoings:
            seconds += each.play(progress)
        return Outcome(
            journal=undoings[-1].entry.id if undoings else None,
            seconds=tuple(seconds),
            reboot_needed=any(each.reboot_needed for each in undoings),
            journals=tuple(each.entry.id for each in undoings),
            notes=tuple(note for each in undoings for note in each.notes),
        )


def _to_undo(root: Path, to: int | None) -> list[HostJournalEntry]:
    standing = [each for each in journal.entries(root) if each.state != journal.ROLLED_BACK]
    if to is None:
        if not standing:
            raise UsageError("nothing is applied on this host, so nothing can be rolled back")
        return standing[-1:]
    if to and to not in [entry.number for entry in standing]:
        raise UsageError(
            f"no journal {to:04d} stands on this host",
            "Those that stand: " + (", ".join(each.id for each in standing) or "none") + ".",
            "Name one of these; 0 undoes all of them.",
        )
    return [entry for entry in reversed(standing) if entry.number > to]


def _undoing(root: Path, entry: HostJournalEntry, held: int) -> _Undoing:
    applied = entry.read()
    backup = entry.backup()
    backup.refuse_damaged()
    return _Undoing(
        root=root,
        entry=entry,
        actions=applied.plan.actions,
        reboot_needed=applied.plan.reboot_needed,
        backup=backup,
        held=held,
        boot=read_boot_id(root),
    )


@dataclass(frozen=True)
class _Undoing:
    """One journal that is being undone."""

    root: Path
    entry: HostJournalEntry
    actions: tuple[Action, ...]
    reboot_needed: bool
    backup: Backup
    held: int
    boot: str

    def operation(self, place: int) -> HostOperation:
        return operation_of(self.actions[place])

    @property
    def left(self) -> list[int]:
        """The places of the actions that were begun and are not undone, in their order."""
        undone = self.entry.actions_with("undone")
        return sorted(place for place in self.entry.actions_with("begin") if place not in undone)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left as it is."""
        return tuple(
            str(record["note"])
            for record in self.entry.actions_with("undone").values()
            if "note" in record
        )

    def bindings(self) -> list[BindDriver]:
        """The drivers that are to be given back: those that were taken in this boot."""
        found = [(place, self.operation(place)) for place in self.left]
        return [
            each for place, each in found if isinstance(each, BindDriver) and self.in_boot(place)
        ]

    def in_boot(self, place: int) -> bool:
        """Whether the action was begun in the boot that the host is in."""
        begun = self.entry.actions_with("begin")[place]
        return bool(begun.get("boot") == self.boot)

    def play(self, progress: Progress) -> list[float]:
        with explained(f"Journal {self.entry.id} is partly undone: run rollback again."):
            self.entry.log("rollback")
            seconds = self._play_backwards(progress)
            for path in reversed(self.backup.made):
                remove_directory(under(self.root, path))
            self.entry.log("rolled-back", boot=self.boot)
        return seconds

    def _play_backwards(self, progress: Progress) -> list[float]:
        left = self.left
        again = [place for place in left if self._changed_since(place)]
        # First what can be put back, last action first; then the tools that must run on the old
        # files.
        order = sorted(set(left) - set(again), reverse=True) + sorted(again)
        seconds: list[float] = []
        for place in order:
            progress(len(seconds) + 1, len(order), self.actions[place], None)
            started = time.monotonic()
            operation = self.operation(place)
            note = None
            if isinstance(operation, RunTool) and place in again:
                note = self._run_again(place, operation)
            else:
                note = self._undo(place, operation)
            self.entry.log("undone", n=place, **({} if note is None else {"note": note}))
            seconds.append(round(time.monotonic() - started, 2))
            progress(len(seconds), len(order), self.actions[place], seconds[-1])
        return seconds

    def _undo(self, place: int, operation: HostOperation) -> str | None:
        if isinstance(operation, WriteFile):
            remove(scratch(under(self.root, operation.path)))
            self.backup.put_back(self.root, operation.path)
        elif isinstance(operation, RunTool):
            before = self.backup.outputs.get(place, ())
            for path in sorted({*before, *expand(self.root, operation.outputs)}):
                self.backup.put_back(self.root, path)
        elif isinstance(operation, LoadModule):
            return f"module {operation.module} stays loaded until the host is rebooted"
        elif self.in_boot(place):
            operation.undo(self.root)
        else:
            return f"{operation.address} was bound in an earlier boot: nothing to give back"
        return None

    def _run_again(self, place: int, operation: RunTool) -> str:
        """Make the outputs anew from the former files; what nobody changed is put back after."""
        done = self.entry.actions_with("done").get(place)
        untouched = [
            path
            for path in self.backup.outputs.get(place, ())
            if done is None or self._is_ours(path, done)
        ]
        operation.run_again(self.root, (self.held,))
        for path in untouched:
            self.backup.put_back(self.root, path)
        return f"{self.actions[place].subject} ran again, for its outputs have changed since"

    def _is_ours(self, path: str, done: dict[str, Any]) -> bool:
        """Whether an output is as the tool left it, or back already in a rollback broken off."""
        left = done.get("after", {})
        return state_of(under(self.root, path)) in (left.get(path), self.backup.of(path).state)

    def _changed_since(self, place: int) -> bool:
        """Whether a tool's outputs are no longer what apply left, so that it must run again."""
        operation = self.operation(place)
        if not isinstance(operation, RunTool):
            return False
        outputs = expand(self.root, operation.outputs)
        kept = self.backup.outputs.get(place, ())
        done = self.entry.actions_with("done").get(place)
        if done is None:
            # Killed inside the tool: what it had begun (initrd.img-*.new) goes; another new file
            # is somebody else's, for example a new kernel's image with our hook in it.
            return any(path not in kept and not path.endswith(".new") for path in outputs)
        return not all(self._is_ours(path, done) for path in outputs)


def _refuse_edited(root: Path, undoings: list[_Undoing]) -> None:
    """Each file as it is, or as the journals undone before will have left it."""
    becomes: dict[str, str | None] = {}
    for each in undoings:
        for place in each.left:
            operation = each.operation(place)
            if isinstance(operation, BindDriver):
                _refuse_other_driver(each, place, operation)
            if not isinstance(operation, WriteFile):
                continue
            target = under(root, operation.path)
            found = becomes.get(operation.path, state_of(target))
            if found not in (operation.expect_sha256, text_digest(operation.content), None):
                raise WholecardError(
                    f"{operation.path} was edited since it was written",
                    difference(operation, operation.content, target),
                    "Keep a copy of the edit and run rollback --discard-edits.",
                )
            becomes[operation.path] = operation.expect_sha256


def _refuse_other_driver(undoing: _Undoing, place: int, operation: BindDriver) -> None:
    found = driver_of(undoing.root, operation.address)
    if undoing.in_boot(place) and found not in (operation.driver, operation.former_driver, None):
        raise WholecardError(
            f"{operation.address} was given to {found} since",
            f"Wholecard took it from {operation.former_driver or 'no driver'} for "
            f"{operation.driver}.",
            "Run rollback --discard-edits to give it back all the same.",
        )


def _refuse_in_use(root: Path, undoings: list[_Undoing]) -> None:
    addresses = [
        Address.parse(each.address)
        for undoing in undoings
        for each in undoing.bindings()
        if driver_of(root, each.address) not in (each.former_driver, None)
    ]
    findings = in_use.find(root, None, addresses)
    if findings:
        raise RefusedError(
            "a function that is to be given back is in use",
            findings,
            " ".join(dict.fromkeys(finding.fix for finding in findings)),
        )
