"""`run()`: the one way out to another program."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core.errors import WholecardError

LOG = logging.getLogger("wholecard.run")

# A program that prints without end must not take the machine's memory or a whole screen with it.
DETAILS_LIMIT = 4000


@dataclass(frozen=True)
class Result:
    """What a program left: its exit status and everything it printed, as text."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class RunError(WholecardError):
    """A program is missing, failed, or took too long. `result` is None where it never ended."""

    def __init__(
        self, brief: str, details: str, resolution: str, result: Result | None = None
    ) -> None:
        super().__init__(brief, details, resolution)
        self.result = result


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    cwd: str | Path | None = None,
    check: bool = True,
    resolution: str = "",
) -> Result:
    """Run a program to its end and return what it printed.

    `argv` is an argument list, never a shell string. `timeout` is in seconds; when it passes, the
    program's whole process group is killed. `env` is added to this process's environment, or is
    all of it without `inherit`. Nothing secret may stand in `argv`, for it is logged as a line
    that can be pasted: secrets go by `stdin`, by `env` or by a file.

    Raises RunError when the program is not there, when it passes its time, or, with `check`,
    when its status is not 0.
    """
    command = shlex.join(argv)
    LOG.debug("%s", command)
    try:
        process = _start(argv, {**(os.environ if inherit else {}), **(env or {})}, cwd)
    except OSError as error:
        raise RunError(
            f"cannot run {argv[0]}: {error.strerror}",
            f"command: {command}",
            resolution or f"Install the program that provides {argv[0]}.",
        ) from error
    try:
        out, err = process.communicate(stdin.encode(), timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _kill(process)
        raise RunError(
            f"{argv[0]} did not end within {timeout:g} s",
            f"command: {command}",
            resolution or "Look at what it waits for; run the command by hand.",
        ) from error
    except BaseException:
        _kill(process)
        raise
    result = Result(
        tuple(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if check and result.status != 0:
        said = (result.stderr.strip() or result.stdout.strip())[-DETAILS_LIMIT:]
        raise RunError(
            f"{argv[0]} failed with status {result.status}",
            f"command: {command}\n{said}".strip(),
            resolution or "Run the command by hand to see more.",
            result,
        )
    return result


def _start(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | Path | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything it started, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
