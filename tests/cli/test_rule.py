"""`wholecard rule`: one rule, all rules, and words that are near to one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wholecard.cli import rule as rule_command
from wholecard.cli.app import run_app
from wholecard.core.rules import RULES

PAGE = Path(__file__).parents[2] / "docs/rules/WC123.md"


@pytest.mark.parametrize("word", ["WC123", "wc123", "address-width", "Address Width"])
def test_a_rule_is_its_page(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A code or a name prints the rule's page, as it is where the output is no terminal."""
    assert run_app(["rule", word]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


def test_json_has_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json or -f json a rule is its record and its page."""
    for words in (["--json"], ["-f", "json"]):
        assert run_app(["rule", "WC123", *words]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data == {**RULES["WC123"].to_json(), "page": PAGE.read_text()}


def test_all_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a rule all are listed, a line or an object for each."""
    assert run_app(["rule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)
    assert run_app(["rule", "--json"]) == 0
    rows = [rule.to_json() for rule in RULES.values()]
    assert json.loads(capsys.readouterr().out) == {"rules": rows}
    assert run_app(["rule", "-f", "csv", "-c", "code", "-c", "severity"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["code,severity", "WC101,error"]


@pytest.mark.parametrize(
    ("word", "resolution"),
    [
        ("WC12 3x", "Did you mean WC123 (The cards' memory"),
        ("adress-width", "Did you mean WC123 (The cards' memory"),
        ("nothing", "wholecard rule lists all rules."),
    ],
)
def test_an_unknown_rule(word: str, resolution: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is no rule is a wrong call, and the nearest rule is named."""
    assert run_app(["rule", word]) == 2
    assert resolution in capsys.readouterr().err


def test_the_record_without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no pages are installed the record is what there is."""
    monkeypatch.setattr(rule_command, "_FOLDERS", ())
    page = rule_command.page_of(RULES["WC123"])
    assert page.endswith(f"Severity: warning.\n\n{RULES['WC123'].meaning}\n")
