"""The page of metrics is what the exporter serves; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from metrics_page import metrics_page

from support.golden import compare

PAGE = Path(__file__).parents[2] / "docs/reference/metrics.md"


def test_page_is_current() -> None:
    """docs/reference/metrics.md is the page that the exporter's records make."""
    compare(PAGE.name, metrics_page(), PAGE.parent)
