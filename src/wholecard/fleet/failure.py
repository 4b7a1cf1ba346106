"""Why a host did not answer, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.core import Result, WholecardError
from wholecard.fleet.ssh import NO_AGENT, NO_CONNECTION, NO_PYTHON, NO_ROOM, NO_SUDO

# The agent's commands that change nothing.
READING = ("inspect", "check", "plan", "verify", "status")


def not_started(host: str, result: Result) -> WholecardError:
    """The agent did not start: ssh's reason, or what the remote end found missing."""
    said = result.stderr.strip() or result.stdout.strip()
    reasons = {
        NO_CONNECTION: (
            f"{host}: ssh does not reach it",
            f"See that `ssh -o BatchMode=yes {host} true` works (with -F FILE where --ssh-config "
            "is given): the name, the key, the host's key in known_hosts.",
        ),
        NO_PYTHON: (
            f"{host}: no Python 3.9 or newer there",
            "Install one (python3, python3.9, python3.11 …) on the host; the agent needs nothing "
            "else.",
        ),
        NO_SUDO: (
            f"{host}: sudo does not make us root without a password",
            "Log in as root (--on root@HOST), or allow this user NOPASSWD in sudoers.",
        ),
        NO_ROOM: (
            f"{host}: the agent cannot be stored in ~/.cache/wholecard",
            "See that this user's home there can be written to and has room.",
        ),
        NO_AGENT: (
            f"{host}: the agent was sent and is not there, or is not what was sent",
            "See whether something empties or changes ~/.cache/wholecard there.",
        ),
    }
    brief, resolution = reasons.get(
        result.status,
        (
            f"{host}: its shell did not run the agent (status {result.status})",
            f"See what `ssh {host} sh -c true` says: the login shell must run commands.",
        ),
    )
    return WholecardError(brief, said, resolution)


def broken_off(host: str, words: Sequence[str], status: int, said: str) -> WholecardError:
    """The agent started, and did not end by itself."""
    if status == NO_CONNECTION:
        brief = f"{host}: the connection was lost during {words[0]}"
    else:
        brief = f"{host}: the agent ended with status {status} during {words[0]}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return WholecardError(brief, f"last heard: {lines[-1]}" if lines else "", _look(host, words))


def interrupted(host: str, words: Sequence[str]) -> WholecardError:
    """Ctrl-C came before the answer."""
    return WholecardError(f"{host}: interrupted", resolution=_look(host, words))


def too_long(host: str, words: Sequence[str], seconds: float) -> WholecardError:
    """The time-out came before the answer."""
    resolution = f"{_look(host, words)} --timeout SECONDS waits longer."
    return WholecardError(f"{host}: no answer within {seconds:g} s", resolution=resolution)


def _look(host: str, words: Sequence[str]) -> str:
    if words[0] in READING:
        return "Nothing was changed; run it again."
    return (
        f"The host may have gone on. Run status there: wholecard --on {host} host status; when it "
        "is unfinished, apply finishes it and rollback undoes it."
    )
