"""The page of error texts is what explain knows."""

from __future__ import annotations

import os
import re

import pytest
from error_texts_page import PAGE, page, readable

from wholecard.explain.live_refusals import LIVE_MESSAGES
from wholecard.explain.refusals import MESSAGES


def test_page() -> None:
    """The page is what the script writes."""
    if os.environ.get("WHOLECARD_RENEW"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("pattern", [row[1] for row in (*MESSAGES, *LIVE_MESSAGES)])
def test_readable(pattern: str) -> None:
    """Each text is one that its pattern finds, whatever the ellipses are."""
    for text in readable(pattern):
        said = re.sub("…", "7", text)
        assert re.search(pattern, said) or "…" in text, text
