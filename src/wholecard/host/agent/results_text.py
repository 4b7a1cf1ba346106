"""The agent's plain-text renderings: aligned tables, nothing that needs a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from wholecard.core.report_text import history_lines, journal_lines, table, table_width
from wholecard.host.changing.verify import BindingEvidence
from wholecard.host.cleaning.record import CleanReport, FunctionState, MemoryLook
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
    return table(("FUNCTION", "IDS", "DRIVER", "GROUP", "AT BOOT"), rows, table_width())


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
    if status.get("splits"):
        lines += ["", *splits_lines(status["splits"], status.get("boot_id", ""))]
    return "\n".join([*lines, *history_lines(status["history"], "cards")])


def splits_lines(run: dict[str, Any], boot_id: str) -> list[str]:
    """What the last run made of each card, when, and in how long."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run["began"]))
    boot = "in this boot" if run["boot_id"] == boot_id else "in an earlier boot"
    head = f"cards in parts: {boot}, {when}, {run['ended'] - run['began']:.1f} s"
    rows = [
        (card["card"], card["state"], str(card["actions"]), f"{card['seconds']:.1f} s", card["why"])
        for card in run["cards"]
    ]
    return [head, table(("CARD", "STATE", "ACTIONS", "TIME", "WHY"), rows)]


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


def cleaning_text(report: CleanReport) -> str:
    """What a cleaning did, what it saw of the functions and of the memory, and the verdict."""
    lines = [f"{step.what}\n  undo: {step.undo}" for step in report.steps]
    if report.after:
        lines += ["", table(("FUNCTION", "ANSWERS", "POWER", "LINK", "AER"), _states(report.after))]
    if report.memory:
        head = ("BAR", "BYTES LOOKED AT", "ZERO", "CONSTANT", "DATA", "NOISE", "KEPT")
        lines += ["", "memory, in pages of 4 KiB:", table(head, _memory(report.memory))]
    method = f", reset by {report.method} ({report.why_method})" if report.method else ""
    lines += ["", f"{report.slot}: {report.verdict}{method}, {report.seconds:.1f} s"]
    return "\n".join(lines).lstrip()


def _states(states: Sequence[FunctionState]) -> list[tuple[str, ...]]:
    return [
        (
            state.address,
            "yes" if state.alive else "no",
            state.power or "-",
            "-" if state.link_width is None else f"x{state.link_width} {state.link_speed or '?'}",
            ", ".join(f"{kind} {count}" for kind, count in state.errors.items()) or "-",
        )
        for state in states
    ]


def _memory(looks: Sequence[MemoryLook]) -> list[tuple[str, ...]]:
    rows = []
    for look in looks:
        name = f"{look.address} BAR {look.bar}"
        if look.visible:
            counts = (look.zero, look.constant, look.data, look.noise, look.kept)
            rows.append((name, f"{look.looked_at_bytes} of {look.size}", *map(str, counts)))
        else:
            rows.append((name, f"not visible: {look.why}", "-", "-", "-", "-", "-"))
    return rows
