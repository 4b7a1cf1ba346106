"""The reference of the commands says what --help says; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from wholecard.cli.app import made_app
from wholecard.cli.main import ALONE
from wholecard.host.agent import main
from wholecard.host.help import COMMANDS

PAGE = Path(__file__).parents[2] / "docs/reference/cli.md"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_in_reference(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host command's section holds its --help as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"], "wholecard" if name in ALONE else "wholecard host")
    begin, end = f"<!-- help: {name} -->\n", "<!-- end -->"
    block = f"{begin}```text\n{capsys.readouterr().out.rstrip()}\n```\n{end}"
    before, found, rest = PAGE.read_text().partition(begin)
    assert found, f"{PAGE.name} has no section with {begin}"
    stands, _, after = rest.partition(end)
    if os.environ.get("WHOLECARD_RENEW") == "1":
        PAGE.write_text(before + block + after)
        return
    assert begin + stands + end == block


def test_global_options() -> None:
    """Every option before the command stands in the reference."""
    callback = made_app([]).registered_callback
    assert callback is not None
    notes = " ".join(map(str, getattr(callback.callback, "__annotations__", {}).values()))
    options = set(re.findall(r"['\"](--[a-z-]+)['\"]", notes))
    assert {"--on", "--sudo", "--jobs", "--timeout"} <= options
    page = PAGE.read_text()
    assert [option for option in sorted(options) if f"`{option}" not in page] == []
