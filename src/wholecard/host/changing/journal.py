"""The journal: what was planned, what stood there before, and how far it came.

`var/lib/wholecard/journal/NNNN/` holds `plan.json`, `before/` and `log.jsonl`. The folder appears
complete, with the plan and all backups, before the first change is made; from then on the log
says after every kill where the host stands. A journal that was rolled back stays as history.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Plan
from wholecard.host.changing.backup import Backup, read_backup, take_backup
from wholecard.host.operations.registry import plan_from_json
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import (
    APPLIED,
    APPLYING,
    ROLLED_BACK,
    ROLLING_BACK,
    JournalEntry,
)

HOME = Path("var/lib/wholecard")
JOURNAL = HOME / "journal"

__all__ = ["APPLIED", "APPLYING", "ROLLED_BACK", "ROLLING_BACK"]


@dataclass(frozen=True)
class Applied:
    """What one apply was about: the plan, the slots of the wish, and the boot it was made in."""

    plan: Plan
    cards: tuple[str, ...]
    functions: tuple[str, ...]
    boot_id: str
    time: float

    @property
    def is_private(self) -> bool:
        """Whether a file of the plan may hold passwords."""
        operations = (action.do for action in self.plan.actions)
        return any(isinstance(each, WriteFile) and each.private for each in operations)


class HostJournalEntry(JournalEntry):
    """One journal of a host."""

    def read(self) -> Applied:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""
        applied = unpack(self.directory / "plan.json", _applied)
        self.refuse_strange(len(applied.plan.actions))
        return applied

    def backup(self) -> Backup:
        """What stood there before. Raises WholecardError where it cannot be read."""
        return read_backup(self.directory / "before", self.read().plan)


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


def entries(root: Path) -> tuple[HostJournalEntry, ...]:
    """All journals under `root`, oldest first."""
    return journal_store.entries_in(root / JOURNAL, HostJournalEntry)


def newest(root: Path) -> HostJournalEntry | None:
    """The last journal that was not rolled back: what the host stands on."""
    standing = [entry for entry in entries(root) if entry.state != ROLLED_BACK]
    return standing[-1] if standing else None


def new_entry(root: Path, applied: Applied) -> HostJournalEntry:
    """Begin a journal: the plan and the backups are written, then the folder gets its name.

    What fails before that leaves no trace, for nothing was changed yet.
    """

    def fill(made: Path) -> None:
        take_backup(root, applied.plan, made / "before")
        data = {
            "plan": applied.plan.to_json(),
            "cards": list(applied.cards),
            "functions": list(applied.functions),
            "boot_id": applied.boot_id,
            "time": applied.time,
        }
        write_atomically(made / "plan.json", pack(data), 0o600 if applied.is_private else 0o644)

    return journal_store.begin(root / JOURNAL, HostJournalEntry, fill)


def lock(root: Path) -> AbstractContextManager[int]:
    """Keep a second apply or rollback out, see `journal_store.lock`."""
    return journal_store.lock(
        root / HOME,
        "another apply or rollback is running on this host",
        "Wait until it has ended; `wholecard-host status` says how far it is.",
    )
