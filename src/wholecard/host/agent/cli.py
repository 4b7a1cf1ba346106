"""`python3 wholecard-host.pyz`: what travels to a host. Arguments in, a call, a rendering out."""

from __future__ import annotations

import os
import sys

from wholecard.core.errors import RefusedError, UsageError, WholecardError

# What a command needs is imported by the command: `inspect` is measured as a whole process, and
# argparse, json, pathlib, re, dataclasses and subprocess take longer than its reading.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn

PROG = "wholecard-host"

# The commands that only read, which a snapshot can answer.
_READING = ("inspect", "check", "plan")


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run one command and return its exit status (see DESIGN: 0, 1, 2, 3).

    `prog` is how a person called this program; help and usage name it so.
    """
    words = sys.argv[1:] if argv is None else argv
    arguments = _plain_inspect(words) or parse(words, prog)
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _unheard()
    except WholecardError as error:
        return _report(error, arguments.json)
    except OSError as error:
        from wholecard.transaction.os_errors import as_wholecard_error

        return _report(as_wholecard_error(error), arguments.json)
    return status


def parse(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """The options of a command. Raises SystemExit: 2 for wrong ones, 0 after --help."""
    from wholecard.host.agent.options import parser

    return parser(prog).parse_args(argv)


class _Inspect:
    """What argparse would make of `inspect` without anything unusual."""

    command = "inspect"
    save = None

    def __init__(self, root: str, as_json: bool) -> None:
        self.root = root
        self.json = as_json


def _plain_inspect(words: Sequence[str]) -> Any:
    """The arguments of a plain `inspect`; None for all else, which argparse reads and explains."""
    if not words or words[0] != "inspect":
        return None
    rest = [word for word in words[1:] if word != "--json"]
    if not rest:
        return _Inspect("/", len(words) > 1)
    if len(rest) == 2 and rest[0] == "--root" and rest[1][:1] not in ("", "-"):
        return _Inspect(rest[1], "--json" in words)
    return None


def _run(arguments: Any) -> int:
    place = os.fspath(arguments.root)
    if os.path.isdir(place):
        return _command(arguments)
    if not os.path.exists(place):
        raise UsageError(
            f"{place}: there is nothing", resolution="Name a folder or a snapshot with --root."
        )
    if arguments.command not in _READING:
        raise UsageError(
            f"{place} is a snapshot, which {arguments.command} cannot be run on",
            resolution=f"Snapshots are for {', '.join(_READING)}.",
        )
    from pathlib import Path

    from wholecard.host.facts.snapshot import open_snapshot

    with open_snapshot(place) as root:
        arguments.root = Path(root)
        return _command(arguments)


def _command(arguments: Any) -> int:
    if arguments.command == "inspect":
        return _inspect(arguments)
    from wholecard.host.agent.commands import run_command

    return run_command(arguments)


def _inspect(arguments: Any) -> int:
    from wholecard.host.facts.inspect import inspect

    if arguments.save is not None:
        from wholecard.host.facts.snapshot import save

        save(arguments.root, arguments.save)
    alone = isinstance(arguments, _Inspect)
    if alone:
        import gc

        # Nothing here refers to itself, and the process ends with the answer.
        gc.disable()
    # A process of its own, without threads: it may share the work.
    host = inspect(arguments.root, processes=None if alone else 1)
    if arguments.json:
        sys.stdout.writelines(host.to_lines())
        return 0
    from wholecard.host.agent.facts_text import host_text

    print(host_text(host))
    return 0


def _unheard() -> int:
    """Nobody reads on, as with `| head`: end as a program does that SIGPIPE killed.

    Python would say so again when it flushes at its end; see its documentation of SIGPIPE.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _report(error: WholecardError, as_json: bool) -> int:
    if as_json:
        import json

        data: dict[str, Any] = {
            "error": {
                "brief": error.brief,
                "details": error.details,
                "resolution": error.resolution,
            }
        }
        if isinstance(error, RefusedError):
            data["findings"] = [finding.to_json() for finding in error.findings]
        print(json.dumps(data, indent=2))
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def leave(status: int) -> NoReturn:
    """End the process at once: all that was still to be done is to free memory, piece by piece.

    With thousands of functions that takes a tenth of the whole time.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Whoever read it has gone.
        status = status or WholecardError.exit_code
    os._exit(status)


if __name__ == "__main__":
    leave(main())
