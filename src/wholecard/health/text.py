"""A health report as text for a person."""

from __future__ import annotations

from collections import Counter

from wholecard.cloud.placement.card_state import CardState
from wholecard.core.report_text import findings_text, table
from wholecard.core.units import counted
from wholecard.health.record import CardRow, HealthReport
from wholecard.host.agent.health_text import errors_text, link_text

_HEAD = ("HOST", "CARD", "MODEL", "STATE", "LINK", "ERRORS", "PORT'S ERRORS", "SERVER", "PROJECT")
_HOUR = 3600


def report_text(report: HealthReport, width: int) -> str:
    """The cards, how many are what, the projects' card-hours, then the findings."""
    parts = [_cards(report)]
    if report.cloud_error:
        parts.append(f"The cloud was not read: {report.cloud_error}")
    if report.card_seconds:
        parts.append(_usage(report))
    parts.append(findings_text(report.findings, width))
    return "\n\n".join(parts)


def _cards(report: HealthReport) -> str:
    if not report.cards:
        return "No cards were found."
    counts = Counter(row.state for row in report.cards)
    states = ", ".join(f"{counts[state]} {state.value}" for state in CardState if counts[state])
    total = f"{counted(len(report.cards), 'card')}: {states}."
    return f"{table(_HEAD, map(_row, report.cards))}\n\n{total}"


def _row(row: CardRow) -> tuple[str, ...]:
    card = row.card
    return (
        row.host,
        card.slot,
        card.model or card.ids,
        row.state.value,
        link_text(card.functions[0]),
        errors_text([function.errors for function in card.functions]),
        errors_text([port.errors for port in card.ports]),
        row.server or "-",
        row.project or "-",
    )


def _usage(report: HealthReport) -> str:
    seconds = report.card_seconds or {}
    rows = [
        (project, f"{seconds[project] / _HOUR:.1f}")
        for project in sorted(seconds, key=lambda project: (-seconds[project], project))
    ]
    since = f"{report.usage_since:%Y-%m-%d %H:%M} UTC" if report.usage_since else ""
    return f"Card-hours since {since}:\n{table(('PROJECT', 'CARD-HOURS'), rows)}"
