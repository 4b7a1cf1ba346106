"""`wholecard`: where the command starts. What is for this host goes to the agent at once.

Whoever runs `wholecard inspect` in a loop should not wait for what only other commands need, so
nothing is imported here that the agent does not import itself.
"""

from __future__ import annotations

import os
import sys

from wholecard.core.errors import UsageError
from wholecard.host.agent import cli
from wholecard.host.agent.ending import leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the command that the process was called with, and end the process."""
    argv = sys.argv[1:]
    if "_WHOLECARD_COMPLETE" in os.environ:
        _complete()
    call = agent_call(argv)
    if call is None:
        # Only now: typer alone takes twice as long as a whole inspect.
        from wholecard.cli.app import run_app

        leave(run_app(argv))
    words, prog = call
    try:
        _refuse_late_on(words)
    except UsageError as error:
        cli.report(error, cli.wants_json(words))
        leave(error.exit_code)
    leave(cli.main(words, prog))


def _complete() -> None:
    """Answer the shell that completes a line, and end the process; typer knows further shells."""
    from wholecard.cli.completion import answer

    reply = answer(os.environ)
    if reply is not None:
        # The shell runs it for its output only; leave() says nothing of a pipe that is closed.
        sys.stdout.write(f"{reply[0]}\n")
        leave(reply[1])


def agent_call(argv: Sequence[str]) -> tuple[list[str], str] | None:
    """The agent's words in `argv`, and how it was called; None where it is another's command."""
    verbose = list(argv[:1]) if argv[:1] and argv[0] in ("-v", "--verbose") else []
    words = list(argv[len(verbose) :])
    if words and words[0] in cli.ALONE:
        return [*verbose, *words], "wholecard"
    from wholecard.host.agent.help import COMMANDS  # inspect needs no help

    if words[:1] == ["host"] and words[1:2] and words[1] in COMMANDS and words[1] not in cli.ALONE:
        return [*verbose, *words[1:]], "wholecard host"
    return None


def _refuse_late_on(words: Sequence[str]) -> None:
    for word in words:
        if word == "--on" or word.startswith("--on="):
            resolution = "Write it as: wholecard --on HOST inspect"
            raise UsageError("--on must come before the command", resolution=resolution)


if __name__ == "__main__":
    main()
