"""The agent as one file, under the oldest and the newest Python that this machine offers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.nodes import APART, GROUPS_APART, reboot
from support.pythons import oldest_and_newest, too_old
from support.tree import snapshot
from wholecard.host.agent.zipapp import build_agent
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect

FOUR = [*GROUPS_APART[10], *GROUPS_APART[11]]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """wholecard-host.pyz."""
    return build_agent(tmp_path_factory.mktemp("agent") / "wholecard-host.pyz")


def run(python: str, agent: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command of it."""
    return subprocess.run(
        [python, str(agent), *words], capture_output=True, text=True, check=False, timeout=100
    )


def test_same_bytes(agent: Path, tmp_path: Path) -> None:
    """The same sources give the same file, which may be executed."""
    assert build_agent(tmp_path / "again.pyz").read_bytes() == agent.read_bytes()
    assert agent.stat().st_mode & 0o777 == 0o755
    assert agent.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_pythons() -> None:
    """There is always a Python to test with; which ones is printed."""
    print("\n".join(oldest_and_newest()))
    assert oldest_and_newest()


def changed_files(root: Path, before: dict[str, object]) -> list[str]:
    """What differs in the folders that survive a reboot."""
    now = snapshot(root)
    paths = {path for path in [*before, *now] if path.startswith(("etc/", "boot/"))}
    return sorted(path for path in paths if now.get(path) != before.get(path))


@pytest.mark.parametrize("python", sorted(set(oldest_and_newest())))
def test_whole_way(python: str, agent: Path, apart: Path) -> None:
    """A host goes the whole way under this Python: inspect to rollback, byte for byte."""
    at = ("--root", str(apart), "--json")
    before = snapshot(apart)
    inspected = run(python, agent, "inspect", *at)
    assert (inspected.returncode, inspected.stderr) == (0, "")
    assert Host.from_json(json.loads(inspected.stdout)) == inspect(apart)
    assert run(python, agent, "check", *at).returncode == 1
    planned = json.loads(run(python, agent, "plan", "--all-cards", *at).stdout)
    assert snapshot(apart) == before
    applied = run(python, agent, "apply", "--all-cards", *at)
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["applied"] == len(planned["actions"])
    assert run(python, agent, "status", *at).returncode == 0
    assert snapshot(apart) != before
    reboot(apart, APART, GROUPS_APART, FOUR)
    verified = run(python, agent, "verify", *at)
    assert (verified.returncode, json.loads(verified.stdout)["findings"]) == (0, [])
    assert run(python, agent, "rollback", *at).returncode == 0
    assert changed_files(apart, before) == []


@pytest.mark.parametrize("python", too_old())
def test_too_old(python: str, agent: Path) -> None:
    """An older Python says in one sentence what is needed, and no SyntaxError."""
    ran = run(python, agent, "inspect")
    assert ran.returncode == 3
    said = ran.stderr.splitlines()
    assert said[0].startswith("error: wholecard-host needs Python 3.9 or newer, and ")
    assert said[1].startswith("Resolution: ")
    assert len(said) == 2


def test_main_reads_everywhere(agent: Path) -> None:
    """What an old Python reads first has nothing that it could not parse."""
    with zipfile.ZipFile(agent) as archive:
        text = archive.read("__main__.py").decode()
    assert text.isascii()
    for newer in ('f"', "f'", ":=", "->", "print ", "annotations"):
        assert newer not in text


def test_pages_are_elsewhere(agent: Path, apart: Path) -> None:
    """The agent has no rule's page, and says where the command for it is."""
    text = run(sys.executable, agent, "check", "--root", str(apart)).stdout
    assert re.search(r": wholecard rule WC\d{3}, where wholecard itself is installed\n", text)
