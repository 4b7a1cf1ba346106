"""What a person sees while servers of a proof boot."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wholecard.cli.prove_progress import LiveLines, PlainLines, server_words
from wholecard.cloud.proving.server_watch import ServerProgress

BUILD = ServerProgress("proof-1", "BUILD/spawning", 0, 0, 3.0)
ACTIVE = ServerProgress("proof-1", "ACTIVE", 12288, 1, 9.5)


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (BUILD, "BUILD/spawning"),
        (ACTIVE, "ACTIVE, console 12 KiB, 1 record"),
        (ServerProgress("a", "no answer in time", 5, 2, 1.0),
         "no answer in time, console 5 B, 2 records"),
    ],
)  # fmt: skip
def test_words(progress: ServerProgress, words: str) -> None:
    """State, size of the console, records that have come."""
    assert server_words(progress) == words


def test_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is new is a line, and nothing in it commands a terminal."""
    lines = PlainLines()
    lines.note("asking nova for proof-1")
    for progress in (BUILD, BUILD, ACTIVE, ServerProgress("proof-1", "\x1b[2J", 0, 0, 10.0)):
        lines.server(progress)
    assert capsys.readouterr().err.splitlines() == [
        "asking nova for proof-1",
        "   3.0 s  proof-1: BUILD/spawning",
        "   9.5 s  proof-1: ACTIVE, console 12 KiB, 1 record",
        "  10.0 s  proof-1: \ufffd[2J",
    ]


def test_live_lines() -> None:
    """On a terminal there is one line for each server, as many as the screen has."""
    console = Console(file=io.StringIO(), width=80, height=6)
    lines = LiveLines(console)
    for number in range(8):
        lines.server(ServerProgress(f"proof-{number}", "ACTIVE", 2048, 3, 65.0))
    lines.note("deleting proof-0")
    console.print(lines.table())
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue().splitlines()
    assert len(shown) == 4
    assert "proof-0" in shown[0]
    assert "65 s" in shown[0]
    assert "ACTIVE, console 2 KiB, 3 records" in shown[0]
    assert "deleting proof-0" in shown[3]
