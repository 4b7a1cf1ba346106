"""`apply`: the only thing that changes a host, action by action through the journal."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from wholecard.core import Action, Plan, RefusedError, UsageError, WholecardError
from wholecard.host.changing import in_use, journal
from wholecard.host.changing.free_space import refuse_without_room
from wholecard.host.changing.journal import Applied, HostJournalEntry
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import read_boot_id
from wholecard.host.operations.bind_driver import BindDriver, driver_of
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.registry import operation_of
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile, diff, encode, text_digest
from wholecard.host.planning.device_bindings import claims
from wholecard.pci import Address
from wholecard.transaction.atomic_files import (
    expand,
    make_directories,
    state_of,
    traits_of,
    under,
    write_atomically,
)
from wholecard.transaction.os_errors import explained

# Called before an action with None and after it with its seconds: place (from 1), of how many,
# the action, the seconds.
Progress = Callable[[int, int, Action, "float | None"], None]


@dataclass(frozen=True)
class Outcome:
    """What a run did: each action's seconds; `journal` is None where there was nothing to do.

    `journals` are all that a rollback undid, `journal` the last of them. `notes` say what was
    left as it is, and why.
    """

    journal: str | None
    seconds: tuple[float, ...]
    reboot_needed: bool
    journals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """`{"journal", "applied", "reboot_needed", "seconds", "journals", "notes"}`."""
        return {
            "journal": self.journal,
            "applied": len(self.seconds),
            "reboot_needed": self.reboot_needed,
            "seconds": list(self.seconds),
            "journals": list(self.journals),
            "notes": list(self.notes),
        }


def silent(place: int, count: int, action: Action, seconds: float | None) -> None:
    """A `Progress` that says nothing."""


def apply(
    root: Path, host: Host, wish: DesiredState, plan: Plan, progress: Progress = silent
) -> Outcome:
    """Carry out `plan`, which was made from `host` and `wish`.

    Before anything is touched it raises WholecardError when another run holds the lock, when an
    earlier run is unfinished (see `finish`), when a file was edited since the plan was made or
    there is no room, and RefusedError when a function to be bound is in use. When a tool or the
    file system fails later it raises WholecardError too; then the journal stays unfinished, to be
    finished or rolled back.
    """
    if not plan.actions:
        return Outcome(None, (), reboot_needed=False)
    applied = Applied(
        plan=plan,
        cards=wish.cards,
        functions=tuple(str(claim) for claim in claims(host, wish)),
        boot_id=host.boot.boot_id,
        time=round(time.time(), 3),
    )
    return _apply(root, host, applied, progress)


def apply_files(root: Path, plan: Plan, progress: Progress = silent) -> Outcome:
    """Carry out a plan of files alone, which no wish stands behind: nova's configuration.

    What the host was wished to give stays as the newest journal has it. Raises as `apply` does.
    """
    if not plan.actions:
        return Outcome(None, (), reboot_needed=False)
    newest = journal.newest(root)
    before = newest.read() if newest is not None else None
    applied = Applied(
        plan=plan,
        cards=before.cards if before else (),
        functions=before.functions if before else (),
        boot_id=read_boot_id(root),
        time=round(time.time(), 3),
    )
    return _apply(root, None, applied, progress)


def _apply(root: Path, host: Host | None, applied: Applied, progress: Progress) -> Outcome:
    plan = applied.plan
    with journal.lock(root) as held, explained():
        _refuse_unfinished(root)
        _refuse_edited(root, plan)
        _refuse_in_use(root, host, plan)
        refuse_without_room(root, plan, root / journal.HOME)
        return _carry_out(root, journal.new_entry(root, applied), progress, held)


def finish(root: Path, progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan; None where there is none.

    Raises as `apply` does, and UsageError when a rollback is unfinished instead.
    """
    # Where nothing is to be finished nothing is touched, not even the lock.
    if _to_finish(root) is None:
        return None
    with journal.lock(root) as held, explained():
        entry = _to_finish(root)
        if entry is None:
            return None
        _refuse_in_use(root, None, entry.read().plan)
        return _carry_out(root, entry, progress, held)


def _to_finish(root: Path) -> HostJournalEntry | None:
    entry = journal.newest(root)
    if entry is None or entry.state == journal.APPLIED:
        return None
    if entry.state == journal.ROLLING_BACK:
        raise UsageError(
            f"journal {entry.id} is being rolled back",
            resolution="Finish that first: wholecard-host rollback",
        )
    return entry


