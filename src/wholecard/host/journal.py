"""The journal: what was planned, what stood there before, and how far it came.

`var/lib/wholecard/journal/NNNN/` holds `plan.json`, `before/` and `log.jsonl`. The folder appears
complete, with the plan and all backups, before the first change is made; from then on the log
says after every kill where the host stands. A journal that was rolled back stays as history.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Plan, WholecardError
from wholecard.host.backup import Backup, read_backup, take_backup
from wholecard.host.files import make_directories, sync_directory, write_atomically
from wholecard.host.operations import plan_from_json

HOME = Path("var/lib/wholecard")
JOURNAL = HOME / "journal"

APPLYING = "applying"
APPLIED = "applied"
ROLLING_BACK = "rolling-back"
ROLLED_BACK = "rolled-back"

# The log's events that change a journal's state; the others are about one action.
_STATES = {"applied": APPLIED, "rollback": ROLLING_BACK, "rolled-back": ROLLED_BACK}


@dataclass(frozen=True)
class Applied:
    """What one apply was about: the plan, the slots of the wish, and the boot it was made in."""

    plan: Plan
    cards: tuple[str, ...]
    functions: tuple[str, ...]
    boot_id: str
    time: float


@dataclass(frozen=True)
class Entry:
    """One journal, by its number. Everything it says is read from its folder each time."""

    number: int
    directory: Path

    @property
    def id(self) -> str:
        """`0001`, as commands print it."""
        return f"{self.number:04d}"

    def read(self) -> Applied:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""
        try:
            data = json.loads((self.directory / "plan.json").read_bytes())
            return Applied(
                plan=plan_from_json(data["plan"]),
                cards=tuple(data["cards"]),
                functions=tuple(data["functions"]),
                boot_id=data["boot_id"],
                time=data["time"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WholecardError(
                f"cannot read journal {self.id}", f"{self.directory}: {error}", "Run it as root."
            ) from error

    def backup(self) -> Backup:
        """What stood there before."""
        return read_backup(self.directory / "before")

    def log(self, event: str, **fields: Any) -> None:
        """Append one record and make it last before returning."""
        record = {"event": event, "time": round(time.time(), 3), **fields}
        path = self.directory / "log.jsonl"
        # A run killed in the middle of a record leaves half a line; ours must not join it.
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("ab") as stream:
            stream.write(b"\n" * torn + json.dumps(record).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        sync_directory(self.directory)

    def records(self) -> tuple[dict[str, Any], ...]:
        """The log so far, oldest first; half a line that a kill left is passed over."""
        try:
            lines = (self.directory / "log.jsonl").read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        return tuple(record for line in lines for record in _parse(line))

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


def _parse(line: bytes) -> Iterator[dict[str, Any]]:
    try:
        record = json.loads(line)
    except ValueError:
        return
    if isinstance(record, dict) and "event" in record:
        yield record


def entries(root: Path) -> tuple[Entry, ...]:
    """All journals under `root`, oldest first."""
    found = (root / JOURNAL).glob("[0-9]*")
    numbered = (place for place in found if re.fullmatch(r"[0-9]{4,}", place.name))
    return tuple(
        sorted((Entry(int(place.name), place) for place in numbered), key=lambda each: each.number)
    )


def newest(root: Path) -> Entry | None:
    """The last journal that was not rolled back: what the host stands on."""
    standing = [entry for entry in entries(root) if entry.state != ROLLED_BACK]
    return standing[-1] if standing else None


def new_entry(root: Path, applied: Applied) -> Entry:
    """Begin a journal: the plan and the backups are written, then the folder gets its name."""
    make_directories(root / JOURNAL)
    made = root / JOURNAL / "new"
    if made.exists():
        # A run that was killed here had changed nothing yet.
        shutil.rmtree(made)
    made.mkdir(mode=0o755)
    take_backup(root, applied.plan, made / "before")
    data = {
        "plan": applied.plan.to_json(),
        "cards": list(applied.cards),
        "functions": list(applied.functions),
        "boot_id": applied.boot_id,
        "time": applied.time,
    }
    write_atomically(made / "plan.json", json.dumps(data, indent=1).encode(), 0o644, None)
    before = entries(root)
    number = before[-1].number + 1 if before else 1
    entry = Entry(number, root / JOURNAL / f"{number:04d}")
    made.replace(entry.directory)
    sync_directory(entry.directory.parent)
    return entry


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """Keep a second apply or rollback out until this one has ended, however it ends.

    Raises WholecardError when another holds the lock.
    """
    make_directories(root / HOME)
    with (root / HOME / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WholecardError(
                "another apply or rollback is running on this host",
                f"It holds {root / HOME / 'lock'}.",
                "Wait until it has ended; `wholecard-host status` says how far it is.",
            ) from error
        yield


def status(root: Path, boot_id: str) -> dict[str, Any]:
    """Where the host stands, as plain data.

    `{"state", "journal", "cards", "done", "actions", "next", "rebooted", "history"}`; `state` is
    `clean` where nothing stands applied, `next` names the action at which
    an unfinished run stopped, `rebooted` is None where nothing stands applied.
    """
    history = [_summary(entry) for entry in entries(root)]
    entry = newest(root)
    if entry is None:
        return {
            "state": "clean",
            "journal": None,
            "cards": [],
            "done": 0,
            "actions": 0,
            "next": None,
            "rebooted": None,
            "history": history,
        }
    applied = entry.read()
    done = set(entry.actions_with("done")) - set(entry.actions_with("undone"))
    places = range(len(applied.plan.actions))
    unfinished = _unfinished(entry, done, places)
    action = applied.plan.actions[unfinished] if unfinished is not None else None
    return {
        "state": entry.state,
        "journal": entry.id,
        "cards": list(applied.cards),
        "done": len(done),
        "actions": len(places),
        "next": f"{action.kind} {action.subject}" if action else None,
        "rebooted": applied.boot_id != boot_id,
        "history": history,
    }


def _unfinished(entry: Entry, done: set[int], places: range) -> int | None:
    if entry.state == APPLYING:
        return next((place for place in places if place not in done), None)
    if entry.state == ROLLING_BACK:
        undone = entry.actions_with("undone")
        begun = entry.actions_with("begin")
        return next((n for n in reversed(places) if n in begun and n not in undone), None)
    return None


def _summary(entry: Entry) -> dict[str, Any]:
    applied = entry.read()
    return {
        "journal": entry.id,
        "state": entry.state,
        "cards": list(applied.cards),
        "time": applied.time,
    }
