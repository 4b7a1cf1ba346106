"""The journal: what was planned, what was there before, and how far it came.

`var/lib/wholecard/journal/NNNN/` holds `plan.json`, `before/` and `log.jsonl`. The folder appears
complete, with the plan and all backups, before the first change is made; from then on the log
says after every kill how far the host is changed. A journal that was rolled back stays as history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Plan
from wholecard.host.operations.registry import operation_of, plan_from_json
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.backup import Backup, read_backup, take_backup
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import (
    APPLIED,
    APPLYING,
    ROLLED_BACK,
    ROLLING_BACK,
    JournalEntry,
)
from wholecard.transaction.json_fields import text, texts

HOME = Path("var/lib/wholecard")
JOURNAL = HOME / "journal"

__all__ = ["APPLIED", "APPLYING", "ROLLED_BACK", "ROLLING_BACK"]


@dataclass(frozen=True)
class AppliedHostPlan:
    """What one apply was about: the plan, the cards by slot, the functions, the boot, the time."""

    plan: Plan
    cards: tuple[str, ...]
    functions: tuple[str, ...]
    boot_id: str
    time: float

    def about(self) -> dict[str, Any]:
        """`{"cards": [...]}`."""
        return {"cards": list(self.cards)}


class HostJournalEntry(JournalEntry):
    """One journal of a host."""

    def read(self) -> AppliedHostPlan:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""
        applied = unpack(self.directory / "plan.json", _applied)
        self.refuse_strange(len(applied.plan.actions))
        return applied

    def backup(self) -> Backup:
        """What was there before. Raises WholecardError where it cannot be read."""
        return read_backup(self.directory / "before")


def _applied(data: dict[str, Any]) -> AppliedHostPlan:
    return AppliedHostPlan(
        plan=plan_from_json(data["plan"]),
        cards=texts(data["cards"]),
        functions=texts(data["functions"]),
        boot_id=text(data["boot_id"]),
        time=float(data["time"]),
    )


@dataclass(frozen=True)
class HostJournal(journal_store.Journal[HostJournalEntry]):
    """All journals of the host below `root`, see `journal_of`."""

    command = "wholecard-host"
    system = "on this host"

    root: Path

    @property
    def lock_folder(self) -> Path:
        """`var/lib/wholecard`."""
        return self.root / HOME

    def entry(self, number: int, directory: Path) -> HostJournalEntry:
        """The journal with this number."""
        return HostJournalEntry(number, directory)

    def nothing(self) -> dict[str, Any]:
        """No cards."""
        return {"cards": []}

    def begin(self, applied: AppliedHostPlan) -> HostJournalEntry:
        """Begin a journal: the plan and the backups are written, then the folder gets its name.

        What fails before that leaves no trace, because nothing was changed yet.
        """
        operations = [operation_of(action) for action in applied.plan.actions]

        def fill(draft: Path) -> None:
            take_backup(
                self.root,
                draft / "before",
                {number: do.targets(self.root) for number, do in enumerate(operations)},
                [path for operation in operations for path in operation.creates],
            )
            data = {**applied.__dict__, "plan": applied.plan.to_json()}
            private = any(operation.is_private for operation in operations)
            write_atomically(draft / "plan.json", pack(data), 0o600 if private else 0o644)

        return self.add(fill)


def journal_of(root: Path) -> HostJournal:
    """The journals of the host below `root`."""
    return HostJournal(root / JOURNAL, root)


def entries(root: Path) -> tuple[HostJournalEntry, ...]:
    """All journals under `root`, oldest first."""
    return journal_of(root).entries()


def newest(root: Path) -> HostJournalEntry | None:
    """The last journal that was not rolled back: what the host is by now."""
    return journal_of(root).newest()
