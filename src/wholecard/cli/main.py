"""`wholecard`: where the command starts. What is for this host goes to the agent at once.

Whoever runs `wholecard inspect` in a loop should not wait for what only other commands need, so
nothing is imported here that the agent does not import itself.
"""

from __future__ import annotations

import sys

from wholecard.cli.alone import ALONE
from wholecard.core.errors import UsageError
from wholecard.host.agent import cli

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the command that the process was called with, and end the process."""
    argv = sys.argv[1:]
    verbose = bool(argv) and argv[0] in ("-v", "--verbose")
    found = here(argv[1:] if verbose else argv)
    if found is None:
        # Only now: typer and rich alone take twice as long as a whole inspect.
        from wholecard.cli.app import run_app  # noqa: PLC0415

        sys.exit(run_app(argv))
    if verbose:
        import logging  # noqa: PLC0415 - as above

        logging.basicConfig(format="%(message)s", level=logging.DEBUG)
    words, prog = found
    try:
        _refuse_late_on(words)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    cli.leave(cli.main(words, prog))


def here(argv: Sequence[str]) -> tuple[list[str], str] | None:
    """The agent's words in `argv`, and how it was called; None where it is another's command."""
    if argv and argv[0] in ALONE:
        return list(argv), "wholecard"
    from wholecard.host.agent.help import COMMANDS  # noqa: PLC0415 - inspect needs no help

    if argv[:1] == ["host"] and argv[1:2] and argv[1] in COMMANDS and argv[1] not in ALONE:
        return list(argv[1:]), "wholecard host"
    return None


def _refuse_late_on(words: Sequence[str]) -> None:
    for word in words:
        if word == "--on" or word.startswith("--on="):
            raise UsageError(
                "--on stands before the command",
                resolution="Write it as: wholecard --on HOST inspect",
            )


if __name__ == "__main__":
    main()
