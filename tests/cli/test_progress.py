"""What is shown while hosts are at work."""

from __future__ import annotations

import io

from rich.console import Console

from support.fleets import FakeFleet
from wholecard.cli.progress import Live
from wholecard.core import WholecardError
from wholecard.core.plain_text import plain
from wholecard.fleet import HostResult


def drawn(hosts: int, height: int) -> str:
    """The last picture of a fleet: one host ended, one at work, one given up, others waiting."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=height)
    names = [f"gpu-{number:02}" for number in range(hosts)]
    live = Live(console, names)
    for name in names[:3]:
        live.state(name, "connecting")
    live.answer(HostResult(names[0], 1))
    live.line(names[1], "[3/7] run-tool update-initramfs ... ")
    live.answer(HostResult(names[2], 3, error=WholecardError("no")))
    with live.shown():
        pass
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_live() -> None:
    """Each host has a line with its state and the action it is at."""
    shown = drawn(4, 24)
    for text in ("done, with findings", "[3/7] run-tool update-initramfs", "no answer", "waiting"):
        assert text in shown
    assert " ... " not in shown


def test_live_small() -> None:
    """On a screen too small for all, those at work are seen and the others counted."""
    shown = drawn(40, 8)
    assert "[3/7] run-tool update-initramfs" in shown
    assert "2 of 40 done" in shown
    assert "gpu-39" not in shown


def test_plain() -> None:
    """What could command a terminal is shown as a sign."""
    assert plain("a\x1b[2Jb\tc\nd\x07é") == "a�[2Jb\tc\nd�é"


def test_hostile_host(fleet: FakeFleet) -> None:
    """Nothing a host says reaches the terminal as a command, in its block or in the table."""
    for host in ("gpu-01", "gpu-02"):
        (fleet.home(host) / "instead").write_text("printf '\\033[2J[bold]x' >&2; exit 255")
    ran = fleet.run("--on", "gpu-01,gpu-02", "inspect")
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "�[2J[bold]x" in ran.stdout
