"""What a person sees of an error."""

from __future__ import annotations

import json
from typing import Any

import typer

from wholecard.core import UsageError, WholecardError
from wholecard.host.agent.cli import person_command


def report(error: WholecardError, as_json: bool) -> None:
    """Say what broke and what to do about it, on standard error; with `as_json` also as JSON."""
    from rich.markup import escape

    from wholecard.cli.terminal import PlainConsole

    resolution = person_command(error.resolution, "wholecard")
    console = PlainConsole(stderr=True, highlight=False)
    console.print(f"[bold red]error:[/bold red] {escape(error.brief)}", soft_wrap=True)
    if error.details:
        console.print(error.details, style="dim", markup=False, soft_wrap=True)
    if resolution:
        console.print("[bold]Resolution:[/bold]", end=" ")
        console.print(resolution, markup=False, soft_wrap=True)
    if as_json:
        brief = {"brief": error.brief, "details": error.details, "resolution": resolution}
        typer.echo(json.dumps({"error": brief}))


def from_click(error: Exception) -> WholecardError | None:
    """What click found wrong with the command line, as ours; None for any other error.

    The brief is empty where click has printed the help already, for a command without arguments.
    """
    # typer has its own copy of click, or the real one in older releases: no class to name.
    source: Any = error
    if isinstance(error, typer.Abort):
        return WholecardError("aborted")
    if not hasattr(source, "format_message") or not hasattr(source, "exit_code"):
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        return UsageError("")
    context = getattr(source, "ctx", None)
    command = context.command_path if context else "wholecard"
    # typer checks a value by pydantic, which begins so.
    message = source.format_message().replace(": Value error, ", ": ")
    return UsageError(message, resolution=f"See {command} --help")
