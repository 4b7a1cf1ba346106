"""The health of a host's cards as text for a person."""

from __future__ import annotations

from wholecard.core.report_text import table
from wholecard.host.facts.card_health import CardHealth, Errors, FunctionHealth, HostHealth

_HEAD = ("CARD", "MODEL", "DRIVER", "POWER", "LINK", "ERRORS", "PORT'S ERRORS", "DOMAIN")


def health_text(health: HostHealth) -> str:
    """A row for each card. Errors are correctable/non-fatal/fatal, of all its functions."""
    if not health.cards:
        return "This host has no cards."
    return table(_HEAD, map(_row, health.cards))


def _row(card: CardHealth) -> tuple[str, ...]:
    first = card.functions[0]
    return (
        card.slot,
        card.model or card.ids,
        first.driver or "-",
        first.power_state or first.runtime_status or "-",
        link_text(first),
        errors_text([function.errors for function in card.functions]),
        errors_text([port.errors for port in card.ports]),
        "?" if card.domain is None else card.domain or "-",
    )


def link_text(function: FunctionHealth) -> str:
    """`x8 of x16`; the speed says nothing of an idle card."""
    if not function.link_width:
        return "-"
    return f"x{function.link_width} of x{function.link_width_max or '?'}"


def errors_text(counters: list[Errors | None]) -> str:
    """`0/2/0`: the sums; `-` where nothing is counted."""
    known = [errors for errors in counters if errors is not None]
    if not known:
        return "-"
    sums = (
        sum(errors.correctable for errors in known),
        sum(errors.nonfatal for errors in known),
        sum(errors.fatal for errors in known),
    )
    return "/".join(map(str, sums))
