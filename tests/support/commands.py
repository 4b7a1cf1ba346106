"""The `wholecard` command as a person runs it, with the lab of the tests."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# A name of its own: a lab that a person runs is left alone, and each of pytest's workers has one.
NAME = "-".join(filter(None, ("test-lab", os.environ.get("PYTEST_XDIST_WORKER"))))


@cache
def states() -> str:
    """The folder, gone at the end, of what commands keep; a person has her own."""
    folder = tempfile.TemporaryDirectory(prefix="wholecard-states-")
    atexit.register(folder.cleanup)
    return folder.name


@dataclass(frozen=True)
class Ran:
    """What a `wholecard` command left."""

    status: int
    stdout: str
    stderr: str


def wholecard(*words: str, timeout: float = 3600, name: str = NAME, cwd: Path | None = None) -> Ran:
    """Run the command as a person does, with the lab of the tests.

    Raises AssertionError with what it had printed where it takes longer than `timeout` seconds.
    """
    command = [sys.executable, "-m", "wholecard.cli.main", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd,
            env=os.environ | {"WHOLECARD_LAB_NAME": name, "COLUMNS": "120",
                              "XDG_STATE_HOME": states()},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        # Bytes, whatever was asked for (bugs.python.org/issue40595, the issue 87597 of cpython).
        output = b"".join(filter(None, (error.stdout, error.stderr))).decode(errors="replace")
        raise AssertionError(
            f"wholecard {' '.join(words)}: not within {timeout} s\n{output}"
        ) from None
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """What one run of the demo left."""

    ran: Ran
    report: str
    numbers: dict[str, Any]
