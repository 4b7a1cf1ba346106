"""What a real shell makes of a line at a Tab: zsh at a terminal, fish by what it prints."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Mapping

import pytest

# Prints the line that zsh's editor has then, between marks.
_SHOW = "show() { print -r -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^X' show\n"
_PATIENCE = 100.0


def need(shell: str) -> None:
    """Skip where the shell is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")


def zsh_completes(setup: str, line: str, environment: Mapping[str, str] | None = None) -> str:
    """The line after a Tab at the end of it, in a zsh that has run `setup`."""
    need("zsh")
    ours, theirs = pty.openpty()
    environment = {**os.environ, **(environment or {}), "TERM": "dumb", "COLUMNS": "400"}
    with subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
        start_new_session=True,
    ) as shell:  # fmt: skip
        os.close(theirs)
        try:
            os.write(ours, f"{setup}\n{_SHOW}print READ''Y\n".encode())
            _until(ours, "READY")
            os.write(ours, f"{line}\t\x18".encode())
            lines: list[str] = re.findall(r"<<(.*?)>>", _until(ours, ">>"), re.DOTALL)
            return lines[-1]
        finally:
            shell.kill()
            os.close(ours)


def fish_completes(setup: str, line: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The words that fish offers for the last one of the line."""
    need("fish")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{setup}\ncomplete -C {line!r}"],
        capture_output=True, text=True, check=True, timeout=_PATIENCE,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return {row.split("\t")[0] for row in done.stdout.splitlines()}


def _until(terminal: int, mark: str) -> str:
    """What the terminal showed, up to the mark."""
    shown, ends = "", time.monotonic() + _PATIENCE
    while mark not in shown and time.monotonic() < ends:
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    assert mark in shown, shown
    return shown
