"""Numbered folders with a log each: what every journal of ours is made of.

A folder appears complete, under the next number, before the first change is made; from then on
its `log.jsonl` says after every kill how far the run came.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

from wholecard.core import WholecardError
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import (
    append_line,
    make_directories,
    remove_tree,
    sync_directory,
    write_atomically,
)
from wholecard.transaction.checksummed import DAMAGE
from wholecard.transaction.locks import locked
from wholecard.transaction.os_errors import explained

APPLYING = "applying"
APPLIED = "applied"
ROLLING_BACK = "rolling-back"
ROLLED_BACK = "rolled-back"

LOG = "log.jsonl"

# The log's events that change a journal's state; the others are about one action.
_STATES = {"applied": APPLIED, "rollback": ROLLING_BACK, "rolled-back": ROLLED_BACK}
_OF_ACTIONS = ("begin", "done", "undone", "failed")


@dataclass(frozen=True)
class JournalEntry:
    """One journal, by its number. Everything it says is read from its folder each time."""

    number: int
    directory: Path

    @property
    def id(self) -> str:
        """`0001`, as commands print it."""
        return f"{self.number:04d}"

    @property
    def advice(self) -> str:
        """What can be done where its apply was broken off."""
        return f"Journal {self.id} is unfinished: mend this and run apply again, or run rollback."

    def log(self, event: str, **fields: Any) -> None:
        """Append one record and make it last before returning."""
        record = {"event": event, "time": round(time.time(), 3), **fields}
        append_line(self.directory / LOG, json.dumps(record).encode())

    def records(self) -> tuple[dict[str, Any], ...]:
        """The log so far, oldest first; half a line that a kill left is passed over.

        Raises WholecardError where a line is something else.
        """
        path = self.directory / LOG
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise WholecardError(f"cannot read {path}", str(error), "Run it as root.") from error
        # A record counts with its end of line; what stands behind the last one is half a record.
        return tuple(record for line in lines[:-1] for record in _parse(path, line))

    def refuse_strange(self, actions: int) -> None:
        """Raises WholecardError where the log speaks of an action that a plan of so many lacks."""
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

    def actions_with(self, event: str) -> dict[int, dict[str, Any]]:
        """The last record of `event` for each action that has one, by the action's place."""
        return {record["n"]: record for record in self.records() if record["event"] == event}

    def unfinished(self, actions: int) -> int | None:
        """The place of the action at which a run that was broken off stopped, None for none."""
        places = range(actions)
        undone = self.actions_with("undone")
        if self.state == APPLYING:
            done = set(self.actions_with("done")) - set(undone)
            return next((place for place in places if place not in done), None)
        if self.state == ROLLING_BACK:
            begun = self.actions_with("begin")
            return next((n for n in reversed(places) if n in begun and n not in undone), None)
        return None


def _parse(path: Path, line: bytes) -> Iterator[dict[str, Any]]:
    # An older release ended half a record of a killed run with a new line and went on behind it.
    if not line or (line.startswith(b'{"event"') and not line.endswith(b"}")):
        return
    try:
        record = json.loads(line)
        whole = _is_record(record)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise WholecardError(f"{path} is damaged", f"No record: {line[:80]!r}", DAMAGE)
    yield record


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("event"), str)
        and (record["event"] not in _OF_ACTIONS or type(record.get("n")) is int)
        and isinstance(record.get("after", {}), dict)
    )


_Kind = TypeVar("_Kind", bound=JournalEntry)


def entries_in(folder: Path, kind: Callable[[int, Path], _Kind]) -> tuple[_Kind, ...]:
    """All journals in `folder`, oldest first."""
    found = folder.glob("[0-9]*")
    places = (place for place in found if re.fullmatch(r"[0-9]{4,}", place.name))
    return tuple(
        sorted((kind(int(place.name), place) for place in places), key=lambda each: each.number)
    )


def begin(folder: Path, kind: Callable[[int, Path], _Kind], fill: Callable[[Path], None]) -> _Kind:
    """Begin a journal in `folder`: `fill` writes what it is about, then it gets its number.

    What fails before that leaves no trace, for nothing was changed yet.
    """
    make_directories(folder)
    made = folder / "new"
    if made.exists():
        # A run that was killed here had changed nothing yet.
        remove_tree(made)
    try:
        syscalls.mkdir(made, 0o755)
        fill(made)
        write_atomically(made / LOG, b"", 0o644)
        before = entries_in(folder, kind)
        number = before[-1].number + 1 if before else 1
        entry = kind(number, folder / f"{number:04d}")
        syscalls.rename(made, entry.directory)
        with explained(entry.advice):
            sync_directory(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            if made.exists():
                remove_tree(made)
        raise
    return entry


@contextmanager
def lock(home: Path, brief: str, resolution: str) -> Iterator[int]:
    """Keep a second apply or rollback out until this one has ended, see `locks.locked`."""
    with explained():
        make_directories(home)
    with locked(home / "lock", brief, resolution) as descriptor:
        yield descriptor
