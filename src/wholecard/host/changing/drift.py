"""What differs since a plan was applied: each file, each output of a tool, each binding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholecard.host.changing.journal import HostJournalEntry
from wholecard.host.operations.registry import operation_of


def drift(root: Path, in_effect: Sequence[HostJournalEntry]) -> list[dict[str, str]]:
    """Everything that the journals in effect, oldest first, left and that is to be so still.

    `{"journal", "kind", "subject", "state", "detail"}` each, see `operations.operation.Drift`. What
    a later journal changed again is compared with that one alone.
    """
    rows: dict[str, dict[str, str]] = {}
    for entry in in_effect:
        for step in entry.steps_to_undo():
            if step.done is not None:
                for drift in operation_of(step.action).drift(root, step.done):
                    rows[drift.subject] = {"journal": entry.id, **drift.__dict__}
    return [rows[subject] for subject in sorted(rows)]
