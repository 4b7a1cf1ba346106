"""`python3 wholecard-host.pyz`: what travels to a host. Arguments in, a call, a rendering out."""

from __future__ import annotations

import os
import sys

from wholecard.core.errors import RefusedError, UsageError, WholecardError
from wholecard.core.plain_text import plain
from wholecard.core.report_text import read_elsewhere, table_width
from wholecard.host.agent.ending import exit_status, leave, write_any_text

# What a command needs is imported by the command: `inspect` is measured as a whole process, and
# argparse, json, pathlib, re, dataclasses and subprocess take longer than its reading.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from wholecard.host.facts.host import Host

PROG = "wholecard-host"

# Commands that `wholecard` has without `host` before them.
ALONE = ("inspect", "check")

# The first word where `wholecard --on` starts the agent: the next says how a person called it. It
# may be followed by the width of that person's terminal.
CALLED_AS = "--called-as"
READ_AT = "--read-at-columns"

# The commands that only read, which a snapshot can answer.
_READING = ("inspect", "check", "plan")


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run one command and return its exit status (see `ending`).

    `prog` is how a person called this program; help, usage and fixes name it so.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == [CALLED_AS]:
        prog, words = words[1], words[2:]
        if words[:1] == [READ_AT]:
            read_elsewhere(int(words[1]))
            words = words[2:]
    called = prog.removesuffix(" host") if prog != PROG else prog
    verbose = words[:1] in (["-v"], ["--verbose"])
    write_any_text()
    return exit_status(
        lambda: _run(_plain_inspect(words) or parse(words, prog), called),
        lambda error: report(error, wants_json(words), called),
        verbose,
    )


def parse(argv: Sequence[str], prog: str = PROG) -> argparse.Namespace:
    """The options of a command. Raises UsageError, and SystemExit after --help and --version."""
    from wholecard.host.agent.options import parser

    options = parser(prog)
    if not argv:
        options.print_help()
        raise SystemExit(UsageError.exit_code)
    return options.parse_args(argv)


class _PlainInspect:
    """What argparse would make of `inspect` without anything unusual."""

    command = "inspect"
    save = None
    domains = False
    topology = False
    verbose = False

    def __init__(self, root: str, as_json: bool) -> None:
        self.root = root
        self.format = "json" if as_json else "table"
        self.column: Sequence[str] = ()


def _plain_inspect(words: Sequence[str]) -> Any:
    """The arguments of a plain `inspect`; None for all else, which argparse reads and explains."""
    if not words or words[0] != "inspect":
        return None
    rest = [word for word in words[1:] if word != "--json"]
    if not rest:
        return _PlainInspect("/", len(words) > 1)
    if len(rest) == 2 and rest[0] == "--root" and rest[1][:1] not in ("", "-"):
        return _PlainInspect(rest[1], "--json" in words)
    return None


def _run(arguments: Any, called: str) -> int:
    root = os.fspath(arguments.root)
    arguments.called = called
    if arguments.verbose:
        import logging

        logging.basicConfig(format="%(message)s", level=logging.DEBUG)
    if os.path.isdir(root):
        return _command(arguments)
    if not os.path.exists(root):
        raise UsageError(
            f"{root} does not exist", resolution="Name a folder or a snapshot with --root."
        )
    if arguments.command not in _READING:
        raise UsageError(
            f"{root} is a snapshot, and {arguments.command} cannot use a snapshot",
            resolution=f"Snapshots are for {', '.join(_READING)}.",
        )
    from pathlib import Path

    from wholecard.host.facts.snapshot import open_snapshot

    with open_snapshot(root) as folder:
        arguments.root = Path(folder)
        return _command(arguments)


def _command(arguments: Any) -> int:
    if arguments.command == "inspect":
        return _inspect(arguments)
    from wholecard.host.agent.commands import run_command

    return run_command(arguments)


def _inspect(arguments: Any) -> int:
    from wholecard.host.facts.inspect import inspect

    if arguments.topology and (arguments.format != "table" or arguments.column):
        raise UsageError(
            "--topology is a text for people",
            resolution="inspect --json has each function with its NUMA node and the bridges above.",
        )
    if arguments.save is not None:
        from wholecard.host.facts.snapshot import save

        save(arguments.root, arguments.save)
    alone = isinstance(arguments, _PlainInspect)
    if alone:
        import gc

        # Nothing here refers to itself, and the process ends with the answer.
        gc.disable()
    # A process of its own, without threads: it may share the work.
    host = inspect(arguments.root, processes=None if alone else 1).without_secrets()
    if arguments.domains:
        return _inspect_domains(arguments, host)
    _print_host(arguments, host)
    return 0


def _print_host(arguments: Any, host: Host) -> None:
    if arguments.format == "json" and not arguments.column:
        sys.stdout.writelines(host.to_lines())
    elif arguments.format == "table" and not arguments.column:
        say(_text_of(arguments, host))
    else:
        from wholecard.core.output_format import formatted

        say(formatted(arguments.format, arguments.column, "", host.to_json(), "functions"))


def say(text: str) -> None:
    """Print a text: what could command a terminal is taken out, and colours are put on."""
    text = plain(text)
    if sys.stdout.isatty():
        from wholecard.core.colour import coloured, wants_colour

        if wants_colour(sys.stdout):
            text = coloured(text)
    print(text)


def _text_of(arguments: Any, host: Host) -> str:
    """The facts for a person, function by function or as a tree."""
    if arguments.topology:
        from wholecard.core.report_text import terminal_width
        from wholecard.host.agent.topology_text import topology_text

        return topology_text(host, terminal_width())
    from wholecard.host.agent.facts_text import host_text

    return host_text(host, table_width())


def _inspect_domains(arguments: Any, host: Host) -> int:
    """The facts with what servers have. Not measured: it reads XML."""
    from pathlib import Path

    from wholecard.core.output_format import formatted
    from wholecard.host.facts.given_devices import given_text, read_given_devices

    given = read_given_devices(Path(arguments.root))
    text = f"{_text_of(arguments, host)}\n\n{given_text(given)}"
    data = {**host.to_json(), **given.to_json()}
    say(formatted(arguments.format, arguments.column, text, data, "functions"))
    return 0


def wants_json(words: Sequence[str]) -> bool:
    """Whether these words, which may be wrong ones, ask for JSON; an error is then JSON too."""
    return (
        "--json" in words
        or "--format=json" in words
        or any(pair in (("-f", "json"), ("--format", "json")) for pair in zip(words, words[1:]))
    )


def report(error: WholecardError, as_json: bool, called: str = PROG) -> None:
    """Print what broke and what to do about it: on standard error, as JSON on standard output."""
    error.resolution = person_command(error.resolution, called)
    # First, for standard output may be what cannot be written.
    print(plain(f"error: {error}"), file=sys.stderr)
    if as_json:
        import json

        data: dict[str, Any] = {"error": error.to_json()}
        if isinstance(error, RefusedError):
            data["findings"] = [finding.to_json() for finding in error.findings]
        print(json.dumps(data, indent=2))


def person_command(text: str, called: str) -> str:
    """The text with the agent's commands as this person can call them.

    Rules name `wholecard-host apply`; where `called` is `wholecard` there is no such program, and
    the command is `wholecard host apply`.
    """
    if called == PROG or f"{PROG} " not in text:
        return text
    for name in ALONE:
        text = text.replace(f"{PROG} {name}", f"{called} {name}")
    return text.replace(f"{PROG} ", f"{called} host ")


if __name__ == "__main__":
    leave(main())
