"""The report of a site as one HTML page that loads nothing else and has no script."""

from __future__ import annotations

from pathlib import Path

from wholecard import __version__
from wholecard.core import Severity
from wholecard.pages.page import environment
from wholecard.site.report.request import SiteReport

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "site.html.j2"


def page(report: SiteReport, title: str, made: str, with_site: bool = False) -> str:
    """The page's text; `made` says when and from what, `with_site` adds what a site file says."""
    return environment(TEMPLATES).get_template(TEMPLATE).render(
        report=report, title=title, made=made, with_site=with_site, severity=Severity,
        version=__version__,
    )  # fmt: skip
