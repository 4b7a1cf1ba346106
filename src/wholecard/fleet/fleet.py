"""One command on many hosts, side by side: each host's result, whatever happens on the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from wholecard.core import Programs, Result, RunError, WholecardError, run
from wholecard.core.program import TooMuchOutputError
from wholecard.fleet.failure import (
    READING,
    broken_off,
    interrupted,
    not_started,
    too_long,
    too_much,
)
from wholecard.fleet.host_result import HostResult
from wholecard.fleet.ssh import NO_AGENT, Ssh
from wholecard.host.agent.zipapp import agent_bytes

# Seconds that a command may take. A reading one may wait for disks that sleep; apply may build an
# initramfs for each of the host's kernels.
READING_SECONDS = 300.0
CHANGING_SECONDS = 3600.0
# Bytes of each output; the facts of 5,000 functions have 6 MB.
OUTPUT_LIMIT = 32 << 20


class Watcher:
    """Is told, from a thread for each host, what happens. This one does nothing."""

    def state(self, host: str, text: str) -> None:
        """A host starts a step: `connecting`, `sending the agent`, `running inspect`."""

    def line(self, host: str, text: str) -> None:
        """The agent wrote to standard error: a line, without a newline until the line has ended."""

    def answer(self, result: HostResult) -> None:
        """A host's command has ended."""


class Fleet:
    """Hosts on which one command is run, `jobs` of them at a time."""

    def __init__(
        self, hosts: Sequence[str], ssh: Ssh, jobs: int = 16, timeout: float | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        self._ssh = ssh
        self._jobs = jobs
        self._timeout = timeout
        self._programs = Programs()
        # The agent of this installation; on a host it is named by a digest of its bytes.
        self._agent = agent_bytes()
        self._digest = hashlib.sha256(self._agent).hexdigest()
        self._name = f"wholecard-host-{self._digest[:16]}"

    def run(self, words: Sequence[str], watcher: Watcher) -> tuple[HostResult, ...]:
        """The results of the agent's command `words` on all hosts, in the hosts' order.

        A failure on one host is that host's `error` and leaves the others alone. On Ctrl-C every
        ssh is ended, and the results of the hosts that had not finished say so.
        """
        with ThreadPoolExecutor(max(1, min(self._jobs, len(self.hosts)))) as threads:
            on_host = partial(self._result, words=tuple(words), watcher=watcher)
            futures = [threads.submit(on_host, host) for host in self.hosts]
            try:
                return tuple(future.result() for future in futures)
            except KeyboardInterrupt:
                self._programs.end()
                return tuple(future.result() for future in futures)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self._programs.ended

    def _result(self, host: str, words: tuple[str, ...], watcher: Watcher) -> HostResult:
        began = time.monotonic()
        try:
            status, stdout, stderr = self._run_agent(host, words, watcher)
            result = HostResult(host, status, stdout, stderr, seconds=time.monotonic() - began)
        except _NoAnswerError as error:
            seconds = time.monotonic() - began
            result = HostResult(host, 3, error.stdout, error.stderr, error.cause, seconds)
        watcher.answer(result)
        return result

    def _run_agent(
        self, host: str, words: tuple[str, ...], watcher: Watcher
    ) -> tuple[int, str, str]:
        """Exit status and both outputs; the agent is sent where the host does not have it."""
        if self.interrupted:
            raise _NoAnswerError(WholecardError(f"{host}: not started"))
        watcher.state(host, "connecting")
        result = self._ssh_once(host, words, watcher, send=False)
        if result.status == NO_AGENT and not self.interrupted:
            watcher.state(host, "sending the agent")
            result = self._ssh_once(host, words, watcher, send=True)
        stdout, started = _after(self._name, result.stdout)
        stderr, _ = _after(self._name, result.stderr)
        if started and 0 <= result.status <= 3:
            return result.status, stdout, stderr
        if self.interrupted:
            error = interrupted(host, words)
        elif started:
            error = broken_off(host, words, result.status, stderr)
        else:
            error = not_started(host, result)
        raise _NoAnswerError(error, stdout, stderr if started else "")

    def _ssh_once(
        self, host: str, words: tuple[str, ...], watcher: Watcher, *, send: bool
    ) -> Result:
        limit = READING_SECONDS if words[0] in READING else CHANGING_SECONDS
        try:
            return run(
                self._ssh.argv(host, self._digest, self._name, words, send),
                timeout=self._timeout or limit,
                stdin=self._agent if send else b"",
                check=False,
                resolution="Install OpenSSH's client (openssh-client, openssh-clients).",
                watch=_Listener(host, words[0], self._name, watcher).hear,
                programs=self._programs,
                limit=OUTPUT_LIMIT,
            )
        except TooMuchOutputError as error:
            raise _NoAnswerError(too_much(host, words, OUTPUT_LIMIT)) from error
        except RunError as error:
            # Its details are the command with the whole script, which helps nobody; -v shows it.
            if error.brief.startswith("cannot run"):
                raise _NoAnswerError(WholecardError(error.brief, "", error.resolution)) from error
            raise _NoAnswerError(too_long(host, words, self._timeout or limit)) from error


class _NoAnswerError(Exception):
    """The agent did not run to its end on a host: why, and its output until then."""

    def __init__(self, cause: WholecardError, stdout: str = "", stderr: str = "") -> None:
        super().__init__(cause.brief)
        self.cause, self.stdout, self.stderr = cause, stdout, stderr


class _Listener:
    """Takes from a host's standard error what the agent wrote: all after its name."""

    def __init__(self, host: str, command: str, name: str, watcher: Watcher) -> None:
        self._host, self._command, self._name, self._watcher = host, command, name, watcher
        self._started = False

    def hear(self, line: str) -> None:
        """A line, or the beginning of one that has not ended."""
        if self._started:
            self._watcher.line(self._host, line)
        elif line == f"{self._name}\n":
            self._started = True
            self._watcher.state(self._host, f"running {self._command}")


def _after(name: str, text: str) -> tuple[str, bool]:
    """What follows the line `name`, and whether there is such a line."""
    before, line, after = text.partition(f"{name}\n")
    return (after, True) if line else (before, False)
