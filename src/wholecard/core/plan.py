"""A plan is a list of actions that compares by equality and prints as a diff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Operation(Protocol):
    """One way of changing the world, as plain data: a file written, a tool run, an API called.

    Frozen dataclasses implement it, so that plans compare by equality.
    """

    def describe(self) -> str:
        """What would change, as text: a unified diff for a file, a command line for a tool."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary with a key `op` naming the kind of operation."""


@dataclass(frozen=True)
class Action:
    """One change: what kind, on what, why, how it is done and how it is undone.

    `undo` is a sentence for the person; what stood there before is kept by the journal.
    """

    kind: str
    subject: str
    reason: str
    do: Operation
    undo: str


@dataclass(frozen=True)
class Plan:
    """Actions in the order in which they are applied. An empty plan means: nothing to do."""

    actions: tuple[Action, ...]
    reboot_needed: bool = False

    def __str__(self) -> str:
        if not self.actions:
            return "Nothing to do: the host is as wished."
        parts = []
        for number, action in enumerate(self.actions, 1):
            parts.append(f"{number}. {action.kind} {action.subject}")
            parts.append(f"   why:  {action.reason}")
            parts.append(f"   undo: {action.undo}")
            parts.extend("   " + line for line in action.do.describe().splitlines())
        if self.reboot_needed:
            parts.append("A reboot is needed for this to take effect.")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """`{"actions": [...], "reboot_needed": bool}`."""
        return {
            "actions": [
                {
                    "kind": action.kind,
                    "subject": action.subject,
                    "reason": action.reason,
                    "do": action.do.to_json(),
                    "undo": action.undo,
                }
                for action in self.actions
            ],
            "reboot_needed": self.reboot_needed,
        }
