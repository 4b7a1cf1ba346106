"""The journal: what was planned, what stood there before, and how far it came.

`var/lib/wholecard/journal/NNNN/` holds `plan.json`, `before/` and `log.jsonl`. The folder appears
complete, with the plan and all backups, before the first change is made; from then on the log
says after every kill where the host stands. A journal that was rolled back stays as history.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Plan, WholecardError
from wholecard.host import syscalls
from wholecard.host.backup import Backup, read_backup, take_backup
from wholecard.host.drift import drift
from wholecard.host.files import (
    append_line,
    make_directories,
    remove_tree,
    sync_directory,
    write_atomically,
)
from wholecard.host.operations import plan_from_json
from wholecard.host.sealed import DAMAGE, pack, unpack
from wholecard.host.trouble import explained

HOME = Path("var/lib/wholecard")
JOURNAL = HOME / "journal"

APPLYING = "applying"
APPLIED = "applied"
ROLLING_BACK = "rolling-back"
ROLLED_BACK = "rolled-back"

# The log's events that change a journal's state; the others are about one action.
_STATES = {"applied": APPLIED, "rollback": ROLLING_BACK, "rolled-back": ROLLED_BACK}
_OF_ACTIONS = ("begin", "done", "undone", "failed")

# Who holds the lock is written over who held it, in one write of one length.
_HOLDER_LENGTH = 80


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

    @property
    def advice(self) -> str:
        """What can be done where its apply was broken off."""
        return f"Journal {self.id} is unfinished: mend this and run apply again, or run rollback."

    def read(self) -> Applied:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""
        applied = unpack(self.directory / "plan.json", _applied)
        for record in self.records():
            if record.get("n", 0) not in range(len(applied.plan.actions)):
                raise WholecardError(
                    f"{self.directory / 'log.jsonl'} is damaged",
                    f"no such action: {record}",
                    DAMAGE,
                )
        return applied

    def backup(self) -> Backup:
        """What stood there before. Raises WholecardError where it cannot be read."""
        return read_backup(self.directory / "before", self.read().plan)

    def log(self, event: str, **fields: Any) -> None:
        """Append one record and make it last before returning."""
        record = {"event": event, "time": round(time.time(), 3), **fields}
        append_line(self.directory / "log.jsonl", json.dumps(record).encode())

    def records(self) -> tuple[dict[str, Any], ...]:
        """The log so far, oldest first; half a line that a kill left is passed over.

        Raises WholecardError where a line is something else.
        """
        path = self.directory / "log.jsonl"
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise WholecardError(f"cannot read {path}", str(error), "Run it as root.") from error
        # A record counts with its end of line; what stands behind the last one is half a record.
        return tuple(record for line in lines[:-1] for record in _parse(path, line))

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


def _applied(data: dict[str, Any]) -> Applied:
    texts = [*data["cards"], *data["functions"], data["boot_id"]]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("cards, functions or boot_id")
    return Applied(
        plan=plan_from_json(data["plan"]),
        cards=tuple(data["cards"]),
        functions=tuple(data["functions"]),
        boot_id=data["boot_id"],
        time=float(data["time"]),
    )


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
    """Begin a journal: the plan and the backups are written, then the folder gets its name.

    What fails before that leaves no trace, for nothing was changed yet.
    """
    make_directories(root / JOURNAL)
    made = root / JOURNAL / "new"
    if made.exists():
        # A run that was killed here had changed nothing yet.
        remove_tree(made)
    try:
        return _complete(root, applied, made)
    except BaseException:
        with contextlib.suppress(OSError):
            if made.exists():
                remove_tree(made)
        raise


def _complete(root: Path, applied: Applied, made: Path) -> Entry:
    syscalls.mkdir(made, 0o755)
    take_backup(root, applied.plan, made / "before")
    data = {
        "plan": applied.plan.to_json(),
        "cards": list(applied.cards),
        "functions": list(applied.functions),
        "boot_id": applied.boot_id,
        "time": applied.time,
    }
    write_atomically(made / "plan.json", pack(data), 0o644)
    write_atomically(made / "log.jsonl", b"", 0o644)
    before = entries(root)
    number = before[-1].number + 1 if before else 1
    entry = Entry(number, root / JOURNAL / f"{number:04d}")
    syscalls.rename(made, entry.directory)
    with explained(entry.advice):
        sync_directory(entry.directory.parent)
    return entry


@contextmanager
def lock(root: Path) -> Iterator[int]:
    """Keep a second apply or rollback out until this one has ended, however it ends.

    Yields the descriptor that holds the lock: a tool that inherits it keeps the lock when this
    process is killed and the tool runs on. Raises WholecardError when another holds the lock.
    """
    with explained():
        make_directories(root / HOME)
        descriptor = syscalls.open_lock(root / HOME / "lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _held(root, os.pread(descriptor, _HOLDER_LENGTH, 0)) from error
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        with explained():
            line = json.dumps({"pid": os.getpid(), "since": since}).ljust(_HOLDER_LENGTH - 1)
            syscalls.write_at_start(descriptor, f"{line}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _held(root: Path, said: bytes) -> WholecardError:
    details = f"It holds {root / HOME / 'lock'}."
    try:
        holder = json.loads(said)
        details += f" It is process {holder['pid']}, since {holder['since']}."
        if not (Path("/proc") / str(holder["pid"])).exists():
            details += " That process has ended, but a tool that it started still runs."
    except (ValueError, KeyError, TypeError):
        details += " It did not say who it is."
    return WholecardError(
        "another apply or rollback is running on this host",
        details,
        "Wait until it has ended; `wholecard-host status` says how far it is.",
    )


def status(root: Path, boot_id: str) -> dict[str, Any]:
    """Where the host stands, as plain data.

    `{"state", "journal", "cards", "done", "actions", "next", "failed", "rebooted",
    "reboot_pending", "drift", "history"}`; `state` is `clean` where nothing stands applied, `next`
    names the action at which an unfinished run stopped and `failed` says why, where it could still
    say so; `rebooted` is None where nothing stands applied. `reboot_pending` is whether the last
    apply or rollback waits for the next boot. `drift` is `drift.drift`'s.
    """
    found = entries(root)
    data: dict[str, Any] = {
        "state": "clean",
        "journal": None,
        "cards": [],
        "done": 0,
        "actions": 0,
        "next": None,
        "failed": None,
        "rebooted": None,
        "reboot_pending": _reboot_pending(found, boot_id),
        "drift": [],
        "history": [_summary(entry) for entry in found],
    }
    standing = [entry for entry in found if entry.state != ROLLED_BACK]
    if not standing:
        return data
    entry = standing[-1]
    applied = entry.read()
    done = set(entry.actions_with("done")) - set(entry.actions_with("undone"))
    places = range(len(applied.plan.actions))
    unfinished = _unfinished(entry, done, places)
    action = applied.plan.actions[unfinished] if unfinished is not None else None
    failures = entry.actions_with("failed")
    data.update(
        state=entry.state,
        journal=entry.id,
        cards=list(applied.cards),
        done=len(done),
        actions=len(places),
        next=f"{action.kind} {action.subject}" if action else None,
        failed=failures.get(unfinished, {}).get("brief") if unfinished is not None else None,
        rebooted=applied.boot_id != boot_id,
        drift=[each.to_json() for each in drift(root, standing)],
    )
    return data


def _reboot_pending(found: tuple[Entry, ...], boot_id: str) -> bool:
    """Whether a change that needs a reboot was made, or undone, in this boot."""
    for entry in found:
        applied = entry.read()
        boots = [record.get("boot") for record in entry.records()]
        # Applied and undone in one boot: the host runs as it will boot.
        is_undone = entry.state == ROLLED_BACK and applied.boot_id == boot_id
        in_boot = boot_id in (applied.boot_id, *boots)
        if applied.plan.reboot_needed and in_boot and not is_undone:
            return True
    return False


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
