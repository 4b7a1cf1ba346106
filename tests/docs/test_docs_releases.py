"""The page of releases is what the tables say; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from support.golden import compare
from wholecard.nova.release_page import releases_page

PAGE = Path(__file__).parents[2] / "docs/reference/releases.md"


def test_page_is_current() -> None:
    """docs/reference/releases.md is the page that the code's own tables make."""
    compare(PAGE.name, releases_page(), PAGE.parent)
