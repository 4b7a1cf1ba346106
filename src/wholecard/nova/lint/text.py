"""Remarks for a person: by file, with the line and a caret under what is meant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from wholecard.core import Severity
from wholecard.nova.lint.formats import printable
from wholecard.nova.lint.remark import Remark

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "cyan"}


def show(remarks: Sequence[Remark], console: Console) -> None:
    """Print them, and how many of each severity there are."""
    for path, some in groupby(remarks, key=lambda each: each.path):
        console.print(Text(printable(path), style="bold underline"))
        for remark in some:
            _show(remark, console)
        console.print()
    console.print(summary(remarks))


def summary(remarks: Sequence[Remark]) -> Text:
    """`2 errors, 1 warning; 2 are mended by --fix`."""
    counts = [(each, sum(r.finding.severity is each for r in remarks)) for each in Severity]
    words = [f"{count} {each.value}{'' if count == 1 else 's'}" for each, count in counts if count]
    mendable = sum(bool(each.mend) for each in remarks)
    fix = f"; --fix mends {mendable} of them" if mendable else ""
    if not words:
        return Text("Nothing to find fault with.", style="green")
    return Text(", ".join(words) + fix)


def _show(remark: Remark, console: Console) -> None:
    finding, place = remark.finding, remark.place
    head = Text("  ")
    head.append(f"{place.line}:{place.column}".ljust(8), style="dim")
    head.append(finding.rule, style=_STYLES[finding.severity])
    head.append(f" {finding.severity.value}", style=_STYLES[finding.severity])
    head.append(f"  {printable(finding.subject)}: {printable(finding.message)}")
    if remark.roles:
        head.append(f"  ({', '.join(remark.roles)})", style="dim")
    console.print(head, soft_wrap=True)
    if remark.shown:
        _line(remark, console)
    for number, line in enumerate(printable(finding.fix).splitlines()):
        console.print(Text(f"          {'fix: ' if not number else ''}{line}", style="green"),
                      soft_wrap=True)  # fmt: skip


def _line(remark: Remark, console: Console) -> None:
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
