"""A proof as one HTML page that loads nothing else and has no script."""

from __future__ import annotations

from pathlib import Path

import jinja2

from wholecard.cloud.proving import text
from wholecard.cloud.proving.record import ProveReport
from wholecard.core import Severity
from wholecard.core.plain_text import plain
from wholecard.core.units import size_text
from wholecard.transaction.atomic_files import write_atomically

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "prove.html.j2"


def write_page(report: ProveReport, target: Path) -> None:
    """Write the page to `target`, whole or not at all. Raises OSError."""
    write_atomically(target, page(report).encode("utf-8", "replace"), 0o644)


def page(report: ProveReport) -> str:
    """The page's text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    environment.filters |= {"mib": lambda mib: size_text(mib << 20)}
    return environment.get_template(TEMPLATE).render(
        report=report, text=text, outcome=text.outcome(report), asked=text.asked_text(report),
        note=Severity.NOTE,
    )  # fmt: skip


def _shown(value: object) -> object:
    """Texts of others without what commands a terminal or turns the direction of reading."""
    return plain(value) if type(value) is str else value
