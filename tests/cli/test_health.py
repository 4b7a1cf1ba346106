"""`wholecard health` and `exporter` as commands: options, output, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from support.health_reports import GPU, SLOT, answers, card, fleet_of, health
from support.sick_host import DEAD, aer, kernel_log
from support.sick_host import card as card_tree
from support.tree import grow
from wholecard.host.agent.cli import main
from wholecard.host.facts.card_health import Errors

FATAL = Errors(0, 0, 1, (("fatal DLP", 1),))


def test_report(tmp_path: Path) -> None:
    """A row for each card, then the findings; an error makes it end with 1."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01", "gpu-02")
    answers(fleet, "gpu-01", health(card(errors=FATAL)))
    answers(fleet, "gpu-02", health())
    ran = fleet.run("health", "--on", "gpu-01,gpu-02")
    assert ran.status == 1
    rows = [line.split()[:2] for line in ran.stdout.splitlines()[1:3]]
    assert rows == [["gpu-01", SLOT], ["gpu-02", SLOT]]
    assert "2 cards: 1 broken, 1 free." in ran.stdout
    assert f"WC581 error gpu-01 {GPU}" in ran.stdout


def test_since(tmp_path: Path) -> None:
    """With an earlier answer only what is new is a finding."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01")
    answers(fleet, "gpu-01", health(card(errors=FATAL)))
    before = fleet.run("health", "--on", "gpu-01", "--json")
    file = tmp_path / "before.json"
    file.write_text(before.stdout)
    again = fleet.run("health", "--on", "gpu-01", "--since", str(file))
    assert (before.status, again.status) == (1, 0)
    assert "No findings" in again.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("health",), "no host is named"),
        (("--on", "gpu-01", "health"), "--on must come after health"),
        (("health", "--on", "gpu-01", "--since", "/gone"), "is no answer of health"),
        (("health", "--on", "gpu-01", "--ssh-config", "/gone"), "file not found"),
        (("health", "--local", "-f", "xml"), "no format 'xml'"),
        (("exporter",), "nothing is to be read"),
        (("exporter", "--local", "--textfile", "x.txt"), "does not end in .prom"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_called_wrongly(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """What is called wrongly ends with 2 and says how to write it."""
    ran = fleet_of(tmp_path / "fleet", "gpu-01").run(*words)
    assert ran.status == 2
    assert told in ran.stderr


def test_columns(tmp_path: Path) -> None:
    """The rows are the cards, in every format."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01")
    answers(fleet, "gpu-01", health())
    ran = fleet.run("health", "--on", "gpu-01", "-f", "csv", "-c", "card", "-c", "state")
    assert ran.stdout == f"card,state\n{SLOT},free\n"


def test_printed_files(tmp_path: Path) -> None:
    """The dashboard is JSON and the rules are YAML; neither needs a host."""
    fleet = fleet_of(tmp_path / "fleet")
    assert json.loads(fleet.run("exporter", "--dashboard").stdout)["title"] == "Wholecard: cards"
    assert yaml.safe_load(fleet.run("exporter", "--alerts").stdout)["groups"]


def test_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The agent's command prints the cards and findings, or all of it as JSON."""
    tree = {**card_tree(config=DEAD, **aer(1)), **kernel_log("x")}
    root = str(grow(tmp_path, tree))
    assert main(["health", "--root", root]) == 1
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].split()[0] == SLOT
    assert "WC580" in shown
    assert main(["health", "--root", root, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in data["findings"]] == ["WC580", "WC582"]
    assert data["cards"][0]["functions"][0]["config"] == "dead"
