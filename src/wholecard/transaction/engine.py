"""Plans applied, finished and rolled back through a journal: one engine for every system.

Before an action the log has what was there, after it that it is done. A run that was killed
between the two finds, when it is taken up again, what was there, what the action left, or half of
that; an operation can be done and undone from each of them.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable, Generic, Optional, TypeVar

from wholecard.core import Action, Plan, State, Step, UsageError, WholecardError
from wholecard.core.plan import HALF
from wholecard.transaction.journal_store import APPLIED, ROLLING_BACK, Applied, Entry, Journal
from wholecard.transaction.os_errors import explained
from wholecard.transaction.planned_undo import PlannedUndo

# Called before an action with None and after it with its seconds: its number (from 1), of how many,
# the action, the seconds.
Progress = Callable[[int, int, Action, Optional[float]], None]

Context = TypeVar("Context")

# The descriptor of a context that only looks.
_NO_LOCK = -1


@dataclass(frozen=True)
class Outcome:
    """What a run did: the journals it wrote to, each action's seconds, what was left and why."""

    journals: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    reboot_needed: bool = False

    @property
    def journal(self) -> str | None:
        """The last of the journals, None where there was nothing to do."""
        return self.journals[-1] if self.journals else None

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


@dataclass(frozen=True)
class System(ABC, Generic[Entry, Context]):
    """What plans change, a host or a cloud: its journal, and what it alone refuses or needs."""

    journal: Journal[Entry]

    @abstractmethod
    def context(self, descriptor: int, entry: Entry | None) -> Context:
        """What its operations need, while `descriptor` holds the lock.

        With `entry` it is for undoing that journal. Raises WholecardError where it is damaged.
        """

    @abstractmethod
    def begin(self, applied: Any) -> Entry:
        """Begin a journal of its own `Applied`; it appears whole, before anything is changed."""

    def errors(self, doing: str) -> AbstractContextManager[None]:  # noqa: ARG002 -- a cloud's need
        """What an operation raises inside becomes WholecardError: "cannot", then `doing`."""
        return explained()

    def record(self) -> dict[str, Any]:
        """What the log keeps of the system with each action begun and each end of a run."""
        return {}

    def refuse_apply(self, plan: Plan) -> None:
        """Raises WholecardError where the plan must not be applied, before anything is touched."""

    def refuse_finish(self, plan: Plan) -> None:
        """Raises WholecardError where an interrupted apply must not be finished."""

    def refuse_rollback(self, journals: Sequence[tuple[Context, Sequence[Step]]]) -> None:
        """Raises WholecardError where these steps must not be undone."""

    def notes(self, entry: Entry) -> tuple[str, ...]:  # noqa: ARG002 -- a cloud's need
        """What to tell before a journal is played again. Raises WholecardError for another's."""
        return ()

    def tidy(self, context: Context) -> None:
        """Remove what undone actions left behind that nobody uses."""


def silent(number: int, count: int, action: Action, seconds: float | None) -> None:
    """A `Progress` that says nothing."""


def apply(system: System[Entry, Context], applied: Applied, progress: Progress = silent) -> Outcome:
    """Apply `applied.plan`.

    Before anything is touched it raises WholecardError when another run holds the lock, an earlier
    one is unfinished (see `finish`), something was changed since the plan was made, or the system
    refuses it. What fails later raises WholecardError too; the journal is then unfinished, to be
    finished or rolled back.
    """
    if not applied.plan.actions:
        return Outcome()
    with system.journal.lock() as descriptor, explained():
        _refuse_unfinished(system.journal)
        context = system.context(descriptor, None)
        for number, action in enumerate(applied.plan.actions):
            with system.errors(f"read the state of {action.subject}"):
                _look(context, Step(number, action))
        system.refuse_apply(applied.plan)
        return _play(system, system.begin(applied), context, progress)


def finish(system: System[Entry, Context], progress: Progress = silent) -> Outcome | None:
    """Finish an apply that was killed or failed, by its own plan; None where there is none.

    Raises as `apply` does, and UsageError when a rollback is unfinished instead.
    """
    # Where nothing is to be finished nothing is touched, not even the lock.
    if _to_finish(system.journal) is None:
        return None
    with system.journal.lock() as descriptor, explained():
        entry = _to_finish(system.journal)
        if entry is None:
            return None
        notes = system.notes(entry)
        system.refuse_finish(entry.read().plan)
        return _play(system, entry, system.context(descriptor, None), progress, notes)


