"""A report for people: by host and card, what each of the four places says, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wholecard.audit.record import Disagreement, View
from wholecard.audit.report import AuditReport
from wholecard.core import Finding, Severity
from wholecard.core.rules import RULES
from wholecard.core.units import counted

_HEADS = {
    View.SYSFS: "sysfs",
    View.LIBVIRT: "libvirt",
    View.NOVA: "nova",
    View.PLACEMENT: "Placement",
}
_MARKS = {
    Severity.ERROR: ("✗", "bold red"),
    Severity.WARNING: ("!", "yellow"),
    Severity.NOTE: ("·", "dim"),
}
_INDENT = 6
# A server's id is whole in the message; in a column its beginning is enough to compare.
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")

Block = Text | Table | Padding


def blocks(report: AuditReport) -> Iterator[Block]:
    """The report from its first host to the summary."""
    rows = [*report.disagreements, *report.in_flight]
    in_flight = set(map(id, report.in_flight))
    findings = dict(zip(map(id, rows), report.findings, strict=False))
    rows.sort(key=lambda row: (row.host, row.address, row.rule))
    for host, of_host in groupby(rows, key=lambda row: row.host):
        yield Text(host, "bold")
        for card, of_card in groupby(of_host, key=_card):
            yield Text(f"  {card}")
            for _, of_address in groupby(of_card, key=lambda row: row.address):
                same = list(of_address)
                yield Padding(_places(same), (0, 0, 0, _INDENT))
                for row in same:
                    yield from _disagreement(row, findings[id(row)], id(row) in in_flight)
        yield Text()
    for finding in report.findings[len(rows) :]:
        yield from _not_read(finding)
    yield from _summary(report)


def _card(row: Disagreement) -> str:
    """What a person walks to: the slot; a device of another kind has its own name."""
    if not row.address:
        return "the host"
    slot, dot, function = row.address.rpartition(".")
    return f"card {slot}" if dot and len(function) == 1 else row.address


def _disagreement(row: Disagreement, finding: Finding, in_flight: bool) -> Iterator[Block]:
    mark, style = _MARKS[finding.severity]
    title = f"in progress: {RULES[row.rule].title}" if in_flight else RULES[row.rule].title
    where = f" {row.address}" if row.address else ""
    yield Text.assemble((f"    {mark} {finding.rule}", style), where, (f"  {title}", "bold"))
    yield Padding(Text(finding.message), (0, 0, 0, _INDENT))
    yield from _fix(finding.fix)


def _places(rows: Sequence[Disagreement]) -> Table:
    """The four places as columns, of one width on every line of the report.

    Of several disagreements on one device the longest text counts: it knows the most.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    for view in View:
        table.add_column(_HEADS[view], ratio=1, overflow="fold")
    texts = (max((row.says.get(view, "—") for row in rows), key=len) for view in View)
    table.add_row(*(Text(_UUID.sub(r"\1…", text), "cyan") for text in texts))
    return table


def _fix(fix: str) -> Iterator[Block]:
    for line in f"fix: {fix}".splitlines() if fix else ():
        if line.startswith(" "):
            # A command is pasted: it stays one line however long that is.
            yield Text(f"{'':{_INDENT}}{line}", no_wrap=True, overflow="ignore")
        else:
            yield Padding(Text(line, "green"), (0, 0, 0, _INDENT))


def _not_read(finding: Finding) -> Iterator[Block]:
    mark, style = _MARKS[finding.severity]
    title = RULES[finding.rule].title
    yield Text.assemble((f"{mark} {finding.rule}", style), (f"  {title}", "bold"))
    yield Padding(Text(finding.message), (0, 0, 0, _INDENT))
    yield from _fix(finding.fix)


def _summary(report: AuditReport) -> Iterator[Block]:
    counts = [
        counted(number, severity.value)
        for severity in Severity
        if (number := sum(finding.severity is severity for finding in report.findings))
    ]
    looked_at = f"{counted(report.hosts, 'host')}, {counted(report.devices, 'device')}"
    if not counts:
        said = "sysfs, libvirt, nova and Placement agree."
        yield Text.assemble((said, "bold green"), f" {looked_at}, {report.seconds:.1f} s")
        return
    yield Text.assemble(
        (", ".join(counts), "bold"),
        f" · {looked_at} · read everywhere: {report.views_text} · {report.seconds:.1f} s",
    )
