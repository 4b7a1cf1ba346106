"""What a shell is told at a Tab, by the protocol that bash speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer._completion_shared import get_completion_script

from support.nodes import APART, bare
from support.shells import fish_completes, zsh_completes
from support.tree import grow
from wholecard.cli.completion import VALUES, answer
from wholecard.host.bootloaders.registry import LOADERS
from wholecard.nova.render.layouts.layout import LAYOUTS

# With any of them a person waits at every Tab.
SLOW = ("openstack", "oslo_config", "pydantic", "rich", "typer", "psutil")


def completed(line: str, folder: Path) -> list[str]:
    """What bash would offer for the last word of the line; no slow library is imported for it."""
    words = line.split(" ")
    code = (
        "import sys, atexit, os; sys.argv = ['wholecard']\n"
        f"slow = lambda: [name for name in {SLOW!r} if name in sys.modules]\n"
        "os._exit = sys.exit\n"
        "from wholecard.cli.main import main\n"
        "try: main()\nfinally: print(*slow(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        cwd=folder,
        env=os.environ | {"_WHOLECARD_COMPLETE": "complete_bash", "COMP_WORDS": line,
                          "COMP_CWORD": str(len(words) - 1), "HOME": str(folder)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "\n")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a site file, a clouds.yaml and a bare host."""
    (tmp_path / "site.yaml").write_text("hosts: {gpu-01: {}, gpu-02: {}}\nflavors: {h100: {}}\n")
    (tmp_path / "clouds.yaml").write_text("clouds: {prod: {}, test: {}}\n")
    grow(tmp_path / "root", bare(APART))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("wholecard ", ["inspect", "host", "nova"]),
        ("wholecard host pl", ["plan"]),
        ("wholecard host plan --", ["--card", "--all-cards", "--now"]),
        ("wholecard inspect --", ["--root", "--save"]),
        ("wholecard host apply --loader gru", ["grub", "grub2", "grubby"]),
        ("wholecard check --root root --card 0000:0", ["0000:01:00.0", "0000:02:00.0"]),
        ("wholecard nova lint --", ["--role", "--release"]),
        ("wholecard nova lint --role ", ["api", "compute", "placement"]),
        ("wholecard nova render --role co", ["compute", "conductor"]),
        ("wholecard nova render --layout ", ["kolla", "rhoso"]),
        ("wholecard nova render --host gpu-", ["gpu-01", "gpu-02"]),
        ("wholecard nova diff --release 2025", ["2025.2", "2025.1"]),
        ("wholecard explain --flavor ", ["h100"]),
        ("wholecard cloud plan --cloud ", ["prod", "test"]),
    ],
)
def test_completed(folder: Path, line: str, some: list[str]) -> None:
    """Options of every command are completed, and the values that can be known."""
    assert set(some) <= set(completed(line, folder))


def test_unreadable_site(folder: Path) -> None:
    """A site file that cannot be read completes nothing and says nothing."""
    (folder / "site.yaml").write_text("hosts: [")
    assert completed("wholecard nova render --host ", folder) == []


def test_protocols() -> None:
    """zsh is told a call of _arguments, or to complete files; fish words with their meanings."""
    line = {"_TYPER_COMPLETE_ARGS": "wholecard host plan --no"}
    text, _ = answer(line | {"_WHOLECARD_COMPLETE": "complete_zsh"}) or ("", 0)
    assert text == '_arguments \'*: :(("--now":"also bind the functions in the running boot"))\''
    fish = {"_WHOLECARD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert answer(line | fish) == ("--now\talso bind the functions in the running boot", 0)
    none = {"_TYPER_COMPLETE_ARGS": "wholecard inspect --save "}
    assert answer(none | {"_WHOLECARD_COMPLETE": "complete_zsh"}) == ("_files", 0)
    assert answer(none | fish | {"_TYPER_COMPLETE_FISH_ACTION": "is-args"}) == ("", 1)
    assert answer(line | {"_WHOLECARD_COMPLETE": "complete_pwsh"}) is None
    assert answer({}) is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("wholecard capac", "capacity"),
        ("wholecard host plan --all-c", "--all-cards"),
        ("wholecard nova render --role sched", "scheduler"),
    ],
)
def test_real_shells(folder: Path, line: str, word: str) -> None:
    """zsh and fish load the script that --show-completion prints, and complete by it."""
    (folder / "zsh").write_text(_script("zsh"))
    (folder / "fish").write_text(_script("fish"))
    programs = Path(sys.executable).parent
    place = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}
    setup = f"autoload -U compinit; compinit -u -D; source {folder}/zsh"
    assert zsh_completes(setup, line, place).split()[-1] == word
    assert word in fish_completes(f"source {folder}/fish", line, place)


def _script(shell: str) -> str:
    return get_completion_script(
        prog_name="wholecard", complete_var="_WHOLECARD_COMPLETE", shell=shell
    )


def test_words_around() -> None:
    """A value behind "=", options before the command and an open quote do not hide the command."""

    def words(line: str) -> str:
        return (answer({"_WHOLECARD_COMPLETE": "complete_bash", "COMP_WORDS": line,
                        "COMP_CWORD": str(len(line.split(" ")) - 1)}) or ("", 0))[0]  # fmt: skip

    assert words("wholecard nova lint --role = ap") == "api"
    assert "--now" in words("wholecard --on host --sudo host plan --n")
    assert words("wholecard check --loader 'gru") == ""


def test_values_are_current() -> None:
    """The names that completion has of its own are those that the commands take."""
    offered = {option: [word for word, _ in VALUES[option](())] for option in VALUES}
    assert offered["--layout"] == list(LAYOUTS)
    assert sorted(offered["--loader"]) == sorted(loader.name for loader in LOADERS)
