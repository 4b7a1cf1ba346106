"""`apply` and `rollback` of a cloud's plan: change by change, each through the journal.

Before a change is made the log has what stood there, after it that it is done. A run that was
killed between the two finds, when it is taken up, either what stood there or what it made.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.changing.journal import (
    Applied,
    CloudJournal,
    CloudJournalEntry,
    refuse_unfinished,
)
from wholecard.cloud.changing.target import place_of
from wholecard.cloud.client.errors import CloudError, GoneError, api_errors
from wholecard.cloud.operations.operation import HALF, CloudOperation, Creation, Held, State, shown
from wholecard.cloud.operations.registry import change_of
from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.transaction.journal_store import APPLIED, ROLLING_BACK
from wholecard.transaction.os_errors import explained

# Called before an action with None and after it with its seconds: place (from 1), of how many,
# the action, the seconds.
Progress = Callable[[int, int, Action, float | None], None]


@dataclass(frozen=True)
class Outcome:
    """What a run did: the journals it wrote to, each action's seconds, what was left and why."""

    journals: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """`{"journals", "applied", "seconds", "notes"}`."""
        return {
            "journals": list(self.journals),
            "applied": len(self.seconds),
            "seconds": list(self.seconds),
            "notes": list(self.notes),
        }


def silent(place: int, count: int, action: Action, seconds: float | None) -> None:
    """A `Progress` that says nothing."""


def apply(
    conn: Connection, ledger: CloudJournal, plan: Plan, site: Path, progress: Progress = silent
) -> Outcome:
    """Carry out `plan`, which was made from the file `site`.

    Before anything is touched it raises WholecardError when another run holds the lock, an earlier
    one is unfinished (see `finish`), or something was changed since the plan was made. What fails
    later raises WholecardError too; the journal is then unfinished, to be finished or rolled back.
    """
    if not plan.actions:
        return Outcome()
    with ledger.lock(), explained():
        refuse_unfinished(ledger)
        for action in plan.actions:
            change = change_of(action)
            with api_errors(conn, f"look at {action.subject}"):
                _refuse_strange(action, change.look(conn), (change.before, change.after))
        applied = Applied(plan, place_of(conn), str(site), round(time.time(), 3))
        return _carry_out(conn, ledger.begin(applied), progress)


