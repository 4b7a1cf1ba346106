"""`apply`: the only thing that changes a host, action by action through the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host import journal
from wholecard.host.claims import claims
from wholecard.host.files import (
    digest,
    expand,
    make_directories,
    under,
    write_atomically,
)
from wholecard.host.host import Host
from wholecard.host.journal import Applied, Entry
from wholecard.host.operations import RunTool, WriteFile, diff, operation_of, text_digest
from wholecard.host.wish import Wish

# Called before an action with None and after it with its seconds: place (from 1), of how many,
# the action, the seconds.
Progress = Callable[[int, int, Action, "float | None"], None]


@dataclass(frozen=True)
class Outcome:
    """What a run did: each action's seconds; `journal` is None where there was nothing to do."""

    journal: str | None
    seconds: tuple[float, ...]
    reboot_needed: bool

    def to_json(self) -> dict[str, object]:
        """`{"journal", "applied", "reboot_needed", "seconds"}`."""
        return {
            "journal": self.journal,
            "applied": len(self.seconds),
            "reboot_needed": self.reboot_needed,
            "seconds": list(self.seconds),
        }


def silent(place: int, count: int, action: Action, seconds: float | None) -> None:
    """A `Progress` that says nothing."""


def apply(root: Path, host: Host, wish: Wish, plan: Plan, progress: Progress = silent) -> Outcome:
    """Carry out `plan`, which was made from `host` and `wish`.

    Raises WholecardError when another run holds the lock, when an earlier run is unfinished
    (see `finish`), when a file was edited since the plan was made, or when a tool fails; in the
    last two cases the journal stays unfinished, to be finished or rolled back.
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
    with journal.lock(root):
        _refuse_unfinished(root)
        _refuse_edited(root, plan)
        return _carry_out(root, journal.new_entry(root, applied), progress)


def finish(root: Path, progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan; None where there is none.

    Raises as `apply` does, and UsageError when a rollback is unfinished instead.
    """
    with journal.lock(root):
        entry = journal.newest(root)
        if entry is None or entry.state == journal.APPLIED:
            return None
        if entry.state == journal.ROLLING_BACK:
            raise UsageError(
                f"journal {entry.id} is being rolled back",
                resolution="Finish that first: wholecard-host rollback",
            )
        return _carry_out(root, entry, progress)


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
            _state_of(root, operation)


def _carry_out(root: Path, entry: Entry, progress: Progress) -> Outcome:
    plan = entry.read().plan
    done = entry.actions_with("done")
    seconds = []
    for place, action in enumerate(plan.actions):
        if place in done:
            continue
        progress(place + 1, len(plan.actions), action, None)
        with _timed() as clock, _pointing_to(entry):
            entry.log("begin", n=place)
            after = _perform(root, action)
            entry.log("done", n=place, after=after)
        seconds.append(clock())
        progress(place + 1, len(plan.actions), action, seconds[-1])
    entry.log("applied")
    return Outcome(entry.id, tuple(seconds), plan.reboot_needed)


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    started = time.monotonic()
    yield lambda: round(time.monotonic() - started, 2)


@contextmanager
def _pointing_to(entry: Entry) -> Iterator[None]:
    """Errors inside say that the journal is unfinished, and what can be done about it."""
    try:
        yield
    except WholecardError as error:
        error.resolution = (
            f"{error.resolution} Journal {entry.id} is unfinished: mend this and run apply again, "
            "or run rollback."
        ).strip()
        raise
    except OSError as error:
        raise WholecardError(
            f"{error.filename or 'the file system'}: {error.strerror}",
            resolution=f"Journal {entry.id} is unfinished: mend this and run apply again, or run "
            "rollback.",
        ) from error


def _perform(root: Path, action: Action) -> dict[str, str | None]:
    """Do one action; doing it again after a kill is harmless. Returns digests of what it left."""
    operation = operation_of(action)
    if isinstance(operation, RunTool):
        operation.run(root)
        return {path: digest(under(root, path)) for path in expand(root, operation.outputs)}
    if not _state_of(root, operation):
        target = under(root, operation.path)
        make_directories(target.parent)
        owner = None
        if target.exists():
            status = target.stat()
            owner = (status.st_uid, status.st_gid)
        write_atomically(
            target, operation.content.encode("utf-8", "surrogateescape"), operation.mode, owner
        )
    return {operation.path: text_digest(operation.content)}


def _state_of(root: Path, operation: WriteFile) -> bool:
    """Whether the file is as the operation leaves it. Raises WholecardError for a third state."""
    target = under(root, operation.path)
    found = digest(target)
    if found == text_digest(operation.content) and target.stat().st_mode & 0o7777 == operation.mode:
        return True
    if found not in (operation.expect_sha256, text_digest(operation.content)):
        now = None if found is None else target.read_bytes().decode("utf-8", "surrogateescape")
        raise WholecardError(
            f"{operation.path} was edited since the plan was made",
            diff(operation.before, now, operation.path),
            "Look at the change.",
        )
    return False
