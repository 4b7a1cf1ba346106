"""A change of a card for people: the card, what changes or changed, the checklist."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.report_text import WIDTH, findings_text, table, wrapped
from wholecard.core.units import counted
from wholecard.moving.card_change import Kind, StepState
from wholecard.moving.card_identity import CardIdentity
from wholecard.moving.card_request import CardReport
from wholecard.moving.renumbered import Comparison, Prediction, Will

_MOST = 24
_MARKS = {True: "done", False: "to do", None: "?"}


def report_text(report: CardReport, width: int = WIDTH) -> str:
    """The whole report."""
    change = report.change
    lines = [f"{change.kind} on {change.host}"]
    if change.card is not None:
        lines += wrapped(f"card   {_card(change.card)}", "         ", "  ", width)
    if change.to_place:
        lines.append(f"  to     {change.to_place}")
    if report.comparison is None:
        lines.append("")
        if change.to_place or change.kind is not Kind.ADD:
            lines += _predicted(report.predictions, width)
    else:
        lines += ["", *_compared(report.comparison)]
    lines += [line for note in report.notes for line in wrapped(note, "  ", "", width)]
    lines += ["", "Steps:", *_steps(report.steps, width)]
    if report.findings:
        lines += ["", findings_text(report.findings, width)]
    return "\n".join(lines)


def _card(card: CardIdentity) -> str:
    serial = f", serial {card.serial}" if card.serial else ", serial not known"
    switch = f", a switch of its own with {counted(card.buses, 'bridge')}" if card.buses else ""
    subsystem = "" if "?" in card.subsystem else f", subsystem {card.subsystem}"
    return f"{card.title}, in {card.place}{subsystem}{serial}{switch}"


def _predicted(rows: tuple[Prediction, ...], width: int) -> Iterator[str]:
    if not rows:
        yield from wrapped(
            "All addresses stay, as far as the host's facts tell: nothing below the same root bus "
            "is numbered after the card.", "  ", "", width,
        )  # fmt: skip
        return
    yield from wrapped(
        "Addresses at the next boot. Below other root buses, and before the card, all stay; the "
        "firmware decides the rest, and --after shows it.", "  ", "", width,
    )  # fmt: skip
    cells = [
        (str(row.function.address), row.function.device_name or row.function.ids, row.will,
         str(row.expected) if row.expected and row.will is Will.CHANGE else "")
        for row in rows if not row.function.is_bridge
    ]  # fmt: skip
    yield table(("ADDRESS", "FUNCTION", "ADDRESS AFTERWARDS", "THEN"), cells[:_MOST])
    bridges = len(rows) - len(cells)
    counts = ((len(cells) - _MOST, "more function"), (bridges, "bridge"))
    more = [counted(count, noun) for count, noun in counts if count > 0]
    if more:
        yield f"and {' and '.join(more)}"


def _compared(comparison: Comparison) -> Iterator[str]:
    if not (comparison.renumbered or comparison.gone or comparison.new):
        yield "Nothing changed: every function is where it was."
        return
    rows = [
        (row.name, str(row.before), str(row.after), row.how.value) for row in comparison.renumbered
    ]
    rows += [(_name(each), str(each.address), "gone", "") for each in comparison.gone]
    rows += [(_name(each), "", str(each.address), "new") for each in comparison.new]
    yield table(("FUNCTION", "BEFORE", "NOW", "KNOWN BY"), rows[:_MOST])
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more"


def _name(function: object) -> str:
    vendor, name = getattr(function, "vendor_name", ""), getattr(function, "device_name", "")
    return f"{vendor} {name or getattr(function, 'ids', '')}".strip()


def _steps(steps: tuple[StepState, ...], width: int) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        mark = f"  {number}. [{_MARKS[step.done]}] "
        yield from wrapped(step.title, " " * len(mark), mark, width)
        if step.command:
            # A command is pasted: it stays one line however long that is.
            yield f"{' ' * len(mark)}{step.command}"
