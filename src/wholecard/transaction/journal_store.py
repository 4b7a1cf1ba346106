"""Numbered folders with a log each: what every journal is made of.

A folder appears complete, under the next number, before the first change is made; from then on
its `log.jsonl` says after every kill how far the run came.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ClassVar, Generic, Protocol, TypeVar

from wholecard.core import Plan, Step, WholecardError
from wholecard.transaction import atomic_files, syscalls
from wholecard.transaction.checksummed import DAMAGE, read_plain
from wholecard.transaction.locks import locked
from wholecard.transaction.os_errors import explained

APPLYING = "applying"
APPLIED = "applied"
ROLLING_BACK = "rolling-back"
ROLLED_BACK = "rolled-back"

LOG = "log.jsonl"

# The log's events that change a journal's state; the others are about one action.
_STATES = {"applied": APPLIED, "rollback": ROLLING_BACK, "rolled-back": ROLLED_BACK}
_ACTION_EVENTS = ("begin", "done", "undone", "failed")


class Applied(Protocol):
    """What one apply was about."""

    @property
    def plan(self) -> Plan:
        """What was planned."""

    @property
    def time(self) -> float:
        """When, in seconds since the epoch."""

    def about(self) -> dict[str, Any]:
        """What `status` says of it beside the journal's number and state."""


@dataclass(frozen=True)
class JournalEntry(ABC):
    """One journal, by its number. Everything about it is read from its folder each time."""

    number: int
    directory: Path

    @abstractmethod
    def read(self) -> Applied:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""

    @property
    def id(self) -> str:
        """`0001`, as commands print it."""
        return f"{self.number:04d}"

    @property
    def advice(self) -> str:
        """What can be done where its apply was interrupted."""
        return f"Journal {self.id} is unfinished: fix this and run apply again, or run rollback."

    def log(self, event: str, **fields: Any) -> None:
        """Append one record and make it last before returning."""
        record = {"event": event, "time": round(time.time(), 3), **fields}
        atomic_files.append_line(self.directory / LOG, json.dumps(record).encode())

    def records(self) -> tuple[dict[str, Any], ...]:
        """The log so far, oldest first; half a line that a kill left is passed over.

        Raises WholecardError where a line is something else.
        """
        path = self.directory / LOG
        try:
            lines = read_plain(path).split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise WholecardError(f"cannot read {path}", str(error), "Run it as root.") from error
        # A record counts with its end of line; what is behind the last one is half a record.
        return tuple(_parse(path, line) for line in lines[:-1])

    def refuse_strange(self, actions: int) -> None:
        """Raises WholecardError where the log has an action that a plan of so many lacks."""
        for record in self.records():
            if record.get("n", 0) not in range(actions):
                raise WholecardError(
                    f"{self.directory / LOG} is damaged", f"no such action: {record}", DAMAGE
                )

    @property
    def state(self) -> str:
        """`applying`, `applied`, `rolling-back` or `rolled-back`."""
        state = APPLYING
        for record in self.records():
            state = _STATES.get(record["event"], state)
        return state

    @property
    def since(self) -> float:
        """When it came into its state, in seconds since the epoch."""
        times = [record["time"] for record in self.records() if record["event"] in _STATES]
        return float(times[-1]) if times else self.read().time

    def actions_with(self, event: str) -> dict[int, dict[str, Any]]:
        """The records of `event` by the action's number; of several, the later ones' values."""
        actions: dict[int, dict[str, Any]] = {}
        for record in self.records():
            if record["event"] == event:
                actions.setdefault(record["n"], {}).update(record)
        return actions

    def steps(self) -> tuple[Step, ...]:
        """Each action with what the log has of it, in the plan's order."""
        begun, done = self.actions_with("begin"), self.actions_with("done")
        return tuple(
            Step(number, action, begun.get(number, {}), done.get(number))
            for number, action in enumerate(self.read().plan.actions)
        )

    def steps_to_undo(self) -> tuple[Step, ...]:
        """Those that were begun and are not undone, in the plan's order."""
        undone = self.actions_with("undone")
        return tuple(step for step in self.steps() if step.begun and step.number not in undone)

    def undo_notes(self) -> list[str]:
        """What was left as it is, of this rollback and of the interrupted one that it finished."""
        undone = self.actions_with("undone").values()
        return [str(record["note"]) for record in undone if "note" in record]

    def unfinished(self) -> Step | None:
        """The action at which an interrupted run stopped, None for none."""
        if self.state == APPLYING:
            undone = self.actions_with("undone")
            return next(
                (step for step in self.steps() if step.done is None or step.number in undone), None
            )
        if self.state == ROLLING_BACK:
            return next(reversed(self.steps_to_undo()), None)
        return None


def _parse(path: Path, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
        whole = _is_record(record)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise WholecardError(f"{path} is damaged", f"No record: {line[:80]!r}", DAMAGE)
    fields: dict[str, Any] = record
    return fields


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("event"), str)
        and (record["event"] not in _ACTION_EVENTS or type(record.get("n")) is int)
        and isinstance(record.get("after", {}), dict)
    )


