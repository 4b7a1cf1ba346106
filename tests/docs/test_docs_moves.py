"""The page of nova's moves is what the recording makes of it; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

from pathlib import Path

from moves_page import moves_page

from support.golden import compare

PAGE = Path(__file__).parents[2] / "docs/explanation/a-card-step-by-step.md"


def test_page_is_current() -> None:
    """docs/explanation/a-card-step-by-step.md says what was recorded of nova."""
    compare(PAGE.name, moves_page(), PAGE.parent)
