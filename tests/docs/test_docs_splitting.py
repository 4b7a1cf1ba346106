"""The pages of splitting a card are what the tables say; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from splitting_page import cards_page, which_page

from support.golden import compare

DOCS = Path(__file__).parents[2] / "docs"


def test_cards_page_is_current() -> None:
    """docs/reference/splitting.md is the page that the vendors' tables make."""
    compare("splitting.md", cards_page(), DOCS / "reference")


def test_which_page_is_current() -> None:
    """docs/explanation/whole-slice-or-share.md quotes the figures that the tests count."""
    compare("whole-slice-or-share.md", which_page(), DOCS / "explanation")
