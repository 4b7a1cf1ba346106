"""Findings, progress and tables as text."""

from __future__ import annotations

from wholecard.core.units import counted

# `inspect` prints a table and no findings, so the finding's own imports are not paid for here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from wholecard.core import Action, Finding

WIDTH = 100
_NARROWEST = 40


def terminal_width() -> int:
    """The columns of the terminal that standard output goes to, at most `WIDTH`.

    Files and pipes get `WIDTH`, so that what they hold does not depend on a window.
    """
    import sys

    if not sys.stdout.isatty():
        return WIDTH
    from shutil import get_terminal_size

    return max(_NARROWEST, min(WIDTH, get_terminal_size((WIDTH, 24)).columns))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart, nothing behind the last."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def findings_text(findings: Sequence[Finding], width: int = WIDTH) -> str:
    """Errors first, then warnings and notes, each with its fix below it; at the end how many.

    Prose is wrapped at `width` columns; a fix's lines after its first are commands and stay whole.
    """
    from wholecard.core import Severity

    if not findings:
        return "No findings: all is well."
    lines = []
    counts = []
    for severity in Severity:
        same = [finding for finding in findings if finding.severity is severity]
        for finding in same:
            lines += _finding_lines(finding, width)
        if same:
            counts.append(counted(len(same), severity.value))
    first = lines[0].split()[0]
    return "\n".join([*lines, read_more_text(first), ", ".join(counts)])


def read_more_text(code: str) -> str:
    """Where to read more about a list's findings, with the code of its first one as the example."""
    # The agent travels to a host as one zip file, which has neither that command nor the pages.
    is_agent = type(globals().get("__loader__")).__name__ == "zipimporter"
    where = ", where wholecard itself is installed" if is_agent else ""
    return f"More about a rule: wholecard rule {code}{where}"


def _finding_lines(finding: Finding, width: int) -> list[str]:
    head = f"{finding.rule} {finding.severity.value} {finding.subject}: "
    lines = wrapped(head + finding.message, "      ", "", width)
    prose, *commands = finding.fix.splitlines() or [""]
    if prose:
        lines += wrapped(f"fix: {prose}", "           ", "      ", width)
    return lines + [f"         {command}" for command in commands]


def wrapped(text: str, indent: str, first: str, width: int = WIDTH) -> list[str]:
    """Lines of at most `width`, broken at white space only; textwrap takes longer to import.

    The first line begins with `first`, the others with `indent`.
    """
    lines, line, is_begun = [], first, False
    for word in text.split():
        joined = f"{line} {word}" if is_begun else f"{line}{word}"
        if len(joined) > width and is_begun:
            lines.append(line)
            joined = f"{indent}{word}"
        line, is_begun = joined, True
    return [*lines, line]


def progress_text(number: int, count: int, action: Action, seconds: float | None) -> str:
    """The beginning of a progress line, or with `seconds` its end."""
    if seconds is None:
        return f"[{number}/{count}] {action.kind} {action.subject} ... "
    return f"{seconds:.1f} s\n"


def journal_lines(status: Mapping[str, Any], about: str) -> list[str]:
    """The newest journal in effect, a line on what it is about, and where a run of it stopped.

    `status` is `transaction.journal_store`'s, of a host or of a cloud.
    """
    lines = [
        f"journal {status['journal']}: {status['state']}, "
        f"{status['done']} of {status['actions']} actions in effect",
        about,
    ]
    if status["next"]:
        lines.append(f"stopped at:  {status['next']}")
        if status["failed"]:
            lines.append(f"because:     {status['failed']}")
        lines.append("Run apply to finish it or rollback to undo it.")
    return lines
