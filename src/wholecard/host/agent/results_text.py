"""The agent's plain-text renderings: aligned tables, nothing that needs a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wholecard.core.report_text import journal_lines, table
from wholecard.host.changing.verify import BindingEvidence
from wholecard.host.operations.operation import AS_APPLIED
from wholecard.transaction.engine import Outcome


def evidence_text(evidence: Sequence[BindingEvidence]) -> str:
    """A row for each function: driver, group, and when it was claimed at boot."""
    rows = [
        (
            row.address,
            row.ids,
            row.driver or "-",
            "-" if row.group is None else str(row.group),
            "not seen" if row.claimed is None else f"claimed at {row.claimed:.2f} s",
        )
        for row in evidence
    ]
    return table(("FUNCTION", "IDS", "DRIVER", "GROUP", "AT BOOT"), rows)


def status_text(status: dict[str, Any]) -> str:
    """What is applied, what has changed since, and the journals so far."""
    if status["state"] == "clean":
        lines = ["Nothing is applied on this host."]
        if status["reboot_pending"]:
            lines.append("The host was not rebooted after the rollback.")
    else:
        lines = journal_lines(status, f"cards:       {', '.join(status['cards'])}")
        if status["reboot_pending"] and not status["next"]:
            lines.append("The host was not rebooted after apply.")
        lines += _drift_lines(status["drift"])
    if status["history"]:
        rows = [
            (entry["journal"], entry["state"], ", ".join(entry["cards"]))
            for entry in status["history"]
        ]
        lines += ["", table(("JOURNAL", "STATE", "CARDS"), rows)]
    return "\n".join(lines)


def _drift_lines(drift: Sequence[dict[str, str]]) -> list[str]:
    """What differs, each with how; one line where all is as it was applied."""
    differences = [thing for thing in drift if thing["state"] != AS_APPLIED]
    if not differences:
        return ["changed:     nothing since apply"] if drift else []
    lines = [f"changed:     {len(differences)} of {len(drift)} things since apply"]
    for thing in differences:
        lines.append(f"  {thing['kind']} {thing['subject']}: {thing['state']}")
        lines += [f"    {line}" for line in thing["detail"].splitlines()]
    return lines


def rollback_text(outcome: Outcome) -> str:
    """What was undone, and what was left as it is."""
    if not outcome.journals:
        return "No newer journal is applied: nothing was undone."
    summary = f"Journal {', '.join(outcome.journals)} is rolled back."
    lines = [f"{summary} Reboot." if outcome.reboot_needed else summary]
    return "\n".join([*lines, *(f"note: {note}" for note in outcome.notes)])
