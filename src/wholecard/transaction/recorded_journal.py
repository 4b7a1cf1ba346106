"""Journals as `status` shows them: read without the operations, and the libraries behind these.

An operation on a cloud needs OpenStack's SDK, which takes a second to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wholecard.core import Action, Operation, Plan
from wholecard.transaction.checksummed import DAMAGE, unpack
from wholecard.transaction.journal_store import Journal, JournalEntry
from wholecard.transaction.json_fields import text, typed

# Nothing is applied or undone by what is read here.
_NOT_READ = cast("Operation[Any]", None)


@dataclass(frozen=True)
class RecordedPlan:
    """What one apply was about: the actions' names, the time, and the fields that are shown."""

    plan: Plan
    time: float
    shown: Mapping[str, Any]

    def about(self) -> dict[str, Any]:
        """The fields that are shown."""
        return dict(self.shown)


@dataclass(frozen=True)
class RecordedEntry(JournalEntry):
    """One journal."""

    fields: Mapping[str, Any]

    def read(self) -> RecordedPlan:
        """The plan, without what its operations are. Raises WholecardError."""

        def build(data: dict[str, Any]) -> RecordedPlan:
            rows = data["plan"]["actions"]
            actions = tuple(
                Action(text(row["kind"]), text(row["subject"]), text(row["reason"]), _NOT_READ,
                       text(row["undo"]))
                for row in rows
            )  # fmt: skip
            shown = {name: data[name] for name in self.fields}
            plan = Plan(actions, typed(data["plan"]["reboot_needed"], bool))
            return RecordedPlan(plan, float(data["time"]), shown)

        applied = unpack(self.directory / "plan.json", build, DAMAGE)
        self.refuse_strange(len(applied.plan.actions))
        return applied


@dataclass(frozen=True)
class RecordedJournal(Journal[RecordedEntry]):
    """All journals in `folder`; `fields` are what `status` shows of each, with their defaults."""

    command = "wholecard"
    system = "from this machine"

    fields: Mapping[str, Any]

    def entry(self, number: int, directory: Path) -> RecordedEntry:
        """The journal with this number."""
        return RecordedEntry(number, directory, self.fields)

    def nothing(self) -> dict[str, Any]:
        """The defaults."""
        return dict(self.fields)
