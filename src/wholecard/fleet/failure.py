"""Why a host did not answer, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.core import Result, WholecardError
from wholecard.fleet.ssh import NO_AGENT, NO_CONNECTION, NO_PYTHON, NO_ROOM, NO_SUDO

# The agent's commands that change nothing.
READING = ("inspect", "check", "plan", "verify", "status", "health")


def not_started(host: str, result: Result) -> WholecardError:
    """The agent did not start: ssh's reason, or what is missing on the host."""
    output = result.stderr.strip() or result.stdout.strip()
    reasons = {
        NO_CONNECTION: (
            f"{host}: ssh does not reach it",
            f"Make `ssh -o BatchMode=yes {host} true` work (with -F FILE if you use "
            "--ssh-config): check the name, your key, and the host's key in known_hosts.",
        ),
        NO_PYTHON: (
            f"{host}: no Python 3.9 or newer there",
            "Install one on the host (python3, python3.9, python3.11 …). The agent needs nothing "
            "else.",
        ),
        NO_SUDO: (
            f"{host}: sudo needs a password",
            "Log in as root (--on root@HOST), or allow this user NOPASSWD in sudoers.",
        ),
        NO_ROOM: (
            f"{host}: the agent cannot be stored in ~/.cache/wholecard",
            "Check that this user can write to the home folder there and that it has free space.",
        ),
        NO_AGENT: (
            f"{host}: the agent was sent, but its file is missing or changed",
            "Find out what empties or changes ~/.cache/wholecard there.",
        ),
    }
    brief, resolution = reasons.get(
        result.status,
        (
            f"{host}: its shell did not run the agent (status {result.status})",
            f"Look at what `ssh {host} sh -c true` prints: the login shell must run commands.",
        ),
    )
    return WholecardError(brief, output, resolution)


def broken_off(host: str, words: Sequence[str], status: int, stderr: str) -> WholecardError:
    """The agent started and was cut off before its end."""
    if status == NO_CONNECTION:
        brief = f"{host}: the connection was lost during {words[0]}"
    else:
        brief = f"{host}: the agent ended with status {status} during {words[0]}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    details = f"last output: {lines[-1]}" if lines else ""
    return WholecardError(brief, details, _what_next(host, words))


def interrupted(host: str, words: Sequence[str]) -> WholecardError:
    """Ctrl-C came before the command's end."""
    return WholecardError(f"{host}: interrupted", resolution=_what_next(host, words))


def too_long(host: str, words: Sequence[str], seconds: float) -> WholecardError:
    """The time-out came before the command's end."""
    resolution = f"{_what_next(host, words)} --timeout SECONDS waits longer."
    return WholecardError(f"{host}: no answer within {seconds:g} s", resolution=resolution)


def too_much(host: str, words: Sequence[str], limit: int) -> WholecardError:
    """The host printed more than any answer has."""
    brief = f"{host}: it printed more than {limit >> 20} MiB"
    details = "The agent never prints so much: the login shell or another program printed it."
    return WholecardError(brief, details, _what_next(host, words))


def _what_next(host: str, words: Sequence[str]) -> str:
    if words[0] in READING:
        return "Nothing was changed; run it again."
    return (
        f"The command may still run on the host. To see its progress: wholecard --on {host} host "
        "status. If it is unfinished, apply finishes it and rollback undoes it."
    )
