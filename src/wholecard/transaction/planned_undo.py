"""What a rollback would do, as plain data: `rollback --plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wholecard.core import Action


@dataclass(frozen=True)
class PlannedUndo:
    """What a rollback would do: actions with their journals, in its order, and what is against it.

    `edited` are the sentences of what was changed after apply, which stops a rollback.
    """

    actions: tuple[tuple[str, Action], ...]
    reboot_needed: bool
    edited: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`{"actions": [{"journal", "kind", "subject", "undo"}], "reboot_needed", "edited"}`."""
        return {
            "actions": [
                {
                    "journal": journal,
                    "kind": action.kind,
                    "subject": action.subject,
                    "undo": action.undo,
                }
                for journal, action in self.actions
            ],
            "reboot_needed": self.reboot_needed,
            "edited": list(self.edited),
        }
