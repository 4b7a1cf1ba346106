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


class _Reader:
    """The terminal of a person on another machine, who reads what this process prints."""

    columns: int | None = None


def read_elsewhere(columns: int) -> None:
    """From here on texts are for a terminal of so many columns, on another machine."""
    _Reader.columns = max(_NARROWEST, columns)


def terminal_width() -> int:
    """The columns of the terminal that standard output goes to, at most `WIDTH`.

    Files and pipes get `WIDTH`, so that what they hold does not depend on a window.
    """
    return min(WIDTH, table_width() or WIDTH)


def table_width() -> int | None:
    """The columns that a table may have: those of the terminal, None for a file or a pipe."""
    import sys

    if not sys.stdout.isatty():
        return _Reader.columns
    from shutil import get_terminal_size

    return max(_NARROWEST, get_terminal_size((WIDTH, 24)).columns)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], most_columns: int | None = None
) -> str:
    """Columns as wide as their widest cell, two spaces apart, nothing behind the last.

    Where a line would be longer than `most_columns`, its last cell goes on in further lines.
    """
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = []
    for line in lines:
        *cells, last = (cell.ljust(width) for cell, width in zip(line, widths))
        before = "".join(f"{cell}  " for cell in cells)
        text = f"{before}{last}".rstrip()
        if most_columns is not None and len(text) > most_columns:
            shown += wrapped(last, " " * len(before), before, most_columns)
        else:
            shown.append(text)
    return "\n".join(shown)


def findings_text(findings: Sequence[Finding], width: int = WIDTH) -> str:
    """Errors first, then warnings and notes, each with its fix below it; at the end how many.

    What is said of several subjects in the same words is said, and counted, once. Prose is wrapped
    at `width` columns; a fix's lines after its first are commands and stay whole.
    """
    from wholecard.core import Severity

    if not findings:
        return "No findings: all is well."
    lines = []
    counts = []
    for severity in Severity:
        same = _alike(finding for finding in findings if finding.severity is severity)
        for finding, *others in same:
            lines += _finding_lines(finding, [other.subject for other in others], width)
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


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings in their order, with those that differ in their subject alone together."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(without_subject(finding), []).append(finding)
    return list(groups.values())


def without_subject(finding: Finding) -> tuple[str, str, str]:
    """Rule, message and fix without the subject: equal where one cause has several subjects."""
    import re

    subject = rf"(?<!\w){re.escape(finding.subject)}(?!\w)"
    message, fix = (re.sub(subject, "\0", text) for text in (finding.message, finding.fix))
    return finding.rule, message, fix


def _finding_lines(finding: Finding, others: Sequence[str], width: int) -> list[str]:
    head = f"{finding.rule} {finding.severity.value} {finding.subject}: "
    lines = wrapped(head + finding.message, "      ", "", width)
    if others:
        names = ", ".join(dict.fromkeys(others))
        lines += wrapped(f"the same for: {names}", "           ", "      ", width)
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
        f"since:       {time_text(status['since'])}",
    ]
    if status["next"]:
        lines.append(f"stopped at:  {status['next']}")
        if status["failed"]:
            lines.append(f"because:     {status['failed']}")
        lines.append("Run apply to finish it or rollback to undo it.")
    return lines


def history_lines(history: Sequence[Mapping[str, Any]], about: str) -> list[str]:
    """An empty line, then a row for each journal; none where there is no journal.

    `about` is the field that says what it was about, a text or several.
    """
    rows = []
    for entry in history:
        value = entry[about]
        text = value if isinstance(value, str) else ", ".join(value)
        rows.append((entry["journal"], entry["state"], time_text(entry["since"]), text))
    head = ("JOURNAL", "STATE", "SINCE", about.upper())
    return ["", table(head, rows, table_width())] if rows else []


def undo_text(planned: Mapping[str, Any]) -> str:
    """What a rollback would do, from `transaction.engine.PlannedUndo` as plain data."""
    lines = []
    for number, action in enumerate(planned["actions"], 1):
        lines.append(f"{number}. journal {action['journal']}: {action['kind']} {action['subject']}")
        lines += wrapped(action["undo"], " " * 9, "   undo: ", terminal_width())
    for sentence in planned["edited"]:
        lines += ["", sentence]
    if planned["edited"]:
        lines += ["", "Because of these edits rollback stops; --discard-edits overwrites them."]
    summary = f"{counted(len(planned['actions']), 'change')} would be undone."
    lines.append(f"{summary} Reboot afterwards." if planned["reboot_needed"] else summary)
    return "\n".join(lines)


def time_text(seconds: float) -> str:
    """`2026-11-30 17:05:03 UTC`: seconds since the epoch in the time zone of this machine."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
