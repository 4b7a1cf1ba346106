"""Findings, progress and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.core import Action, Finding, Severity
from wholecard.core.units import counted

_WIDTH = 100


def findings_text(findings: Sequence[Finding]) -> str:
    """Errors first, then warnings and notes, each with its fix below it; at the end how many.

    Prose is wrapped; a line of a fix that is indented is a command and stays whole.
    """
    if not findings:
        return "No findings: all is well."
    lines = []
    for severity in Severity:
        for finding in (each for each in findings if each.severity is severity):
            head = f"{finding.rule} {severity.value} {finding.subject}: "
            lines += _wrapped(head + finding.message, "      ", "")
            prose, *commands = (finding.fix or "").splitlines() or [""]
            if prose:
                lines += _wrapped(f"fix: {prose}", "           ", "      ")
            lines += [f"         {command}" for command in commands]
    return "\n".join([*lines, _count_text(findings)])


def _wrapped(text: str, indent: str, first: str) -> list[str]:
    """Lines of at most `_WIDTH`, broken at white space only; textwrap takes longer to import."""
    lines, line = [], first
    for word in text.split():
        joined = f"{line} {word}" if line.strip() else f"{line}{word}"
        if len(joined) > _WIDTH and line.strip():
            lines.append(line)
            joined = f"{indent}{word}"
        line = joined
    return [*lines, line]


def _count_text(findings: Sequence[Finding]) -> str:
    counts = []
    for severity in Severity:
        count = sum(each.severity is severity for each in findings)
        if count:
            counts.append(counted(count, severity.value))
    return ", ".join(counts)


def progress_text(place: int, count: int, action: Action, seconds: float | None) -> str:
    """The beginning of a progress line, or with `seconds` its end."""
    if seconds is None:
        return f"[{place}/{count}] {action.kind} {action.subject} ... "
    return f"{seconds:.1f} s\n"
