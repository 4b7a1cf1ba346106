"""A repair's plan and its report as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wholecard.core.report_text import findings_text, history_lines, journal_lines

if TYPE_CHECKING:
    from wholecard.repair.record import Refusal, RepairPlan, RepairReport
    from wholecard.repair.remedies.case import ManualStep

_NOTHING = "Nothing to do: repair has no action for what the audit found."


def plan_text(planned: RepairPlan) -> str:
    """The actions, what is left to a person, and what passes by itself."""
    parts = [str(planned.plan) if planned.plan.actions else _NOTHING]
    for title, waits in (("To be done by hand:", False), ("To wait for:", True)):
        steps = [_step(step) for step in planned.steps if step.waits is waits]
        parts += ["\n".join((title, *steps))] if steps else []
    if planned.refused:
        parts.append(refused_text(planned.refused))
    if planned.notes:
        parts.append("\n".join(f"note: {note}" for note in planned.notes))
    return "\n\n".join(parts)


def report_text(report: RepairReport, width: int) -> str:
    """What was done, and what remains."""
    parts = []
    if report.finished is not None:
        parts.append(f"The unfinished journal {report.finished.journal} was finished first.")
    if report.outcome.journals:
        parts.append(
            f"Repaired as journal {report.outcome.journal}. Undo it: wholecard repair rollback"
        )
    parts += [f"note: {note}" for note in report.outcome.notes]
    if report.remaining is not None:
        findings = report.remaining.findings
        parts.append(
            f"The audit after it has:\n{findings_text(findings, width)}"
            if findings
            else "The audit after it finds nothing."
        )
    return "\n".join(parts)


def status_text(status: Mapping[str, Any]) -> str:
    """What was repaired, by the journals alone."""
    if status["state"] == "clean":
        lines = ["No repair of this cloud is in effect from this machine."]
    else:
        lines = journal_lines(dict(status), f"rules:       {', '.join(status['rules'])}")
    return "\n".join([*lines, *history_lines(status["history"], "rules")])


def refused_text(refused: Sequence[Refusal]) -> str:
    """What the guards refused, and why."""
    lines = ["Left out, because a guard refuses:"]
    for row in refused:
        lines.append(f"- {row.action}: {row.brief}")
        lines += [f"  {line}" for line in (*row.details.splitlines(), row.resolution) if line]
    return "\n".join(lines)


def _step(step: ManualStep) -> str:
    return f"- {step.rule} {step.subject}\n  {step.text}\n  why not by itself: {step.reason}"
