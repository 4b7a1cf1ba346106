"""The shapes that every room shares."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from wholecard.core import (
    Action,
    Finding,
    Operation,
    Plan,
    RefusedError,
    RunError,
    Severity,
    Step,
    UsageError,
    WholecardError,
    exit_status,
    run,
)
from wholecard.core.rules import RULES


class Touch(Operation[None]):
    """An operation of a test."""

    kind = "touch"

    def describe(self) -> str:
        return "+ one\n+ two"

    def do(self, context: None, step: Step) -> dict[str, Any]:
        return {}

    def undo(self, context: None, step: Step) -> None: ...


ACTION = Action("touch", "/x", "because", Touch(), "remove it")


def test_finding_json() -> None:
    """A finding comes back equal from its JSON, and one of no rule cannot be made."""
    finding = Finding("WC101", "IOMMU", Severity.WARNING, "m", "f")
    assert Finding.from_json(finding.to_json()) == finding
    with pytest.raises(ValueError, match="no such rule"):
        Finding("WC999", "s", Severity.NOTE, "m")


@pytest.mark.parametrize(
    ("severities", "status"),
    [([], 0), ([Severity.NOTE], 0), ([Severity.NOTE, Severity.WARNING], 1), ([Severity.ERROR], 1)],
)
def test_exit_status(severities: list[Severity], status: int) -> None:
    """Notes leave a command at 0; warnings and errors make it 1."""
    assert exit_status(Finding("WC101", "s", each, "m") for each in severities) == status


def test_rules() -> None:
    """Every rule has a code of its room and a title."""
    for code, title in RULES.items():
        assert code[:2] == "WC"
        assert code[2:].isdigit()
        assert title


def test_plan_text() -> None:
    """A plan prints each action with why, undo and change; an empty one says so."""
    assert str(Plan(())) == "Nothing to do: everything is as requested."
    assert str(Plan((ACTION,), reboot_needed=True)).splitlines() == [
        "1. touch /x",
        "   why:  because",
        "   undo: remove it",
        "   + one",
        "   + two",
        "A reboot is needed for this to take effect.",
    ]


def test_plan_json() -> None:
    """A plan's JSON has its actions in order."""
    data = Plan((ACTION,)).to_json()
    assert data["reboot_needed"] is False
    assert data["actions"][0]["do"] == {"op": "touch"}


def test_errors() -> None:
    """Errors print brief, details and resolution, and carry their exit codes."""
    assert str(WholecardError("b", "d", "r")) == "b\nd\nResolution: r"
    assert (WholecardError("b").exit_code, UsageError("b").exit_code) == (3, 2)
    refused = RefusedError("b", (Finding("WC107", "s", Severity.ERROR, "m"),))
    assert (refused.exit_code, refused.details) == (1, "WC107 m")


def test_run() -> None:
    """run() gives a program its input and environment and returns what it printed."""
    code = "import os, sys; print(sys.stdin.read() + os.environ['X']); print('e', file=sys.stderr)"
    result = run([sys.executable, "-c", code], timeout=30, stdin="in ", env={"X": "y"})
    assert (result.status, result.stdout, result.stderr) == (0, "in y\n", "e\n")


@pytest.mark.parametrize(
    ("argv", "timeout", "brief"),
    [
        (["no-such-program-here"], 5.0, "cannot run no-such-program-here"),
        (["sh", "-c", "echo bad >&2; exit 4"], 5.0, "failed with status 4"),
        (["sleep", "30"], 0.1, "did not end within 0.1 s"),
    ],
)
def test_run_fails(argv: list[str], timeout: float, brief: str) -> None:
    """A program that is missing, fails or takes too long raises one error, with its command."""
    with pytest.raises(RunError, match=brief) as caught:
        run(argv, timeout=timeout)
    assert f"command: {argv[0]}" in caught.value.details


def test_run_unchecked() -> None:
    """Without check a failing program is a result like another."""
    assert run(["sh", "-c", "exit 4"], timeout=5, check=False).status == 4
