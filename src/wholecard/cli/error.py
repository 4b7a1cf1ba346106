"""What a person sees of an error."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.markup import escape

from wholecard.core import WholecardError


def report(error: WholecardError, as_json: bool) -> None:
    """Say what broke and what to do about it, on standard error; with `as_json` also as JSON."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]error:[/bold red] {escape(error.brief)}", soft_wrap=True)
    if error.details:
        console.print(error.details, style="dim", markup=False, soft_wrap=True)
    if error.resolution:
        console.print("[bold]Resolution:[/bold]", end=" ")
        console.print(error.resolution, markup=False, soft_wrap=True)
    if as_json:
        brief = {"brief": error.brief, "details": error.details, "resolution": error.resolution}
        typer.echo(json.dumps({"error": brief}))