def rollback(
    system: System[Entry, Context],
    progress: Progress = silent,
    discard_edits: bool = False,
    to: int | None = None,
) -> Outcome:
    """Undo journals that are in effect, finished or not; finish an unfinished rollback.

    `to` is the number of the journal whose state is to be that of the system again, 0 for the
    state before all of them: every newer journal is undone, the newest first. Without it the newest
    is undone.

    Raises UsageError when nothing is applied or `to` is no journal in effect, and, before anything
    is touched, WholecardError when something was changed since and `discard_edits` is not set, a
    journal is damaged, or the system refuses it.
    """
    # Where nothing is to be undone nothing is touched, not even the lock.
    if not _to_undo(system.journal, to):
        return Outcome()
    with system.journal.lock() as descriptor, explained():
        entries = _to_undo(system.journal, to)
        notes = [note for entry in entries for note in system.notes(entry)]
        journals = [(system.context(descriptor, entry), entry.steps_to_undo()) for entry in entries]
        if not discard_edits:
            _refuse_changed_since(system, journals)
        system.refuse_rollback(journals)
        seconds: list[float] = []
        for entry, (context, steps) in zip(entries, journals):
            with explained(f"Journal {entry.id} is partly undone: run rollback again."):
                seconds += _play_backwards(system, entry, context, steps, progress)
            notes += entry.undo_notes()
        return Outcome(
            journals=tuple(entry.id for entry in entries),
            seconds=tuple(seconds),
            notes=tuple(notes),
            reboot_needed=any(entry.read().plan.reboot_needed for entry in entries),
        )


def plan_rollback(system: System[Entry, Context], to: int | None = None) -> PlannedUndo:
    """What `rollback` would do, and in which order. Nothing is changed, and no lock is taken.

    Raises as `rollback` does, but for what was changed since, which it returns.
    """
    entries = _to_undo(system.journal, to)
    journals = [(system.context(_NO_LOCK, entry), entry.steps_to_undo()) for entry in entries]
    edited: list[str] = []
    for context, step, former, state in _present(system, journals):
        if _is_changed(state, step, former):
            differing = step.action.do.difference(context, state, [step.action.do.state_after])
            edited.append(f"{step.name} was changed since it was applied\n{differing}".rstrip())
    return PlannedUndo(
        tuple(
            (entry.id, step.action)
            for entry, (context, steps) in zip(entries, journals)
            for step in _undo_order(context, steps)
        ),
        any(entry.read().plan.reboot_needed for entry in entries),
        tuple(edited),
    )


def _refuse_unfinished(journal: Journal[Entry]) -> None:
    entry = journal.newest()
    if entry is not None and entry.state != APPLIED:
        raise WholecardError(
            f"journal {entry.id} is unfinished ({entry.state})",
            resolution="Run apply again to finish it, or rollback to undo it.",
        )


def _to_finish(journal: Journal[Entry]) -> Entry | None:
    entry = journal.newest()
    if entry is None or entry.state == APPLIED:
        return None
    if entry.state == ROLLING_BACK:
        raise UsageError(
            f"journal {entry.id} is being rolled back",
            resolution=f"Finish that first: {journal.command} {journal.undo_words}",
        )
    return entry


def _to_undo(journal: Journal[Entry], to: int | None) -> list[Entry]:
    in_effect = journal.in_effect()
    if to is None:
        if not in_effect:
            raise UsageError(
                f"nothing is applied {journal.system}, so nothing can be rolled back",
                f"Its journals would be in {journal.folder}.",
                journal.elsewhere,
            )
        return [in_effect[-1]]
    if to and to not in [entry.number for entry in in_effect]:
        raise UsageError(
            f"no journal {to:04d} is in effect {journal.system}",
            f"In effect: {', '.join(entry.id for entry in in_effect) or 'none'}.",
            "Name one of these; 0 undoes all of them.",
        )
    return [entry for entry in reversed(in_effect) if entry.number > to]


def _look(context: Context, step: Step) -> State:
    """The present values of a step that is to be done.

    Raises WholecardError where one is neither what the plan found nor what the step leaves.
    """
    operation = step.action.do
    state = operation.look(context)
    expected = [operation.state_before, operation.state_after]
    if not _is_expected(state, expected, step):
        raise WholecardError(
            f"{step.name} was changed since the plan was made",
            operation.difference(context, state, expected),
            "Look at the change, and plan again.",
        )
    return state


def _is_expected(state: State, expected: Sequence[State], step: Step) -> bool:
    """Whether each value is expected; a name that the first state lacks may have any value."""
    return all(
        value in [other.get(name) for other in expected] or (step.half and value == HALF)
        for name, value in state.items()
        if name in expected[0]
    )


