"""The agent on its way: sent once, checked before each use, and called with the very words."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from support.fleets import FakeFleet
from support.tree import grow, snapshot
from wholecard.fleet.ssh import SCRIPT
from wholecard.host.agent.cli import main


@pytest.mark.parametrize(
    "words",
    [["inspect"], ["inspect", "--json"], ["check", "--all-cards"], ["host", "plan", "--all-cards"],
     ["host", "status", "--json"], ["host", "verify"], ["host", "plan", "--card", "0000:09:00"]],
)  # fmt: skip
def test_same_as_here(
    fleet: FakeFleet, root: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """One host's outputs and exit status are those of the command on the host itself."""
    ran = fleet.run("--on", "gpu-01", *words, "--root", str(root))
    local = [word for word in words if word != "host"]
    status = main([*local, "--root", str(root)], "wholecard --on gpu-01")
    here = capsys.readouterr()
    # The agent, which has no pages, adds where the command is that shows them.
    out = ran.stdout.replace(", where wholecard itself is installed", "")
    assert (ran.status, out, ran.stderr) == (status, here.out, here.err)


def test_whole_way(fleet: FakeFleet, root: Path) -> None:
    """A host is prepared and put back from afar; its progress comes on standard error."""
    before = snapshot(root)
    at = ("--root", str(root))
    applied = fleet.run("--on", "gpu-01", "host", "apply", "--all-cards", *at)
    assert applied.status == 0
    assert "Applied as journal 0001" in applied.stdout
    assert "[7/8] run-tool update-initramfs ... " in applied.stderr
    assert snapshot(root) != before
    assert fleet.run("--on", "gpu-01", "host", "rollback", *at).status == 0
    assert snapshot(root) == before


def test_sent_once(fleet: FakeFleet, root: Path) -> None:
    """The agent is sent to a host that lacks it, for its user alone, and not again."""
    for _ in range(2):
        assert fleet.run("--on", "gpu-01", "inspect", "--root", str(root)).status == 0
    assert fleet.sent() == ["gpu-01"]
    assert len(fleet.calls()) == 3
    (agent,) = fleet.agents("gpu-01")
    assert agent.stat().st_mode & 0o777 == 0o700
    assert agent.parent.stat().st_mode & 0o077 == 0


def test_corrupted(fleet: FakeFleet, root: Path) -> None:
    """An agent that is not what was sent is never run, and is replaced."""
    fleet.run("--on", "gpu-01", "inspect", "--root", str(root))
    (agent,) = fleet.agents("gpu-01")
    whole = agent.read_bytes()
    agent.write_bytes(whole[:-1])
    assert fleet.run("--on", "gpu-01", "inspect", "--root", str(root)).status == 0
    assert fleet.sent() == ["gpu-01", "gpu-01"]
    assert agent.read_bytes() == whole


def test_old_ones_go(fleet: FakeFleet, root: Path) -> None:
    """Sending removes agents and torn uploads that nobody used for a day, and nothing else."""
    folder = fleet.home("gpu-01") / ".cache/wholecard"
    folder.mkdir(parents=True)
    names = ("wholecard-host-0123456789abcdef.pyz", ".wholecard-host-a1b2c3", "other.pyz")
    for name in names:
        (folder / name).write_text("x")
        os.utime(folder / name, (0, 0))
    (folder / "wholecard-host-fedcba9876543210.pyz").write_text("used today")
    fleet.run("--on", "gpu-01", "inspect", "--root", str(root))
    kept = {path.name for path in fleet.agents("gpu-01")}
    assert {"other.pyz", "wholecard-host-fedcba9876543210.pyz"} < kept
    assert len(kept) == 3


# Records its words, each ended by a zero byte, and is the tests' own Python.
RECORDING = """#!/bin/sh
[ "$1 $2" = "-I -c" ] || printf '%s\\0' "$@" > "$HOME/words"
exec "{python}" "$@"
"""
HOSTILE = ["two words", "it's", 'a "quote"', "a;touch hacked", "$(touch hacked)", "`touch hacked`",
           "a&b|c>d", "*", "~", "$HOME", "back\\slash", "new\nline", "é", "-n", ""]  # fmt: skip


def test_words_unchanged(fleet: FakeFleet) -> None:
    """Words arrive as they were typed, whatever they would mean to a shell."""
    grow(fleet.home("gpu-01"), {"path/python3": (RECORDING.format(python=sys.executable), 0o755)})
    words = ["plan", *(f"--card={word}" for word in HOSTILE), "--root", "/no such/root"]
    assert fleet.run("--on", "gpu-01", "host", *words).status == 2
    recorded = (fleet.home("gpu-01") / "words").read_text().split("\0")[:-1]
    assert recorded[-len(words) :] == words
    assert not list(fleet.place.rglob("hacked"))


def test_how_ssh_is_called(fleet: FakeFleet, root: Path, tmp_path: Path) -> None:
    """ssh may not ask, lend the agent's keys or wait for ever, and its last word is one command."""
    config = tmp_path / "config"
    config.touch()
    words = ("inspect", "--root", str(root))
    fleet.run("--ssh-config", str(config), "--on", "root@gpu-01", *words)
    argv, _ = fleet.calls()[0]
    assert argv[:2] == ["-F", str(config)]
    assert {"BatchMode=yes", "ConnectTimeout=10", "ForwardAgent=no"} <= set(argv)
    assert not [word for word in argv if "KnownHosts" in word or "StrictHostKey" in word]
    assert argv[-3:-1] == ["--", "root@gpu-01"]
    sh, option, script, *given = shlex.split(argv[-1])
    assert (sh, option, script) == ("sh", "-c", SCRIPT)
    assert given[-3:] == list(words)


def test_script_is_one_line() -> None:
    """A login shell of csh's kind reads the script first: no newline, no history."""
    assert "\n" not in SCRIPT
    assert "!" not in SCRIPT


def test_noise(fleet: FakeFleet, root: Path) -> None:
    """What a login shell says is no part of the answer."""
    (fleet.home("gpu-01") / "before").write_text("echo Welcome; echo warning >&2\n")
    ran = fleet.run("--on", "gpu-01", "inspect", "--json", "--root", str(root))
    assert json.loads(ran.stdout)["schema"]
    assert ran.stderr == ""
