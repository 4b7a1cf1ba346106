"""Where the command starts: what goes to the agent at once, and what typer lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import wholecard
from support.nodes import APART, bare
from support.tree import grow
from wholecard import __version__
from wholecard.cli.main import agent_call
from wholecard.host.agent.cli import main, person_command
from wholecard.host.agent.help import COMMANDS

HEAVY = ("typer", "rich", "openstack", "jinja2", "psutil")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bare node."""
    return grow(tmp_path / "root", bare(APART))


@pytest.mark.parametrize(
    ("argv", "call"),
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
def test_agent_call(argv: list[str], call: object) -> None:
    """The host's commands are found by their first words; all others are typer's."""
    assert agent_call(argv) == call


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


def test_help_is_wrapped_at_the_terminals_width() -> None:
    """A paragraph of help goes on where the docstring's line ends; lines of an example do not."""
    build = wholecard("image", "build", "--help")
    drivers = wholecard("image", "drivers", "--help")
    assert " A build that was interrupted" in build.stdout
    assert drivers.stdout.count("\n wholecard image drivers --card") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["lab", "status"],
        ["--version"],
        ["cloud", "plan", "--help"],
        ["cloud", "status", "--cloud", "x"],
        ["repair", "status", "--cloud", "x"],
    ],
    ids=" ".join,
)
def test_no_openstack(words: list[str], tmp_path: Path) -> None:
    """openstacksdk is not imported for help, the version, or what only reads local files."""
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
        local = [word for word in words if word != "host"]
        status = main([*local, "--root", str(root)], "wholecard")
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


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("wholecard-host", "wholecard-host apply; wholecard-host check"),
        ("wholecard", "wholecard host apply; wholecard check"),
        ("wholecard --on a", "wholecard --on a host apply; wholecard --on a check"),
    ],
)
def test_person_command(called: str, shown: str) -> None:
    """A fix names the command that the person has."""
    assert person_command("wholecard-host apply; wholecard-host check", called) == shown


def test_fix_names_command(root: Path) -> None:
    """A finding's fix on the screen is a command of this program."""
    ran = wholecard("check", "--root", str(root), "--json")
    assert "wholecard-host" not in ran.stdout
    assert "wholecard host apply --card" in ran.stdout


BROKEN = (
    "import sys; sys.argv[1:] = sys.argv[2:]\n"
    "import wholecard.host.facts.inspect as facts, wholecard.core.releases as releases\n"
    "def broken(*words, **options): raise KeyError('no such')\n"
    "facts.inspect = releases.release = broken\n"
    "from wholecard.cli.main import main\nmain()"
)


@pytest.mark.parametrize(
    "words", [["inspect"], ["check", "--json"], ["site", "init", "--release", "2025.2"]]
)
@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_unexpected_error(words: list[str], verbose: list[str], tmp_path: Path) -> None:
    """An unexpected error ends with 3 and a short text that names the report, which is private.

    With -v it prints its traceback.
    """
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, "wholecard", *verbose, *words],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 3
    assert "error: unexpected KeyError: 'no such'" in done.stderr
    (report,) = tmp_path.glob("wholecard-fault-*.txt")
    assert str(report) in done.stderr.replace("\n", "")
    assert report.stat().st_mode & 0o777 == 0o600
    assert "KeyError: 'no such'" in report.read_text()
    assert ("Traceback" in done.stderr) == bool(verbose)


@pytest.mark.parametrize("words", [["inspect"], ["check", "--json"], ["site", "schema"]])
def test_full_disk(words: list[str], root: Path) -> None:
    """Output that cannot be written is one clear error, and no finding."""
    at = [] if words[0] == "site" else ["--root", str(root)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wholecard.cli.main", *words, *at],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["inspect"], ["site", "schema"], ["explain", "--help"]])
def test_closed_pipe(words: list[str], root: Path) -> None:
    """Nobody who reads on is no finding and nothing to talk about."""
    at = ["--root", str(root)] if words == ["inspect"] else []
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "wholecard.cli.main", *words, *at],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [["inspect"], ["explain", "--help"], ["lab", "--help"]])
def test_other_encoding(words: list[str], root: Path) -> None:
    """A locale that lacks a character of the output does not stop a command."""
    at = ["--root", str(root)] if words == ["inspect"] else []
    done = subprocess.run(
        [sys.executable, "-m", "wholecard.cli.main", *words, *at],
        capture_output=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_agent_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The agent prints its version, and its help where it is called without a command."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: wholecard-host ")


@pytest.mark.parametrize("words", [["nosuch"], ["host", "plan", "--nosuch"], ["explain", "--no"]])
def test_one_look_of_errors(words: list[str]) -> None:
    """An error of any command says what is wrong and then what to do."""
    ran = wholecard(*words)
    assert ran.status == 2
    assert ran.stderr.startswith("error: ")
    assert "\nResolution: See wholecard" in ran.stderr