def _refuse_unfinished(root: Path) -> None:
    entry = journal.newest(root)
    if entry is not None and entry.state != journal.APPLIED:
        raise WholecardError(
            f"journal {entry.id} is unfinished ({entry.state})",
            resolution="Run apply again to finish it, or rollback to undo it.",
        )


def _refuse_edited(root: Path, plan: Plan) -> None:
    for action in plan.actions:
        operation = operation_of(action)
        if isinstance(operation, WriteFile):
            _refuse_outside(root, operation.path)
            _is_written(root, operation)


def _refuse_outside(root: Path, path: str) -> None:
    """Raises WholecardError where a link in an image leads to a folder of the running host."""
    folder = under(root, path).parent.resolve()
    if root.resolve() not in (folder, *folder.parents):
        raise WholecardError(
            f"{path} leads out of {root}",
            f"A folder on its way is a symbolic link to {folder}.",
            "Make the link relative, or prepare the image from inside (chroot).",
        )


def _refuse_in_use(root: Path, host: Host | None, plan: Plan) -> None:
    operations = [operation_of(action) for action in plan.actions]
    addresses = [
        Address.parse(each.address)
        for each in operations
        if isinstance(each, BindDriver) and driver_of(root, each.address) != each.driver
    ]
    findings = in_use.find(root, host, addresses)
    if findings:
        raise RefusedError(
            "a function that is to change its driver is in use",
            findings,
            " ".join(dict.fromkeys(finding.fix for finding in findings)),
        )


def _carry_out(root: Path, entry: HostJournalEntry, progress: Progress, held: int) -> Outcome:
    plan = entry.read().plan
    done = entry.actions_with("done")
    seconds = []
    boot = read_boot_id(root)
    with explained(entry.advice):
        for place, action in enumerate(plan.actions):
            if place in done:
                continue
            progress(place + 1, len(plan.actions), action, None)
            with _timed() as clock, _failure_logged(entry, place):
                entry.log("begin", n=place, boot=boot)
                left = _perform(root, action, held)
                entry.log("done", n=place, **left)
            seconds.append(clock())
            progress(place + 1, len(plan.actions), action, seconds[-1])
        entry.log("applied", boot=boot)
    return Outcome(entry.id, tuple(seconds), plan.reboot_needed)


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    started = time.monotonic()
    yield lambda: round(time.monotonic() - started, 2)


@contextmanager
def _failure_logged(entry: HostJournalEntry, place: int) -> Iterator[None]:
    """What failed stands in the log as far as that can still be written."""
    try:
        with explained():
            yield
    except WholecardError as error:
        with contextlib.suppress(OSError):
            entry.log("failed", n=place, brief=error.brief)
        raise


def _perform(root: Path, action: Action, held: int) -> dict[str, Any]:
    """Do one action; doing it again after a kill is harmless. Returns what the log is to keep.

    `after` are the states of the files that it left, `mode` a written file's permission bits.
    """
    operation = operation_of(action)
    if isinstance(operation, BindDriver):
        operation.run(root)
        return {}
    if isinstance(operation, LoadModule):
        operation.run(root, (held,))
        return {}
    if isinstance(operation, RunTool):
        operation.run(root, (held,))
        outputs = expand(root, operation.outputs)
        return {"after": {path: state_of(under(root, path)) for path in outputs}}
    target = under(root, operation.path)
    if not _is_written(root, operation):
        make_directories(target.parent)
        replaced = traits_of(target) if target.exists() else None
        write_atomically(target, encode(operation.content), operation.mode, replaced)
    mode = stat.S_IMODE(target.stat().st_mode)
    return {"after": {operation.path: text_digest(operation.content)}, "mode": mode}


def _is_written(root: Path, operation: WriteFile) -> bool:
    """Whether the file is as the operation leaves it. Raises WholecardError for a third state."""
    target = under(root, operation.path)
    found = state_of(target)
    wanted = text_digest(operation.content)
    if found == wanted and stat.S_IMODE(target.stat().st_mode) == operation.mode:
        return True
    if found not in (operation.expect_sha256, wanted):
        raise WholecardError(
            f"{operation.path} was edited since the plan was made",
            difference(operation, operation.before, target),
            "Look at the change.",
        )
    return False


def difference(operation: WriteFile, expected: str | None, target: Path) -> str:
    """How the file differs from the text that was expected there, as a diff."""
    path = operation.path
    if operation.private:
        return "Its text may hold passwords and is not shown."
    found = state_of(target)
    if found is not None and (found.startswith("-> ") or found == "special"):
        return f"{path} is no plain file: {found}"
    now = None if found is None else target.read_bytes().decode("utf-8", "surrogateescape")
    return diff(expected, now, path)
