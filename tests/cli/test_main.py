"""Where the command starts: what goes to the agent at once, and what typer lists."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import wholecard
from support.nodes import APART, bare
from support.tree import grow
from wholecard.cli.main import here
from wholecard.host.agent.cli import main
from wholecard.host.agent.help import COMMANDS

HEAVY = ("typer", "rich", "openstack", "jinja2", "psutil")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bare node."""
    return grow(tmp_path / "root", bare(APART))


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["inspect", "--json"], (["inspect", "--json"], "wholecard")),
        (["check", "--help"], (["check", "--help"], "wholecard")),
        (["host", "plan", "--"], (["plan", "--"], "wholecard host")),
        ([], None),
        (["host"], None),
        (["host", "--help"], None),
        (["host", "inspect"], None),
        (["host", "agent", "x"], None),
        (["lab", "inspect"], None),
        (["--on", "a", "inspect"], None),
    ],
)
def test_here(argv: list[str], found: object) -> None:
    """The host's commands are found by their first words; all others are typer's."""
    assert here(argv) == found


@pytest.mark.parametrize("command", [["inspect"], ["host", "status"]])
def test_imports(command: list[str], root: Path) -> None:
    """A host's command here imports none of what only others need."""
    code = (
        f"import os, sys; sys.argv[1:] = {[*command, '--root', str(root)]!r}\n"
        "os._exit = sys.exit\n"
        "from wholecard.cli.main import main\n"
        "try: main()\n"
        f"finally: sys.exit(','.join(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == "\n"


@pytest.mark.parametrize("words", [["--help"], ["lab", "status"], ["--version"]])
def test_no_openstack(words: list[str], tmp_path: Path) -> None:
    """openstacksdk is not imported for help, for the lab's status or for the version."""
    code = (
        "import sys\nfrom wholecard.cli.app import run_app\n"
        f"run_app({words!r})\nsys.exit('openstack' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_same_as_agent(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints what the agent prints, and exits as it does; -v may stand before it."""
    for words in (["inspect", "--json"], ["host", "plan", "--card", "zz"], ["check"]):
        ran = wholecard("-v", *words, "--root", str(root))
        status = main([word for word in words if word != "host"] + ["--root", str(root)])
        printed = capsys.readouterr()
        assert (ran.status, ran.stdout, ran.stderr) == (status, printed.out, printed.err)


def test_listed() -> None:
    """--help and host --help list every command of the agent, with its one line."""
    listed = wholecard("--help").stdout + wholecard("host", "--help").stdout
    for name, summary in COMMANDS.items():
        assert f"│ {name} " in listed
        assert summary[1:40] in listed


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help(name: str) -> None:
    """A command's help names it as it is called."""
    group = [] if name in ("inspect", "check") else ["host"]
    ran = wholecard(*group, name, "--help")
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.startswith(" ".join(["usage: wholecard", *group, name, "["]))


def test_late_on() -> None:
    """--on behind the command is answered with where it stands."""
    ran = wholecard("inspect", "--on=gpu-01")
    assert (ran.status, ran.stdout) == (2, "")
    assert "wholecard --on HOST inspect" in ran.stderr


def test_agent_file(tmp_path: Path) -> None:
    """host agent writes the agent, which runs alone."""
    file = tmp_path / "wholecard-host.pyz"
    assert wholecard("host", "agent", str(file)).status == 0
    done = subprocess.run(
        [sys.executable, "-I", file, "status", "--root", str(tmp_path), "--json"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["state"] == "clean"


@pytest.mark.parametrize("place", ["/proc/none/agent.pyz", "/"])
def test_agent_file_refused(place: str) -> None:
    """A file that cannot be written is one clear error."""
    ran = wholecard("host", "agent", place)
    assert (ran.status, "cannot write" in ran.stderr, "Resolution" in ran.stderr) == (3, True, True)
