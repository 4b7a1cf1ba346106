"""The pages of splitting a card are what the tables say; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from splitting_page import cards_page, which_page

from support.golden import compare
from wholecard.cli.app import run_app

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    (page.stem, kind, command)
    for page in sorted((DOCS / "rules").glob("WC60*.md"))
    for kind, command in re.findall(r"^- (Wrong|Right): `wholecard (.*)`$", page.read_text(), re.M)
]


def test_cards_page_is_current() -> None:
    """docs/reference/splitting.md is the page that the vendors' tables make."""
    compare("splitting.md", cards_page(), DOCS / "reference")


def test_which_page_is_current() -> None:
    """docs/explanation/whole-slice-or-share.md quotes the figures that the tests count."""
    compare("whole-slice-or-share.md", which_page(), DOCS / "explanation")


@pytest.mark.parametrize(("code", "kind", "command"), EXAMPLES)
def test_examples_of_rules(
    code: str, kind: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a rule's page calls wrong has its finding, and what it calls right has none."""
    status = run_app(shlex.split(command))
    assert (status, f"{code} error" in capsys.readouterr().out) == (
        (1, True) if kind == "Wrong" else (0, False)
    )


def test_each_rule_with_examples_has_both() -> None:
    """A page that shows what is wrong shows what is right."""
    assert sorted({code for code, *_ in EXAMPLES}) == ["WC601", "WC604", "WC607"]
    assert len(EXAMPLES) == 6
