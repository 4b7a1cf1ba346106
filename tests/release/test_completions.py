"""The scripts that complete wholecard-host, in the shells that read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from completions import bash_script, fish_script, zsh_script
from staged_files import stage

from support.shells import fish_completes, need, zsh_completes
from support.wholecard_installed import EPOCH
from wholecard.host.agent.help import COMMANDS

LINES = [
    ("wholecard-host cle", "clean-card"),
    ("wholecard-host plan --all-c", "--all-cards"),
    ("wholecard-host --verbose rollback --disc", "--discard-edits"),
]


@pytest.mark.parametrize(("line", "word"), LINES)
def test_bash(tmp_path: Path, line: str, word: str) -> None:
    """bash offers the command, and the options of the command that is on the line."""
    need("bash")
    (tmp_path / "script").write_text(bash_script())
    words = line.split()
    code = (f"source ./script; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
            "_wholecard_host; echo ${COMPREPLY[@]}")  # fmt: skip
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True,
                          cwd=tmp_path)  # fmt: skip
    assert done.stdout.split() == [word]


@pytest.mark.parametrize(("line", "word"), LINES)
def test_zsh(tmp_path: Path, line: str, word: str) -> None:
    """zsh completes the line at a terminal."""
    (tmp_path / "_wholecard-host").write_text(zsh_script())
    setup = f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D"
    assert zsh_completes(setup, line).split()[-1] == word


@pytest.mark.parametrize(("line", "word"), LINES)
def test_fish(tmp_path: Path, line: str, word: str) -> None:
    """fish offers it."""
    (tmp_path / "script.fish").write_text(fish_script())
    assert word in fish_completes(f"source {tmp_path}/script.fish", line)


def test_all_commands() -> None:
    """No command is left out of any of them."""
    for script in (bash_script(), zsh_script(), fish_script()):
        assert [name for name in COMMANDS if name not in script] == []


def test_packages_have_them(tmp_path: Path) -> None:
    """Each shell finds its script where this distribution's shells look."""
    files = {str(path) for path in stage(tmp_path, EPOCH, "site-functions")}
    assert {
        "usr/share/bash-completion/completions/wholecard-host",
        "usr/share/zsh/site-functions/_wholecard-host",
        "usr/share/fish/vendor_completions.d/wholecard-host.fish",
    } <= files
