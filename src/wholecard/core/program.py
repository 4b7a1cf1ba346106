"""`run()`: the one way out to another program."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable

from wholecard.core.errors import WholecardError

LOG = logging.getLogger("wholecard.run")

# A program that prints without end must not fill the machine's memory or the person's screen.
DETAILS_LIMIT = 4000
OUTPUT_LIMIT = 64 << 20

# Seconds that a killed program's pipes have to close.
KILL_GRACE = 5.0

# Called with a line of standard error as it comes, its newline included. A line that has not
# ended yet is passed on without a newline, and again when more of it comes.
Watch = Callable[[str], None]


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


class TooMuchOutputError(RunError):
    """A program printed more than it may, and was ended."""


class Programs:
    """The programs that threads run at this moment, so that another thread can end them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.ended = False

    def end(self) -> None:
        """Kill each with everything it started, and each that is started from now on."""
        with self._lock:
            self.ended = True
            for process in self._running:
                _signal(process)

    @contextlib.contextmanager
    def holding(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Count `process` among them while the body runs."""
        with self._lock:
            self._running.add(process)
            if self.ended:
                _signal(process)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    cwd: str | Path | None = None,
    check: bool = True,
    keep: Sequence[int] = (),
    resolution: str = "",
    watch: Watch | None = None,
    watch_output: Watch | None = None,
    programs: Programs | None = None,
    limit: int = OUTPUT_LIMIT,
) -> Result:
    """Run a program to its end and return what it printed.

    `argv` is an argument list, never a shell string. `timeout` is in seconds; when it passes, the
    program's whole process group is killed. `env` is added to this process's environment, or is
    all of it without `inherit`. `keep` are descriptors that the program inherits: a lock that one
    holds lasts until the program has ended, also where this process is killed first. `argv` must
    hold no secret, for it is logged as a line that can be pasted: secrets go by `stdin`, by `env`
    or by a file.

    `watch` gets standard error while the program runs, in a thread of its own, and `watch_output`
    standard output in another one. With `programs`
    another thread can end the program; its status is then that of a signal, as of any killed one.
    `limit` is how many bytes it may print to each of its outputs.

    Raises TooMuchOutputError when it prints more, RunError when the program is not found, when it
    passes its time, or, with `check`, when its status is not 0; and what `watch` raised, when the
    program has been killed for it.
    """
    LOG.debug("%s", shlex.join(argv))
    inherited = os.environ if inherit else {}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **(env or {})},
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(keep),
        )
    except OSError as error:
        raise _unended(
            f"cannot run {argv[0]}: {error.strerror}",
            argv,
            resolution or f"Install the program that provides {argv[0]}.",
        ) from error
    try:
        with (programs or Programs()).holding(process):
            out, err = _communicate(process, stdin, timeout, (watch_output, watch), limit)
    except _TooMuchError as error:
        _kill(process)
        raise TooMuchOutputError(
            f"{argv[0]} printed more than {limit >> 20} MiB",
            f"command: {shlex.join(argv)}",
            resolution or "Look at what it prints; run the command by hand.",
        ) from error
    except subprocess.TimeoutExpired as error:
        _kill(process)
        raise _unended(
            f"{argv[0]} did not end within {timeout:g} s",
            argv,
            resolution or "Run the command by hand to see what it waits for.",
        ) from error
    except BaseException:
        _kill(process)
        raise
    result = Result(
        tuple(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    return _checked(result, resolution) if check else result


def _unended(brief: str, argv: Sequence[str], resolution: str) -> RunError:
    return RunError(brief, f"command: {shlex.join(argv)}", resolution)


def _checked(result: Result, resolution: str) -> Result:
    if result.status == 0:
        return result
    output = (result.stderr.strip() or result.stdout.strip())[-DETAILS_LIMIT:]
    raise RunError(
        f"{result.argv[0]} failed with status {result.status}",
        f"command: {shlex.join(result.argv)}\n{output}".strip(),
        resolution or "Run the command by hand to see more.",
        result,
    )


def _communicate(
    process: subprocess.Popen[bytes],
    stdin: str | bytes,
    timeout: float,
    watches: tuple[Watch | None, Watch | None],
    limit: int,
) -> tuple[bytes, bytes]:
    """What the program printed to its two outputs. Raises TimeoutExpired after `timeout`."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    pipes = (process.stdout, process.stderr)
    deadline = time.monotonic() + timeout
    # Without this communicate() would read the outputs too, without a limit.
    process.stdout = process.stderr = None
    followers = [
        _Follower(process, pipe, follower_watch, limit)
        for pipe, follower_watch in zip(pipes, watches)
        if pipe is not None
    ]
    for follower in followers:
        follower.start()
    process.communicate(data, timeout=timeout)
    for follower in followers:
        follower.join(max(0.0, deadline - time.monotonic()))
        if follower.is_alive():
            raise subprocess.TimeoutExpired(process.args, timeout)
        if follower.error is not None:
            raise follower.error
    out, err = (b"".join(follower.kept) for follower in followers)
    return out, err


class _TooMuchError(Exception):
    """An output is larger than its limit."""


class _Follower(threading.Thread):
    """Reads one of a program's outputs to its end, and with `watch` passes it on line by line."""

    def __init__(
        self, process: subprocess.Popen[bytes], pipe: IO[bytes], watch: Watch | None, limit: int
    ) -> None:
        super().__init__(daemon=True)
        self._process, self._pipe, self._watch, self._left = process, pipe, watch, limit
        self.kept: list[bytes] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        line = b""
        with self._pipe:
            while piece := os.read(self._pipe.fileno(), 1 << 16):
                self._left -= len(piece)
                if self._left < 0:
                    # The pipe is read on, so that nothing waits for it, and nothing is kept.
                    if self.error is None:
                        self.error = _TooMuchError()
                        _signal(self._process)
                    continue
                self.kept.append(piece)
                if self._watch is None:
                    continue
                *ended, line = (line + piece).split(b"\n")
                line = line[-DETAILS_LIMIT:]
                self._tell(
                    [*(ended_line + b"\n" for ended_line in ended), *([line] if line else [])]
                )

    def _tell(self, lines: Sequence[bytes]) -> None:
        try:
            if self.error is None and self._watch is not None:
                for line in lines:
                    self._watch(line.decode(errors="replace"))
        except BaseException as error:  # raised again by the thread that waits
            self.error = error
            _signal(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything it started, and reap it."""
    _signal(process)
    # A process that left the group may hold the pipes open; it is not waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=KILL_GRACE)


def _signal(process: subprocess.Popen[bytes]) -> None:
    """Kill the program's whole group, if it has not been reaped."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
