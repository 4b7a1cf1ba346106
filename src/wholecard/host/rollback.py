"""`rollback`: the newest journal played backwards, until every byte is what it was."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from wholecard.core import UsageError, WholecardError
from wholecard.host import journal
from wholecard.host.apply import Outcome, Progress, silent
from wholecard.host.backup import Backup
from wholecard.host.files import digest, expand, remove, scratch, under
from wholecard.host.journal import Entry
from wholecard.host.operations import RunTool, WriteFile, diff, operation_of, text_digest


def rollback(root: Path, progress: Progress = silent, discard_edits: bool = False) -> Outcome:
    """Undo the newest journal that stands, finished or not; an unfinished rollback is finished.

    Files get their former content, mode and owner, or go; directories that were made and are
    empty go too. A tool's outputs are put back from the backup while they are what apply left;
    where they have changed since (a kernel was installed) the tool runs again instead, after the
    files are back.

    Raises UsageError when nothing stands applied, and WholecardError, before anything is touched,
    when a file was edited since and `discard_edits` is not set.
    """
    with journal.lock(root):
        entry = journal.newest(root)
        if entry is None:
            raise UsageError("nothing is applied on this host, so nothing can be rolled back")
        plan = entry.read().plan
        if not discard_edits:
            _refuse_edited(root, entry)
        entry.log("rollback")
        seconds = _play_backwards(root, entry, progress)
        _remove_made(root, entry.backup())
        entry.log("rolled-back")
        return Outcome(entry.id, tuple(seconds), plan.reboot_needed)


def _play_backwards(root: Path, entry: Entry, progress: Progress) -> list[float]:
    actions = entry.read().plan.actions
    begun = entry.actions_with("begin")
    undone = entry.actions_with("undone")
    left = [place for place in begun if place not in undone]
    again = [place for place in left if _changed_since(root, entry, place)]
    # First what can be put back, last action first; then the tools that must run on the old files.
    order = sorted(set(left) - set(again), reverse=True) + sorted(again)
    seconds: list[float] = []
    for place in order:
        progress(len(seconds) + 1, len(order), actions[place], None)
        started = time.monotonic()
        operation = operation_of(actions[place])
        if place in again and isinstance(operation, RunTool):
            operation.run_again(root)
        else:
            _undo(root, entry, operation)
        entry.log("undone", n=place)
        seconds.append(round(time.monotonic() - started, 2))
        progress(len(seconds), len(order), actions[place], seconds[-1])
    return seconds


def _undo(root: Path, entry: Entry, operation: RunTool | WriteFile) -> None:
    backup = entry.backup()
    if isinstance(operation, WriteFile):
        remove(scratch(under(root, operation.path)))
        backup.put_back(root, operation.path)
        return
    before = {kept.path for kept in backup.files}
    for path in sorted({*_kept_outputs(backup, operation), *expand(root, operation.outputs)}):
        if path not in before or digest(under(root, path)) != backup.of(path).sha256:
            backup.put_back(root, path)


def _changed_since(root: Path, entry: Entry, place: int) -> bool:
    """Whether a tool's outputs are no longer what apply left, so that it must run again."""
    operation = operation_of(entry.read().plan.actions[place])
    if isinstance(operation, WriteFile):
        return False
    backup = entry.backup()
    found = {path: digest(under(root, path)) for path in expand(root, operation.outputs)}
    before = {path: backup.of(path).sha256 for path in _kept_outputs(backup, operation)}
    done = entry.actions_with("done").get(place)
    if done is None:
        # Killed inside the tool: what it had begun (initrd.img-*.new) goes; another new file is
        # somebody else's, for example a new kernel's image with our hook in it.
        return any(path not in before and not path.endswith(".new") for path in found)
    # While a rollback is being finished, an output may be back already.
    after = done["after"]
    return any(value not in (after.get(path), before.get(path)) for path, value in found.items())


def _kept_outputs(backup: Backup, operation: RunTool) -> list[str]:
    return [
        kept.path
        for kept in backup.files
        if any(_matches(kept.path, pattern) for pattern in operation.outputs)
    ]


def _matches(path: str, pattern: str) -> bool:
    return Path(path).match(pattern)


def _refuse_edited(root: Path, entry: Entry) -> None:
    actions = entry.read().plan.actions
    undone = entry.actions_with("undone")
    for place in entry.actions_with("begin"):
        operation = operation_of(actions[place])
        if place in undone or isinstance(operation, RunTool):
            continue
        target = under(root, operation.path)
        found = digest(target)
        if found not in (operation.expect_sha256, text_digest(operation.content), None):
            now = target.read_bytes().decode("utf-8", "surrogateescape")
            raise WholecardError(
                f"{operation.path} was edited since it was written",
                diff(operation.content, now, operation.path),
                "Keep a copy of the edit and run rollback --discard-edits.",
            )


def _remove_made(root: Path, backup: Backup) -> None:
    for path in reversed(backup.made):
        # A directory with somebody else's file in it stays.
        with contextlib.suppress(OSError):
            under(root, path).rmdir()
