"""The page of releases is what the tables say; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from release_page import releases_page

from support.golden import compare

PAGE = Path(__file__).parents[2] / "docs/reference/releases.md"


def test_page_is_current() -> None:
    """docs/reference/releases.md is the page that the code's own tables make."""
    compare(PAGE.name, releases_page(), PAGE.parent)
