"""The agent's plain-text renderings: aligned tables, nothing that needs a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wholecard.core import Action, Finding
from wholecard.host.host_text import host_text, table
from wholecard.host.verify import Evidence

__all__ = ["evidence_text", "findings_text", "host_text", "progress_text", "status_text", "table"]


def findings_text(findings: Sequence[Finding]) -> str:
    """Each finding with its fix below it; one line where there is none."""
    if not findings:
        return "No findings: all is well."
    lines = []
    for finding in findings:
        lines.append(
            f"{finding.rule} {finding.severity.value} {finding.subject}: {finding.message}"
        )
        if finding.fix:
            lines.append(f"      fix: {finding.fix}")
    return "\n".join(lines)


def evidence_text(evidence: Sequence[Evidence]) -> str:
    """A row for each function: driver, group, and when it was claimed at boot."""
    rows = [
        (
            each.address,
            each.ids,
            each.driver or "-",
            "-" if each.group is None else str(each.group),
            "not seen" if each.claimed is None else f"claimed at {each.claimed:.2f} s",
        )
        for each in evidence
    ]
    return table(("FUNCTION", "IDS", "DRIVER", "GROUP", "AT BOOT"), rows)


def status_text(status: dict[str, Any]) -> str:
    """Where the host stands, and the journals so far."""
    if status["state"] == "clean":
        lines = ["Nothing is applied on this host."]
    else:
        lines = [
            f"journal {status['journal']}: {status['state']}, "
            f"{status['done']} of {status['actions']} actions in effect",
            f"cards:       {', '.join(status['cards'])}",
        ]
        if status["next"]:
            lines.append(f"stopped at:  {status['next']}")
            lines.append("Run apply to finish it or rollback to undo it.")
        elif not status["rebooted"]:
            lines.append("Not rebooted since.")
    if status["history"]:
        rows = [
            (each["journal"], each["state"], ", ".join(each["cards"])) for each in status["history"]
        ]
        lines += ["", table(("JOURNAL", "STATE", "CARDS"), rows)]
    return "\n".join(lines)


def progress_text(place: int, count: int, action: Action, seconds: float | None) -> str:
    """The beginning of a progress line, or with `seconds` its end."""
    if seconds is None:
        return f"[{place}/{count}] {action.kind} {action.subject} ... "
    return f"{seconds:.1f} s\n"