Entry = TypeVar("Entry", bound=JournalEntry)


@dataclass(frozen=True)
class Journal(ABC, Generic[Entry]):
    """All journals of one system, in `folder`, which may be missing.

    `command` and `system` are for messages: "Finish it: wholecard-host rollback", "on this host".
    """

    command: ClassVar[str]
    system: ClassVar[str]
    # What a person can do where the journals of another folder were meant.
    elsewhere: ClassVar[str] = ""
    # How a rollback is called beside `command`, and one that overwrites later edits.
    undo_words: ClassVar[str] = "rollback"
    discard_command: ClassVar[str] = "rollback --discard-edits"

    folder: Path

    @property
    def lock_folder(self) -> Path:
        """Where the lock is."""
        return self.folder

    @abstractmethod
    def entry(self, number: int, directory: Path) -> Entry:
        """The journal with this number."""

    @abstractmethod
    def nothing(self) -> dict[str, Any]:
        """`Applied.about` where nothing is applied."""

    def entries(self) -> tuple[Entry, ...]:
        """All journals, oldest first. Raises WholecardError where one is a symbolic link."""
        folders = [
            folder
            for folder in self.folder.glob("[0-9]*")
            if re.fullmatch(r"[0-9]{4,9}", folder.name)
        ]
        for folder in folders:
            # It would lead to a journal that is not this system's, out of an image perhaps.
            with explained():
                for path in (folder, folder / "before"):
                    if path.is_symlink():
                        raise WholecardError(f"{path} is a symbolic link", "", DAMAGE)
        entries = (self.entry(int(folder.name), folder) for folder in folders)
        return tuple(sorted(entries, key=lambda entry: entry.number))

    def in_effect(self) -> tuple[Entry, ...]:
        """Those that were not rolled back, oldest first."""
        return tuple(entry for entry in self.entries() if entry.state != ROLLED_BACK)

    def newest(self) -> Entry | None:
        """The last one that was not rolled back."""
        return next(reversed(self.in_effect()), None)

    def add(self, fill: Callable[[Path], None], private: bool = False) -> Entry:
        """Begin a journal: `fill` writes what it is about into a folder, which gets its number.

        Nobody but its owner looks into a `private` one. What fails before that leaves no trace, for
        nothing was changed yet.
        """
        atomic_files.make_directories(self.folder)
        draft = self.folder / "new"
        # A run that was killed here had changed nothing yet.
        atomic_files.remove_tree(draft)
        try:
            syscalls.mkdir(draft, 0o700 if private else 0o755)
            fill(draft)
            atomic_files.write_atomically(draft / LOG, b"", 0o644)
            number = max((entry.number for entry in self.entries()), default=0) + 1
            entry = self.entry(number, self.folder / f"{number:04d}")
            syscalls.rename(draft, entry.directory)
            with explained(entry.advice):
                atomic_files.sync_directory(self.folder)
        except BaseException:
            with contextlib.suppress(OSError):
                atomic_files.remove_tree(draft)
            raise
        return entry

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Keep a second apply or rollback out until this one has ended, see `locks.locked`."""
        with explained():
            atomic_files.make_directories(self.lock_folder)
        with locked(
            self.lock_folder / "lock",
            f"another apply or rollback is running {self.system}",
            f"Wait until it has ended; `{self.command} status` shows its progress.",
        ) as descriptor:
            yield descriptor

    def status(self) -> dict[str, Any]:
        """What was applied, as plain data, by the journals alone.

        `{"state", "journal", ..., "done", "actions", "next", "failed", "since", "history"}` with
        what `Applied.about` has; `state` is `clean` where nothing is applied, and `since` when it
        became so. `next` names the action at which an unfinished run stopped, and `failed` says
        why, where it could still say so.
        """
        entries = [(entry, entry.state, entry.read()) for entry in self.entries()]
        history = [
            {
                "journal": entry.id,
                "state": state,
                **applied.about(),
                "time": applied.time,
                "since": entry.since,
            }
            for entry, state, applied in entries
        ]
        status: dict[str, Any] = {
            "state": "clean",
            "journal": None,
            **self.nothing(),
            "done": 0,
            "actions": 0,
            "next": None,
            "failed": None,
            "since": None,
        }
        for entry, state, applied in reversed(entries):
            if state != ROLLED_BACK:
                done = set(entry.actions_with("done")) - set(entry.actions_with("undone"))
                stopped = entry.unfinished()
                failed = entry.actions_with("failed").get(stopped.number, {}) if stopped else {}
                status.update(
                    state=state,
                    journal=entry.id,
                    **applied.about(),
                    done=len(done),
                    actions=len(applied.plan.actions),
                    next=stopped.name if stopped else None,
                    failed=failed.get("brief"),
                    since=entry.since,
                )
                break
        return {**status, "history": history}