def finish(conn: Connection, ledger: CloudJournal, progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan; None where there is none.

    Raises as `apply` does, and UsageError when a rollback is unfinished instead.
    """
    if _to_finish(ledger) is None:
        return None
    with ledger.lock(), explained():
        entry = _to_finish(ledger)
        if entry is None:
            return None
        moved = _refuse_other_cloud(conn, entry)
        return _carry_out(conn, entry, progress, moved)


def rollback(
    conn: Connection,
    ledger: CloudJournal,
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo journals that stand, finished or not, the newest first; finish an unfinished rollback.

    What is gone or cannot be undone becomes a note, and the rest is undone; a service that fails
    or does not answer stops it, and the next rollback goes on from there.

    `to` is the number of the journal as which the cloud is to stand again, 0 for none at all;
    without it the newest is undone. Every value becomes what it was when its change was begun.

    Raises UsageError when nothing stands applied or `to` is no journal that stands, and, before
    anything is touched, WholecardError when something was changed since and `discard_edits` is not
    set.
    """
    if not _to_undo(ledger, to):
        return Outcome()
    with ledger.lock(), explained():
        chosen = _to_undo(ledger, to)
        notes = [note for entry in chosen for note in _refuse_other_cloud(conn, entry)]
        if not discard_edits:
            _refuse_edited(conn, chosen)
        seconds: list[float] = []
        for entry in chosen:
            with explained(f"Journal {entry.id} is partly undone: run rollback again."):
                seconds += _play_backwards(conn, entry, progress, notes)
        return Outcome(tuple(entry.id for entry in chosen), tuple(seconds), tuple(notes))


def _to_finish(ledger: CloudJournal) -> CloudJournalEntry | None:
    standing = ledger.standing()
    if not standing or standing[-1].state == APPLIED:
        return None
    if standing[-1].state == ROLLING_BACK:
        raise UsageError(
            f"journal {standing[-1].id} is being rolled back",
            resolution="Finish that first: wholecard cloud rollback",
        )
    return standing[-1]


def _to_undo(ledger: CloudJournal, to: int | None) -> list[CloudJournalEntry]:
    standing = ledger.standing()
    if to is None:
        if not standing:
            raise UsageError(
                "nothing is applied to this cloud from here, so nothing can be rolled back",
                f"Its journals would be in {ledger.folder}.",
                "Name another folder of journals with --state.",
            )
        return [standing[-1]]
    if to and to not in [entry.number for entry in standing]:
        raise UsageError(
            f"no journal {to:04d} of this cloud stands",
            "Those that stand: " + (", ".join(each.id for each in standing) or "none") + ".",
            "Name one of these; 0 undoes all of them.",
        )
    return [entry for entry in reversed(standing) if entry.number > to]


def _refuse_other_cloud(conn: Connection, entry: CloudJournalEntry) -> tuple[str, ...]:
    """The note of what moved in the same cloud; raises WholecardError for another one."""
    place, here = entry.read().place, place_of(conn)
    lines = place.differences(here)
    if lines:
        raise WholecardError(
            f"journal {entry.id} was written for another cloud or region",
            "\n".join(lines),
            "Name the cloud that it was written for, or another folder of journals (--state).",
        )
    moved = place.moved(here)
    return () if moved is None else (f"journal {entry.id}: {moved}",)


def _refuse_strange(action: Action, found: State, allowed: Sequence[State]) -> None:
    """Raises CloudError where a value is none of those allowed."""
    lines = [
        f"{name} is {shown(value)}, and not {' or '.join(shown(each[name]) for each in allowed)}"
        for name, value in found.items()
        if value not in [each[name] for each in allowed]
    ]
    if lines:
        raise CloudError(
            f"{action.kind} {action.subject}: it was changed since the plan was made",
            "\n".join(lines),
            "Look at the change, and plan anew.",
        )


def _carry_out(
    conn: Connection, entry: CloudJournalEntry, progress: Progress, notes: tuple[str, ...] = ()
) -> Outcome:
    actions = entry.read().plan.actions
    done = entry.actions_with("done")
    seconds = []
    with explained(entry.advice):
        for place, action in enumerate(actions):
            if place in done:
                continue
            progress(place + 1, len(actions), action, None)
            started = time.monotonic()
            with _failure_logged(conn, entry, place, action):
                _perform(conn, entry, place, action)
            seconds.append(round(time.monotonic() - started, 2))
            progress(place + 1, len(actions), action, seconds[-1])
        entry.log("applied")
    return Outcome((entry.id,), tuple(seconds), notes)


@contextmanager
def _failure_logged(
    conn: Connection, entry: CloudJournalEntry, place: int, action: Action
) -> Iterator[None]:
    """What failed stands in the log as far as that can still be written."""
    try:
        with explained(), api_errors(conn, f"{action.kind} {action.subject}"):
            yield
    except WholecardError as error:
        with contextlib.suppress(OSError):
            entry.log("failed", n=place, brief=error.brief)
        raise


def _perform(conn: Connection, entry: CloudJournalEntry, place: int, action: Action) -> None:
    """Make one change; what of it stands already is not made again."""
    change = change_of(action)
    found = change.look(conn)
    first = entry.found(place) is None
    if first:
        _refuse_strange(action, found, (change.before, change.after))
        holder = change.holder(conn) if isinstance(change, Held) else None
        entry.log("begin", n=place, found=found, **_known(id=holder))
    else:
        # Taken up after a kill: what was half made then is ours.
        _refuse_strange(action, found, (change.before, change.after, _all(found, HALF)))
    missing = {name: value for name, value in change.after.items() if found[name] != value}
    if not isinstance(change, Creation):
        if missing:
            _put(conn, change, missing, entry.holder(place))
        entry.log("done", n=place)
        return
    made = change.make(conn) if missing else None
    # What stood there before we came, or came before we made it, is not ours, though as wished.
    theirs = first and made is None
    if made is None and not theirs and entry.found(place) != change.after:
        made = change.made(conn)
    entry.log("done", n=place, **_known(id=made, theirs=theirs or None))


def _put(conn: Connection, change: CloudOperation, state: State, holder: str | None) -> str | None:
    return change.put(conn, state, holder) if isinstance(change, Held) else change.put(conn, state)


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class _Left:
    """An action that was begun and is not undone, with what stood there before.

    `made` is the id of what it made, `holder` of what has the values that it changed, as far as
    known; `half` is whether it was cut off.
    """

    place: int
    action: Action
    before: State
    made: str | None
    holder: str | None
    half: bool


def _left(entry: CloudJournalEntry) -> list[_Left]:
    """The actions that are to be undone, last first."""
    actions = entry.read().plan.actions
    done, undone = entry.actions_with("done"), entry.actions_with("undone")
    left = []
    for place in sorted(entry.actions_with("begin"), reverse=True):
        action, found = actions[place], entry.found(place)
        if place not in undone and found is not None:
            before = change_of(action).after if entry.theirs(place) else found
            ids = entry.made(place), entry.holder(place)
            left.append(_Left(place, action, before, *ids, half=place not in done))
    return left


def _refuse_edited(conn: Connection, chosen: Sequence[CloudJournalEntry]) -> None:
    """Each value as it is, or as the journals undone before will have left it."""
    becomes: dict[tuple[str, str, str], str | None] = {}
    for entry in chosen:
        for left in _left(entry):
            action, before, change = left.action, left.before, change_of(left.action)
            with api_errors(conn, f"look at {action.subject}"):
                now = change.look(conn)
            key = (change.op, action.subject)
            seen = {name: becomes.get((*key, name), value) for name, value in now.items()}
            allowed = [before, change.after]
            if left.half:
                allowed.append(_all(seen, HALF))
            if seen == _all(seen, None):
                # So it is where somebody deleted the object: nothing of ours is left of it.
                allowed.append(seen)
            try:
                _refuse_strange(action, seen, allowed)
            except CloudError as error:
                error.brief = f"{action.kind} {action.subject}: it was changed since it was applied"
                error.args = (error.brief,)
                error.resolution = "Keep what you need of it and run rollback --discard-edits."
                raise
            becomes.update({(*key, name): value for name, value in before.items()})


def _play_backwards(
    conn: Connection, entry: CloudJournalEntry, progress: Progress, notes: list[str]
) -> list[float]:
    entry.log("rollback")
    left = _left(entry)
    seconds: list[float] = []
    for number, each in enumerate(left, 1):
        progress(number, len(left), each.action, None)
        started = time.monotonic()
        note = _undo(conn, each)
        entry.log("undone", n=each.place, **({} if note is None else {"note": note}))
        notes += [] if note is None else [note]
        seconds.append(round(time.monotonic() - started, 2))
        progress(number, len(left), each.action, seconds[-1])
    entry.log("rolled-back")
    return seconds


def _undo(conn: Connection, left: _Left) -> str | None:
    """Undo an action; returns a note where something had to be left as it is."""
    what = f"{left.action.kind} {left.action.subject}"
    try:
        with api_errors(conn, f"undo {what}"):
            return _put_back(conn, change_of(left.action), left)
    except GoneError as gone:
        return f"{gone.brief}: nothing of it is put back"
    except CloudError as error:
        # What may pass keeps the journal for the next rollback; what lasts keeps nothing back.
        if not error.lasting:
            raise
        said = " ".join(error.details.split())
        return f"{what} is not undone: {said or error.brief}"


def _put_back(conn: Connection, change: CloudOperation, left: _Left) -> str | None:
    now = change.look(conn)
    # What of an object was half made is gone with it.
    target = {name: None if value == HALF else value for name, value in left.before.items()}
    wrong = {name: value for name, value in target.items() if now[name] != value}
    if not wrong:
        return None
    if isinstance(change, Creation):
        # What stood there before us and went is not made anew, nor is what came for it deleted.
        gone = None in wrong.values()
        return change.unmake(conn, left.made, left.half) if gone else None
    return _put(conn, change, wrong, left.holder)


def _all(state: State, value: str | None) -> State:
    return dict.fromkeys(state, value)
