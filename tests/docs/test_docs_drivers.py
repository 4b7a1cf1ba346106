"""The page of drivers is what the table says; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from driver_page import drivers_page

from support.golden import compare

PAGE = Path(__file__).parents[2] / "docs/reference/drivers.md"


def test_page_is_current() -> None:
    """docs/reference/drivers.md is the page that the table of drivers makes."""
    compare(PAGE.name, drivers_page(), PAGE.parent)
