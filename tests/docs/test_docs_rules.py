"""The rules and their pages: none without the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wholecard.core.rules import RULES

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: page for page in (ROOT / "docs/rules").glob("*.md")}
EMITTED = {
    code
    for file in (ROOT / "src/wholecard").rglob("*.py")
    if file.name != "rules.py"
    for code in re.findall(r'"(WC\d{3})"', file.read_text())
}


def test_every_emitted_rule_has_a_page() -> None:
    """A code that a person can meet has a page."""
    assert EMITTED - set(PAGES) == set()


def test_every_page_has_a_rule() -> None:
    """No page describes a rule that the code does not know or never reports."""
    assert set(PAGES) - EMITTED == set()
    assert set(PAGES) - set(RULES) == set()


@pytest.mark.parametrize("code", sorted(PAGES))
def test_page_is_titled_as_its_rule(code: str) -> None:
    """A page's title is its code and the rule's title, and it has all its parts."""
    lines = PAGES[code].read_text().splitlines()
    assert lines[0] == f"# {code}: {RULES[code]}"
    parts = ["## What it means", "## Why it matters", "## How to mend it"]
    assert [line for line in lines if line.startswith("## ")] == parts


@pytest.mark.parametrize("code", sorted(PAGES))
def test_page_can_be_found(code: str) -> None:
    """A page stands in the table of rules and in the navigation."""
    title = re.escape(RULES[code])
    table = (ROOT / "docs/reference/rules.md").read_text()
    assert re.search(rf"^\| \[{code}\]\(\.\./rules/{code}\.md\) \| {title} \|", table, re.M)
    assert f"- rules/{code}.md\n" in (ROOT / "mkdocs.yml").read_text()


def test_navigation_has_the_ranges_of_the_table() -> None:
    """In the navigation the rules stand under the headings that the table has, in its order."""
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    reference = next(each["Reference"] for each in nav if "Reference" in each)
    rules = next(each["Rules"] for each in reference if "Rules" in each)
    stands = {name: pages for each in rules[1:] for name, pages in each.items()}
    table: dict[str, list[str]] = {}
    heading = ""
    for line in (ROOT / "docs/reference/rules.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        for code in re.findall(r"^\| \[(WC\d{3})\]", line):
            table.setdefault(heading, []).append(f"rules/{code}.md")
    assert list(stands.items()) == list(table.items())


@pytest.mark.parametrize("code", sorted(code for code in PAGES if code[2] in "23"))
def test_page_shows_what_is_wrong_and_what_is_right(code: str) -> None:
    """A rule of nova.conf, a request or a cloud has an example of each, the wrong one first."""
    text = PAGES[code].read_text().lower()
    assert -1 < text.find("wrong") < text.rfind("right")
