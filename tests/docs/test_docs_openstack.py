"""The reference of `openstack gpu …` says what the commands' parsers say."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from openstack_page import sections

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference/openstackclient.md"
SECTIONS = sections()


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_reference(name: str) -> None:
    """Each command's section holds its usage, its help and its options."""
    before, begin, rest = PAGE.read_text().partition(f"<!-- command: {name} -->\n")
    assert begin, f"{PAGE.name} has no section of {name}"
    current, end, after = rest.partition("<!-- end -->")
    if os.environ.get("WHOLECARD_RENEW") == "1":
        PAGE.write_text(before + begin + SECTIONS[name] + end + after)
        return
    assert current == SECTIONS[name]


def test_examples() -> None:
    """Every `openstack gpu …` on a page is a command that exists, with options that it has."""
    examples = [line for page in DOCS.rglob("*.md")
                for line in re.findall(r"openstack (gpu [^`\n]+)", page.read_text())]  # fmt: skip
    assert examples
    cliffs = {"-f", "-c", "--sort-column"}
    for line in examples:
        name = next((name for name in SECTIONS if line.startswith(name)), None)
        if name is None:
            assert line.split()[1] in ("…", "...", "[OPTIONS]"), line
            continue
        options = set(re.findall(r"(?:^| )(--?[a-z][a-z-]*)", line)) - cliffs
        assert [option for option in options if option not in SECTIONS[name]] == [], line
