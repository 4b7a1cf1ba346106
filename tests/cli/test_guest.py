"""`wholecard guest agent`: the file that a person takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from wholecard.cli.app import run_app
from wholecard.guest.agent.files import agent_text, unit_text
from wholecard.guest.proof.record import parse


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_printed(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed as it is, to the byte."""
    assert run_app(["guest", "agent", "--os", system]) == 0
    assert capsys.readouterr().out == agent_text(system)


def test_a_file_that_runs(tmp_path: Path) -> None:
    """Written to a file it is executable, and reports on this machine by hand."""
    file = tmp_path / "wholecard-agent"
    assert run_app(["guest", "agent", "-o", str(file)]) == 0
    run = subprocess.run(
        [str(file), "--stdout"], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert parse(run.stdout).complete


def test_the_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """With --unit it is the systemd unit."""
    assert run_app(["guest", "agent", "--unit"]) == 0
    assert capsys.readouterr().out == unit_text()


def test_an_unknown_system() -> None:
    """Another system is a wrong call."""
    assert run_app(["guest", "agent", "--os", "plan9"]) == 2
