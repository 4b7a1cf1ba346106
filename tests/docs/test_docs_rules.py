"""The rules and their pages: none without the other."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from wholecard.core.rules import RULES
from wholecard.repair.remedies.registry import REPAIRS

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: page for page in (ROOT / "docs/rules").glob("*.md")}
EMITTED = {
    code
    for file in (ROOT / "src/wholecard").rglob("*.py")
    if "core/rules" not in file.as_posix()
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
def test_page_has_its_parts(code: str) -> None:
    """A page says what its rule means, why it matters and how to fix it, and what repair does."""
    lines = PAGES[code].read_text().splitlines()
    parts = ["## What it means", "## Why it matters", "## How to fix it"]
    parts += ["## Repair"] if code in REPAIRS else []
    assert [line for line in lines if line.startswith("## ")] == parts


def test_docs_are_made_from_the_records() -> None:
    """Heads of pages, tables and navigation are what `scripts/docs/rule_pages.py` writes."""
    spec = importlib.util.spec_from_file_location("rule_pages", ROOT / "scripts/docs/rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    rule_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule_pages)
    files = rule_pages.files()
    assert [path.name for path, text in files.items() if path.read_text() != text] == []
    table = files[ROOT / "docs/reference/rules.md"]
    navigation = files[ROOT / "mkdocs.yml"]
    for code in RULES:
        assert table.count(f"| [{code}]") == navigation.count(f"- rules/{code}.md") == 1


def test_names_are_unique() -> None:
    """No two rules have one name, and each has one short sentence."""
    names = [rule.name for rule in RULES.values()]
    assert len(names) == len(set(names))
    assert all(rule.meaning.endswith(".") and len(rule.meaning) < 150 for rule in RULES.values())


@pytest.mark.parametrize("code", sorted(code for code in PAGES if code[2] in "23"))
def test_page_shows_what_is_wrong_and_what_is_right(code: str) -> None:
    """A rule of nova.conf, a request or a cloud has an example of each, the wrong one first."""
    text = PAGES[code].read_text().lower()
    assert -1 < text.find("wrong") < text.rfind("right")
