"""A proof as one HTML page that loads nothing else and has no script."""

from __future__ import annotations

from pathlib import Path

from wholecard.cloud.proving import text
from wholecard.cloud.proving.record import ProveReport
from wholecard.core import Severity
from wholecard.core.units import size_text
from wholecard.pages.page import environment
from wholecard.pages.page import write_page as write

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "prove.html.j2"


def write_page(report: ProveReport, target: Path) -> None:
    """Write the page to `target`, whole or not at all. Raises OSError."""
    write(page(report), target)


def page(report: ProveReport) -> str:
    """The page's text."""
    templates = environment(TEMPLATES)
    templates.filters |= {"mib": lambda mib: size_text(mib << 20)}
    return templates.get_template(TEMPLATE).render(
        report=report, text=text, outcome=text.outcome(report), asked=text.asked_text(report),
        note=Severity.NOTE,
    )  # fmt: skip