def _refuse_changed_since(
    system: System[Entry, Context], journals: Sequence[tuple[Context, Sequence[Step]]]
) -> None:
    """Raises WholecardError where a value is neither what apply left nor what it found."""
    for context, step, former, state in _present(system, journals):
        if _is_changed(state, step, former):
            operation = step.action.do
            raise WholecardError(
                f"{step.name} was changed since it was applied",
                operation.difference(context, state, [operation.state_after, former]),
                f"Copy what you need from it, then run {system.journal.discard_command}, which "
                "overwrites it.",
            )


def _is_changed(state: State, step: Step, former: State) -> bool:
    # Where an object was deleted, all of its values are gone: nothing is left to protect.
    gone = all(value is None for value in state.values())
    return not gone and not _is_expected(state, [former, step.action.do.state_after], step)


def _present(
    system: System[Entry, Context], journals: Sequence[tuple[Context, Sequence[Step]]]
) -> Iterator[tuple[Context, Step, State, State]]:
    """Each step to be undone with what undoing gives back, and its values when it is undone.

    Those are what they are now, or what the journals undone before will have left.
    """
    becomes: dict[tuple[str, str, str], str | None] = {}
    for context, steps in journals:
        for step in reversed(steps):
            operation = step.action.do
            former = operation.former(context, step)
            with system.errors(f"read the state of {step.action.subject}"):
                present = operation.look(context)
            keys = {name: (operation.kind, step.action.subject, name) for name in present}
            state = {name: becomes.get(keys[name], value) for name, value in present.items()}
            yield context, step, former, state
            becomes.update({keys[name]: former[name] for name in present if name in former})


def _play(
    system: System[Entry, Context],
    entry: Entry,
    context: Context,
    progress: Progress,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Do what of a journal is not done yet."""
    steps = entry.steps()
    seconds: list[float] = []
    with explained(entry.advice):
        for step in steps:
            if step.done is None:
                with _timed(progress, step.number + 1, len(steps), step.action, seconds):
                    _do(system, entry, context, step)
        entry.log("applied", **system.record())
    reboot_needed = entry.read().plan.reboot_needed
    return Outcome((entry.id,), tuple(seconds), notes, reboot_needed)


def _do(system: System[Entry, Context], entry: Entry, context: Context, step: Step) -> None:
    """Do one step. What failed is in the log too, as far as that can still be written."""
    operation = step.action.do
    try:
        with system.errors(step.name):
            state = _look(context, step)
            # What was there first is what is given back: a run that goes on adds nothing to it.
            before = {} if step.begun else operation.begin(context, state)
            entry.log("begin", n=step.number, **system.record(), **before)
            begun = {**step.begun, **system.record(), **before}

            def keep(more: Mapping[str, Any]) -> None:
                entry.log("begin", n=step.number, **more)

            step = replace(step, begun=begun, present=state, resumed=step.half, keep=keep)
            kept = operation.do(context, step)
            entry.log("done", n=step.number, **kept)
    except WholecardError as error:
        with contextlib.suppress(OSError):
            entry.log("failed", n=step.number, brief=error.brief)
        raise


def _play_backwards(
    system: System[Entry, Context],
    entry: Entry,
    context: Context,
    steps: Sequence[Step],
    progress: Progress,
) -> list[float]:
    """Undo the steps in their order."""
    entry.log("rollback")
    order = _undo_order(context, steps)
    seconds: list[float] = []
    for number, step in enumerate(order, 1):
        with _timed(progress, number, len(order), step.action, seconds):
            note = step.action.do.undo(context, step)
            entry.log("undone", n=step.number, **({} if note is None else {"note": note}))
    system.tidy(context)
    entry.log("rolled-back", **system.record())
    return seconds


def _undo_order(context: Context, steps: Sequence[Step]) -> list[Step]:
    """The last first; then those that need what the earlier ones give back."""
    steps = [replace(step, late=step.action.do.is_late(context, step)) for step in steps]
    late = [step for step in steps if step.late]
    return [
        *(step for step in reversed(steps) if not step.late),
        *sorted(late, key=lambda step: step.action.do.is_undone_last),
    ]


@contextmanager
def _timed(
    progress: Progress, number: int, count: int, action: Action, seconds: list[float]
) -> Iterator[None]:
    """Tell of an action before and after, and add its seconds."""
    progress(number, count, action, None)
    started = time.monotonic()
    yield
    seconds.append(round(time.monotonic() - started, 2))
    progress(number, count, action, seconds[-1])
