"""The journal of a cloud's repairs, on the operator's machine.

`$XDG_STATE_HOME/wholecard/repair/CLOUD/NNNN/` holds `plan.json` and `log.jsonl`. The log has each
row, allocation and provider whole, as it was before it was changed: a rollback writes that back.
No password and no address of a database is in either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from wholecard.cloud.changing.journal import DAMAGE, locked_cloud
from wholecard.cloud.changing.target import CloudIdentity
from wholecard.core import Plan
from wholecard.core.state_folder import state_folder
from wholecard.repair.operations.registry import plan_from_json
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import JournalEntry


@dataclass(frozen=True)
class AppliedRepair:
    """What one repair was about: the plan, the cloud, the rules that it is for, the time."""

    plan: Plan
    cloud: CloudIdentity
    rules: tuple[str, ...]
    time: float

    def about(self) -> dict[str, Any]:
        """`{"rules"}`."""
        return {"rules": list(self.rules)}


@dataclass(frozen=True)
class RepairJournalEntry(JournalEntry):
    """One journal of repairs."""

    def read(self) -> AppliedRepair:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""

        def build(data: dict[str, Any]) -> AppliedRepair:
            return AppliedRepair(
                plan=plan_from_json(data["plan"]),
                cloud=TypeAdapter(CloudIdentity).validate_python(data["cloud"]),
                rules=TypeAdapter(tuple[str, ...]).validate_python(data["rules"]),
                time=float(data["time"]),
            )

        applied = unpack(self.directory / "plan.json", build, DAMAGE)
        self.refuse_strange(len(applied.plan.actions))
        return applied


@dataclass(frozen=True)
class RepairJournal(journal_store.Journal[RepairJournalEntry]):
    """All repairs of one cloud, in `folder`; `shared` and `addresses` as a CloudJournal's."""

    command = "wholecard repair"
    system = "on this cloud from this machine"
    elsewhere = "Name another folder of journals with --state."

    shared: Path | None = None
    addresses: tuple[str, ...] = ()

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Keep others out of this folder, and of this cloud under whatever name they have for it.

        Raises WholecardError where one of them runs.
        """
        with super().lock() as descriptor, locked_cloud(self.shared, self.addresses):
            yield descriptor

    def entry(self, number: int, directory: Path) -> RepairJournalEntry:
        """The journal with this number."""
        return RepairJournalEntry(number, directory)

    def nothing(self) -> dict[str, Any]:
        """No rules."""
        return {"rules": []}

    def begin(self, applied: AppliedRepair) -> RepairJournalEntry:
        """Begin a journal; its folder appears whole, before anything is changed.

        The log has rows of nova's database: nobody but its owner looks into it.
        """
        plan, cloud = applied.plan.to_json(), applied.cloud.__dict__
        data = pack({**applied.__dict__, "plan": plan, "cloud": cloud})
        return self.add(lambda draft: write_atomically(draft / "plan.json", data, 0o600), True)


def default_folder(cloud: str) -> Path:
    """`$XDG_STATE_HOME/wholecard/repair/CLOUD`. Raises UsageError for a name no folder can have."""
    return state_folder("repair", cloud)


def shared_folder() -> Path:
    """The folder with the folders of all clouds, and the locks by cloud that they share."""
    return state_folder("repair")
