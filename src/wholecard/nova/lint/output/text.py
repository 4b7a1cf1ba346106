"""Diagnostics as text: by file, with the line and a caret below the characters in question."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from wholecard.core import Severity
from wholecard.core.plain_text import plain
from wholecard.core.report_text import read_more_text
from wholecard.core.units import counted
from wholecard.nova.lint.diagnostic import Diagnostic

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "cyan"}
# The indentation of continued lines, and the width below which a terminal is not believed.
_INDENT, _NARROW = 10, 50


def show(
    diagnostics: Sequence[Diagnostic], console: Console, unchecked: Sequence[str] = ()
) -> None:
    """Print them, how many of each severity there are, and what was not checked."""
    for path, in_file in groupby(diagnostics, key=lambda each: each.path):
        console.print(Text(plain(path), style="bold underline"))
        for diagnostic in in_file:
            _show(diagnostic, console)
        console.print()
    if diagnostics:
        more = read_more_text(diagnostics[0].finding.rule)
        console.print(Text(more, style="dim"), soft_wrap=True)
    console.print(summary(diagnostics))
    text = plain(f"Not checked: {', '.join(unchecked)}.")
    for line in _wrapped(text, console) if unchecked else ():
        console.print(Text(line, style="dim"), soft_wrap=True)


def summary(diagnostics: Sequence[Diagnostic]) -> Text:
    """`2 errors, 1 warning; --fix fixes 2 of them`."""
    counts = Counter(diagnostic.finding.severity for diagnostic in diagnostics)
    words = [counted(counts[severity], severity.value) for severity in Severity if counts[severity]]
    fixable = sum(bool(each.edits) for each in diagnostics)
    fix = f"; --fix fixes {fixable} of them" if fixable else ""
    return Text(", ".join(words) + fix) if words else Text("No findings.", style="green")


def _show(diagnostic: Diagnostic, console: Console) -> None:
    finding, position = diagnostic.finding, diagnostic.position
    at = f"{position.line}:{position.column}".ljust(8)
    code = f"{finding.rule} {finding.severity.value}"
    roles = f"  ({', '.join(diagnostic.roles)})" if diagnostic.roles else ""
    message = f"{plain(finding.subject)}: {plain(finding.message)}{roles}"
    lines = _wrapped(message, console, len(f"  {at}{code}  "))
    head = Text.assemble("  ", (at, "dim"), (code, _STYLES[finding.severity]), "  ", lines[0])
    for text in (head, *(Text(f"{'':{_INDENT}}{each}") for each in lines[1:])):
        if roles and text.plain.endswith(roles.strip()):
            text.stylize("dim", len(text) - len(roles.strip()))
        console.print(text, soft_wrap=True)
    if diagnostic.shown:
        _show_line(diagnostic, console)
    _show_fix(finding.fix, console)


def _show_fix(fix: str, console: Console) -> None:
    for number, line in enumerate(plain(fix).splitlines()):
        words = f"{'fix: ' if not number else ''}{line}"
        # An indented line is to be pasted, so it stays whole.
        parts = [words] if line.startswith(" ") else _wrapped(words, console, _INDENT)
        for part in parts:
            console.print(Text(f"{'':{_INDENT}}{part}", style="green"), soft_wrap=True)


def _wrapped(text: str, console: Console, first: int = 0) -> list[str]:
    """The text in lines that fit beside the indentation; `first` columns of the first are taken.

    No word is cut, so that a path or a list can be copied.
    """
    lines = textwrap.wrap(
        text, max(console.width, _NARROW) - (_INDENT if first else 0),
        initial_indent=" " * max(0, first - _INDENT), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.lstrip() for line in lines] or [""]


def _show_line(diagnostic: Diagnostic, console: Console) -> None:
    """The line, or the part of a long one around the position, and the carets below it."""
    width = max(console.width - 14, 40)
    line = plain(diagnostic.shown, keep="")
    column = diagnostic.position.column - 1
    start = 0 if len(line) <= width or column < width - 10 else column - width // 2
    part = line[start : start + width]
    before = "…" if start else ""
    after = "…" if start + width < len(line) else ""
    length = max(1, min(diagnostic.length, len(part) - (column - start)))
    console.print(Text(f"          {before}{part}{after}", style="dim"), soft_wrap=True)
    blanks = " " * (10 + len(before) + column - start)
    console.print(Text(blanks + "^" * length, style=_STYLES[diagnostic.finding.severity]),
                  soft_wrap=True)  # fmt: skip
