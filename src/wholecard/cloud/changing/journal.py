"""The journal of a cloud, on the operator's machine: what was planned and how far it came.

`$XDG_STATE_HOME/wholecard/cloud/CLOUD/NNNN/` holds `plan.json`, in which each change has what stood
there when it was planned, and `log.jsonl`, in which each has what stood there when it was begun.
Nothing secret is in either: names, ids, the addresses of the cloud and the values that the site
file has; the plan is its writer's alone to read all the same.
"""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wholecard.cloud.changing.target import CloudIdentity, address
from wholecard.cloud.operations.operation import State
from wholecard.cloud.operations.registry import KINDS, Kinds, plan_from_json
from wholecard.core import Plan, UsageError, WholecardError
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import APPLYING, ROLLED_BACK, ROLLING_BACK, JournalEntry

DAMAGE = (
    "Nothing was touched. Restore the journal's folder from a backup of this machine; or undo by "
    "hand what its log says was begun, and move the folder away."
)


@dataclass(frozen=True)
class Applied:
    """What one apply was about: the plan, the cloud, the site file, the time."""

    plan: Plan
    place: CloudIdentity
    site: str
    time: float


@dataclass(frozen=True)
class CloudJournalEntry(JournalEntry):
    """One journal of a cloud."""

    kinds: Kinds

    def read(self) -> Applied:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""

        def build(data: dict[str, Any]) -> Applied:
            keystone, site = data["keystone"], data["site"]
            # Releases before these wrote Keystone's address alone, as it stood in clouds.yaml.
            region, compute = data.get("region"), data.get("compute")
            if not isinstance(keystone, str) or not isinstance(site, str):
                raise TypeError("keystone or site")
            if not isinstance(region, (str, type(None))):
                raise TypeError("region")
            if not isinstance(compute, (str, type(None))):
                raise TypeError("compute")
            plan = plan_from_json(data["plan"], self.kinds)
            place = CloudIdentity(address(keystone), region, compute)
            return Applied(plan, place, site, float(data["time"]))

        applied = unpack(self.directory / "plan.json", build, DAMAGE)
        self.refuse_strange(len(applied.plan.actions))
        return applied

    def made(self, place: int) -> str | None:
        """The id of what the action at `place` made; None where it is not known."""
        return self._id("done", place)

    def holder(self, place: int) -> str | None:
        """The id of the object whose values the action at `place` changes; None as for `made`."""
        return self._id("begin", place)

    def theirs(self, place: int) -> bool:
        """Whether somebody else had made what the action at `place` was to make."""
        return bool(self.actions_with("done").get(place, {}).get("theirs"))

    def found(self, place: int) -> State | None:
        """What stood there before the action at `place`; None while it was not begun."""
        for record in self.records():
            if record["event"] == "begin" and record["n"] == place:
                found: State = record["found"]
                return found
        return None

    def _id(self, event: str, place: int) -> str | None:
        found = self.actions_with(event).get(place, {}).get("id")
        return None if found is None else str(found)


@dataclass(frozen=True)
class CloudJournal:
    """All journals of one cloud, in `folder`."""

    folder: Path
    kinds: Kinds = field(default_factory=lambda: KINDS)

    def entries(self) -> tuple[CloudJournalEntry, ...]:
        """All journals, oldest first."""
        return journal_store.entries_in(self.folder, self._entry)

    def standing(self) -> tuple[CloudJournalEntry, ...]:
        """Those that were not rolled back, oldest first."""
        return tuple(entry for entry in self.entries() if entry.state != ROLLED_BACK)

    def begin(self, applied: Applied) -> CloudJournalEntry:
        """Begin a journal; its folder appears whole, before anything is changed."""
        data = {
            "plan": applied.plan.to_json(),
            "keystone": applied.place.keystone,
            "region": applied.place.region,
            "compute": applied.place.compute,
            "site": applied.site,
            "time": applied.time,
        }

        def fill(made: Path) -> None:
            write_atomically(made / "plan.json", pack(data), 0o600)

        return journal_store.begin(self.folder, self._entry, fill)

    def lock(self) -> AbstractContextManager[int]:
        """Keep a second apply or rollback out, see `journal_store.lock`."""
        return journal_store.lock(
            self.folder,
            "another apply or rollback of this cloud is running on this machine",
            "Wait until it has ended; `wholecard cloud status` says how far it is.",
        )

    def status(self) -> dict[str, Any]:
        """Where the cloud stands, as plain data, by the journals alone.

        `{"state", "journal", "site", "done", "actions", "next", "failed", "history"}`, as a host's;
        `state` is `clean` where nothing stands applied.
        """
        data: dict[str, Any] = {
            "state": "clean", "journal": None, "site": None, "done": 0, "actions": 0,
            "next": None, "failed": None,
            "history": [
                {"journal": entry.id, "state": entry.state, "site": entry.read().site,
                 "time": entry.read().time}
                for entry in self.entries()
            ],
        }  # fmt: skip
        standing = self.standing()
        if not standing:
            return data
        entry = standing[-1]
        applied = entry.read()
        actions = applied.plan.actions
        stopped = entry.unfinished(len(actions))
        data.update(
            state=entry.state,
            journal=entry.id,
            site=applied.site,
            done=len(set(entry.actions_with("done")) - set(entry.actions_with("undone"))),
            actions=len(actions),
        )
        if stopped is not None:
            data["next"] = f"{actions[stopped].kind} {actions[stopped].subject}"
            data["failed"] = entry.actions_with("failed").get(stopped, {}).get("brief")
        return data

    def _entry(self, number: int, directory: Path) -> CloudJournalEntry:
        return CloudJournalEntry(number, directory, self.kinds)


def default_folder(cloud: str) -> Path:
    """`$XDG_STATE_HOME/wholecard/cloud/CLOUD`, below `~/.local/state` where that is not set.

    Raises UsageError for a cloud whose name is no folder's.
    """
    if not re.fullmatch(r"[^/\x00.][^/\x00]*", cloud):
        raise UsageError(
            f"the cloud {cloud!r} cannot have a folder of its name",
            resolution="Name a folder for its journals: --state DIR",
        )
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base).absolute() / "wholecard/cloud" / cloud


def refuse_unfinished(ledger: CloudJournal) -> None:
    """Raises WholecardError where the last run was broken off."""
    standing = ledger.standing()
    if standing and standing[-1].state in (APPLYING, ROLLING_BACK):
        entry = standing[-1]
        raise WholecardError(
            f"journal {entry.id} is unfinished ({entry.state})",
            resolution="Run apply again to finish it, or rollback to undo it.",
        )
