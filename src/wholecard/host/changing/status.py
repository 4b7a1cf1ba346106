"""What was applied, and what has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wholecard.host.changing.drift import drift
from wholecard.host.changing.journal import HostJournalEntry, entries
from wholecard.transaction.journal_store import (
    ROLLED_BACK,
)


def status(root: Path, boot_id: str) -> dict[str, Any]:
    """Where the host stands, as plain data.

    `{"state", "journal", "cards", "done", "actions", "next", "failed", "rebooted",
    "reboot_pending", "drift", "history"}`; `state` is `clean` where nothing stands applied, `next`
    names the action at which an unfinished run stopped and `failed` says why, where it could still
    say so; `rebooted` is None where nothing stands applied. `reboot_pending` is whether the last
    apply or rollback waits for the next boot. `drift` is `drift.drift`'s.
    """
    found = entries(root)
    data: dict[str, Any] = {
        "state": "clean",
        "journal": None,
        "cards": [],
        "done": 0,
        "actions": 0,
        "next": None,
        "failed": None,
        "rebooted": None,
        "reboot_pending": _reboot_pending(found, boot_id),
        "drift": [],
        "history": [_summary(entry) for entry in found],
    }
    standing = [entry for entry in found if entry.state != ROLLED_BACK]
    if not standing:
        return data
    entry = standing[-1]
    applied = entry.read()
    done = set(entry.actions_with("done")) - set(entry.actions_with("undone"))
    unfinished = entry.unfinished(len(applied.plan.actions))
    action = applied.plan.actions[unfinished] if unfinished is not None else None
    failures = entry.actions_with("failed")
    data.update(
        state=entry.state,
        journal=entry.id,
        cards=list(applied.cards),
        done=len(done),
        actions=len(applied.plan.actions),
        next=f"{action.kind} {action.subject}" if action else None,
        failed=failures.get(unfinished, {}).get("brief") if unfinished is not None else None,
        rebooted=applied.boot_id != boot_id,
        drift=[each.to_json() for each in drift(root, standing)],
    )
    return data


def _reboot_pending(found: tuple[HostJournalEntry, ...], boot_id: str) -> bool:
    """Whether a change that needs a reboot was made, or undone, in this boot."""
    for entry in found:
        applied = entry.read()
        boots = [record.get("boot") for record in entry.records()]
        # Applied and undone in one boot: the host runs as it will boot.
        is_undone = entry.state == ROLLED_BACK and applied.boot_id == boot_id
        in_boot = boot_id in (applied.boot_id, *boots)
        if applied.plan.reboot_needed and in_boot and not is_undone:
            return True
    return False


def _summary(entry: HostJournalEntry) -> dict[str, Any]:
    applied = entry.read()
    return {
        "journal": entry.id,
        "state": entry.state,
        "cards": list(applied.cards),
        "time": applied.time,
    }
