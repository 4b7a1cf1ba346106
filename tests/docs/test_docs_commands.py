"""The reference of the commands says what --help says; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command_page import command_names, sections
from completion_table import completion_table
from typer.main import get_command

from support.golden import compare
from wholecard.cli.app import build_app
from wholecard.cli.completion import TABLE
from wholecard.host.agent.cli import ALONE, main
from wholecard.host.agent.help import COMMANDS

README = Path(__file__).parents[2] / "README.md"
PAGE = README.parent / "docs/reference/cli.md"
GROUPS = ("audit", "capacity", "card", "cloud", "drain", "exporter", "explain", "guest", "handover",
          "health", "host", "image", "lab", "migrate", "nova", "prove", "repair", "rule", "site",
          "split", "undrain")  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_in_reference(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host command's section holds its --help as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"], "wholecard" if name in ALONE else "wholecard host") == 0
    _hold(f"<!-- help: {name} -->\n", f"```text\n{capsys.readouterr().out.rstrip()}\n```\n")


@pytest.mark.parametrize("name", GROUPS)
def test_commands_in_reference(name: str) -> None:
    """Each other command's section holds its usage, its help and all of its options."""
    _hold(f"<!-- commands: {name} -->\n", sections()[name])


def test_groups() -> None:
    """No group of commands is left out."""
    assert set(sections()) == set(GROUPS)


def test_completion_table() -> None:
    """What a shell completes are the commands' own words and options."""
    compare(TABLE.name, completion_table(), TABLE.parent)


def _hold(begin: str, text: str) -> None:
    """Assert that `text` stands behind `begin` on the page, or make it so."""
    before, found, rest = PAGE.read_text().partition(begin)
    assert found, f"{PAGE.name} has no section with {begin}"
    stands, end, after = rest.partition("<!-- end -->")
    if os.environ.get("WHOLECARD_RENEW") == "1":
        PAGE.write_text(before + begin + text + end + after)
        return
    assert stands == text


def test_commands_in_readme() -> None:
    """README's table has every command; behind the first a row has others of its group."""
    named = set()
    for row in re.findall(r"^\| (`wholecard [^|]*) \|", README.read_text(), re.M):
        first, *others = re.findall(r"`([^`]+)`", row)
        group = first.removeprefix("wholecard ").rpartition(" ")[0]
        named |= {first.removeprefix("wholecard "), *(f"{group} {each}".strip() for each in others)}
    assert command_names() - named == set()


def test_global_options() -> None:
    """Every option before the command stands in the reference."""
    params = get_command(build_app([])).params
    # typer adds the two of the completion's script.
    options = {
        text for param in params for text in param.opts if re.match("--(?!.*-completion)", text)
    }
    assert {"--on", "--sudo", "--jobs", "--timeout"} <= options
    page = PAGE.read_text()
    assert [option for option in sorted(options) if f"`{option}" not in page] == []
