"""One command on many hosts, side by side: each host's answer, whatever becomes of the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from wholecard.core import Programs, Result, RunError, WholecardError, run
from wholecard.fleet.failure import READING, broken_off, interrupted, not_started, too_long
from wholecard.fleet.host_result import HostResult
from wholecard.fleet.ssh import NO_AGENT, Ssh
from wholecard.host.agent.zipapp import agent_bytes

# In seconds: a host's disks may sleep; an initramfs may be built for each of its kernels.
READING_SECONDS = 300.0
CHANGING_SECONDS = 3600.0


class Watcher:
    """Is told, from a thread for each host, what goes on. This one keeps still."""

    def state(self, host: str, text: str) -> None:
        """A host begins something: `connecting`, `sending the agent`, `running inspect`."""

    def line(self, host: str, text: str) -> None:
        """The agent wrote to standard error: a line, without its newline while it goes on."""

    def answer(self, answer: HostResult) -> None:
        """A host's command has ended."""


@dataclass(frozen=True)
class Package:
    """The agent as it travels: its bytes and, as its name on a host, a digest of them."""

    data: bytes
    digest: str

    @classmethod
    def build(cls) -> Package:
        """Made from this very package."""
        data = agent_bytes()
        return cls(data, hashlib.sha256(data).hexdigest())

    @property
    def name(self) -> str:
        """`wholecard-host-` and 16 hex digits."""
        return f"wholecard-host-{self.digest[:16]}"


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
        self._package = Package.build()

    def run(self, words: Sequence[str], watcher: Watcher) -> tuple[HostResult, ...]:
        """The answers of all hosts to the agent's command `words`, in the hosts' order.

        What happens to one host is its answer's error and leaves the others alone. On Ctrl-C every
        ssh is ended and the answers of the hosts that were not done say so.
        """
        with ThreadPoolExecutor(max(1, min(self._jobs, len(self.hosts)))) as threads:
            ask = partial(self._answer, words=tuple(words), watcher=watcher)
            futures = [threads.submit(ask, host) for host in self.hosts]
            try:
                return tuple(future.result() for future in futures)
            except KeyboardInterrupt:
                self._programs.end()
                return tuple(future.result() for future in futures)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self._programs.ended

    def _answer(self, host: str, words: tuple[str, ...], watcher: Watcher) -> HostResult:
        began = time.monotonic()
        try:
            status, stdout, stderr = self._ask(host, words, watcher)
            answer = HostResult(host, status, stdout, stderr, seconds=time.monotonic() - began)
        except _NoAnswerError as error:
            seconds = time.monotonic() - began
            answer = HostResult(host, 3, error.stdout, error.stderr, error.cause, seconds)
        watcher.answer(answer)
        return answer

    def _ask(self, host: str, words: tuple[str, ...], watcher: Watcher) -> tuple[int, str, str]:
        if self.interrupted:
            raise _NoAnswerError(WholecardError(f"{host}: not begun"))
        watcher.state(host, "connecting")
        result = self._call(host, words, watcher, send=False)
        if result.status == NO_AGENT and not self.interrupted:
            watcher.state(host, "sending the agent")
            result = self._call(host, words, watcher, send=True)
        stdout, started = _after(self._package.name, result.stdout)
        stderr, _ = _after(self._package.name, result.stderr)
        if started and 0 <= result.status <= 3:
            return result.status, stdout, stderr
        if self.interrupted:
            error = interrupted(host, words)
        elif started:
            error = broken_off(host, words, result.status, stderr)
        else:
            error = not_started(host, result)
        raise _NoAnswerError(error, stdout, stderr if started else "")

    def _call(self, host: str, words: tuple[str, ...], watcher: Watcher, *, send: bool) -> Result:
        package = self._package
        limit = READING_SECONDS if words[0] in READING else CHANGING_SECONDS
        try:
            return run(
                self._ssh.argv(host, package.digest, package.name, words, send),
                timeout=self._timeout or limit,
                stdin=package.data if send else b"",
                check=False,
                resolution="Install OpenSSH's client (openssh-client, openssh-clients).",
                watch=_Listener(host, words[0], package.name, watcher).hear,
                programs=self._programs,
            )
        except RunError as error:
            # Its details are the command with all of the script: `-v` shows it to who asks.
            if error.brief.startswith("cannot run"):
                raise _NoAnswerError(WholecardError(error.brief, "", error.resolution)) from error
            raise _NoAnswerError(too_long(host, words, self._timeout or limit)) from error


class _NoAnswerError(Exception):
    """The agent did not run to its end on a host: why, and what it had said by then."""

    def __init__(self, cause: WholecardError, stdout: str = "", stderr: str = "") -> None:
        super().__init__(cause.brief)
        self.cause, self.stdout, self.stderr = cause, stdout, stderr


class _Listener:
    """Takes from a host's standard error what is the agent's own: all after its name."""

    def __init__(self, host: str, command: str, name: str, watcher: Watcher) -> None:
        self._host, self._command, self._name, self._watcher = host, command, name, watcher
        self._started = False

    def hear(self, line: str) -> None:
        """A line, or what has come of it."""
        if self._started:
            self._watcher.line(self._host, line)
        elif line == f"{self._name}\n":
            self._started = True
            self._watcher.state(self._host, f"running {self._command}")


def _after(name: str, text: str) -> tuple[str, bool]:
    """What stands behind the line `name`, and whether there is one."""
    before, found, after = text.partition(f"{name}\n")
    return (after, True) if found else (before, False)
