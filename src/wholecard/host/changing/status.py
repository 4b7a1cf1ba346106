"""What was applied, and what has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholecard.host.changing.journal import HostJournalEntry, journal_of
from wholecard.host.operations.registry import operation_of
from wholecard.transaction.journal_store import ROLLED_BACK


def status(root: Path, boot_id: str) -> dict[str, Any]:
    """What is applied on the host, as plain data.

    `{"state", "journal", "cards", "done", "actions", "next", "failed", "rebooted",
    "reboot_pending", "drift", "history"}`, see `Journal.status`. `rebooted` is None where nothing
    is applied; `reboot_pending` is whether the last apply or rollback waits for the next boot;
    `drift` is what the function `drift` returns.
    """
    journal = journal_of(root)
    data = journal.status()
    newest = journal.newest()
    history = data.pop("history")
    return {
        **data,
        "rebooted": None if newest is None else newest.read().boot_id != boot_id,
        "reboot_pending": any(_waits_for_boot(entry, boot_id) for entry in journal.entries()),
        "drift": drift(root, journal.in_effect()),
        "history": history,
    }


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


def _waits_for_boot(entry: HostJournalEntry, boot_id: str) -> bool:
    """Whether a change that needs a reboot was made, or undone, in this boot."""
    applied = entry.read()
    boots = [applied.boot_id, *(record.get("boot") for record in entry.records())]
    # Applied and undone in one boot: the host runs as it will boot.
    is_undone = entry.state == ROLLED_BACK and applied.boot_id == boot_id
    return applied.plan.reboot_needed and boot_id in boots and not is_undone
