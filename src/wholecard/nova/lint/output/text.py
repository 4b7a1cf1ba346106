"""Remarks for a person: by file, with the line and a caret under what is meant."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from wholecard.core import Severity
from wholecard.core.report_text import read_more_text
from wholecard.core.units import counted
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.output.github import printable

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "cyan"}


# How far what goes on is indented, and what a narrow terminal is taken for.
_INDENT, _NARROW = 10, 50


def show(remarks: Sequence[Diagnostic], console: Console, unseen: Sequence[str] = ()) -> None:
    """Print them, how many of each severity there are, and what was not looked at."""
    for path, some in groupby(remarks, key=lambda each: each.path):
        console.print(Text(printable(path), style="bold underline"))
        for remark in some:
            _show(remark, console)
        console.print()
    if remarks:
        more = read_more_text(remarks[0].finding.rule)
        console.print(Text(more, style="dim"), soft_wrap=True)
    console.print(summary(remarks))
    if unseen:
        text = printable(f"Not looked at: {', '.join(unseen)}.")
        for line in _wrapped(text, console):
            console.print(Text(line, style="dim"), soft_wrap=True)


def summary(remarks: Sequence[Diagnostic]) -> Text:
    """`2 errors, 1 warning; 2 are mended by --fix`."""
    counts = [(each, sum(r.finding.severity is each for r in remarks)) for each in Severity]
    words = [counted(count, each.value) for each, count in counts if count]
    mendable = sum(bool(each.mend) for each in remarks)
    fix = f"; --fix mends {mendable} of them" if mendable else ""
    if not words:
        return Text("Nothing to find fault with.", style="green")
    return Text(", ".join(words) + fix)


def _show(remark: Diagnostic, console: Console) -> None:
    finding, place = remark.finding, remark.place
    at, code = f"{place.line}:{place.column}".ljust(8), f"{finding.rule} {finding.severity.value}"
    roles = f"  ({', '.join(remark.roles)})" if remark.roles else ""
    said = f"{printable(finding.subject)}: {printable(finding.message)}{roles}"
    lines = _wrapped(said, console, len(f"  {at}{code}  "))
    head = Text.assemble("  ", (at, "dim"), (code, _STYLES[finding.severity]), "  ", lines[0])
    for text in (head, *(Text(f"{'':{_INDENT}}{each}") for each in lines[1:])):
        if roles and text.plain.endswith(roles.strip()):
            text.stylize("dim", len(text) - len(roles.strip()))
        console.print(text, soft_wrap=True)
    if remark.shown:
        _line(remark, console)
    for number, line in enumerate(printable(finding.fix).splitlines()):
        words = f"{'fix: ' if not number else ''}{line}"
        # A line to be pasted stays whole.
        parts = [words] if line.startswith(" ") else _wrapped(words, console, _INDENT)
        for part in parts:
            console.print(Text(f"{'':{_INDENT}}{part}", style="green"), soft_wrap=True)


def _wrapped(text: str, console: Console, first: int = 0) -> list[str]:
    """The text in lines; of the first `first` columns are taken, of the others the indentation.

    No word is cut: a path or a list is copied from here.
    """
    lines = textwrap.wrap(
        text, max(console.width, _NARROW) - (_INDENT if first else 0),
        initial_indent=" " * max(0, first - _INDENT), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.lstrip() for line in lines] or [""]


def _line(remark: Diagnostic, console: Console) -> None:
    """The line, or the part of a long one that matters, and the caret below it."""
    width = max(console.width - 14, 40)
    line = printable(remark.shown).replace("\r", "\ufffd")
    column = remark.place.column - 1
    start = 0 if len(line) <= width or column < width - 10 else column - width // 2
    part = line[start : start + width]
    before = "…" if start else ""
    after = "…" if start + width < len(line) else ""
    length = max(1, min(remark.length, len(part) - (column - start)))
    console.print(Text(f"          {before}{part}{after}", style="dim"), soft_wrap=True)
    blanks = " " * (10 + len(before) + column - start)
    console.print(Text(blanks + "^" * length, style=_STYLES[remark.finding.severity]),
                  soft_wrap=True)  # fmt: skip
