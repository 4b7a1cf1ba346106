"""The journal of a cloud, on the operator's machine: what was planned and how far it came.

`$XDG_STATE_HOME/wholecard/cloud/CLOUD/NNNN/` holds `plan.json`, in which each operation has what
was there when it was planned, and `log.jsonl`, in which each has what was there when it was begun.
Nothing secret is in either: names, ids, the addresses of the cloud and the values that the site
file has; the plan is its writer's alone to read all the same.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from wholecard.cloud.changing.target import CloudIdentity
from wholecard.cloud.operations.registry import OPERATIONS, Operations, plan_from_json
from wholecard.core import Plan, UsageError
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import JournalEntry

DAMAGE = (
    "Nothing was touched. Restore the journal's folder from a backup of this machine; or undo by "
    "hand what its log says was begun, and move the folder away."
)


@dataclass(frozen=True)
class AppliedCloudPlan:
    """What one apply was about: the plan, the cloud, the site file, the time."""

    plan: Plan
    cloud: CloudIdentity
    site: str
    time: float

    def about(self) -> dict[str, Any]:
        """`{"site"}`."""
        return {"site": self.site}


@dataclass(frozen=True)
class CloudJournalEntry(JournalEntry):
    """One journal of a cloud."""

    operations: Operations

    def read(self) -> AppliedCloudPlan:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""

        def build(data: dict[str, Any]) -> AppliedCloudPlan:
            return AppliedCloudPlan(
                plan=plan_from_json(data["plan"], self.operations),
                cloud=TypeAdapter(CloudIdentity).validate_python(data["cloud"]),
                site=TypeAdapter(str).validate_python(data["site"]),
                time=float(data["time"]),
            )

        applied = unpack(self.directory / "plan.json", build, DAMAGE)
        self.refuse_strange(len(applied.plan.actions))
        return applied


@dataclass(frozen=True)
class CloudJournal(journal_store.Journal[CloudJournalEntry]):
    """All journals of one cloud, in `folder`."""

    command = "wholecard cloud"
    system = "on this cloud from this machine"
    elsewhere = "Name another folder of journals with --state."

    operations: Operations = field(default_factory=lambda: OPERATIONS)

    def entry(self, number: int, directory: Path) -> CloudJournalEntry:
        """The journal with this number."""
        return CloudJournalEntry(number, directory, self.operations)

    def nothing(self) -> dict[str, Any]:
        """No site file."""
        return {"site": None}

    def begin(self, applied: AppliedCloudPlan) -> CloudJournalEntry:
        """Begin a journal; its folder appears whole, before anything is changed."""
        plan, cloud = applied.plan.to_json(), applied.cloud.__dict__
        data = pack({**applied.__dict__, "plan": plan, "cloud": cloud})
        return self.add(lambda draft: write_atomically(draft / "plan.json", data, 0o600))


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
