"""`wholecard`: the command, its groups, and what becomes of errors."""

from __future__ import annotations

import json
import logging
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from wholecard import __version__
from wholecard.cli import host, lab, nova
from wholecard.core import WholecardError

app = typer.Typer(
    name="wholecard",
    help="Whole GPUs for OpenStack servers: from a bare KVM host to a server whose guest proves "
    "that it has its cards.\n\nExit status: 0 all is well, 1 there are findings, 2 called "
    "wrongly, 3 something broke.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("inspect")(host.inspect)
app.command("check")(host.check)
app.add_typer(host.app, name="host")
app.add_typer(nova.app, name="nova")
app.add_typer(lab.app, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every program that is run, to paste it.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if verbose:
        handler = RichHandler(console=Console(stderr=True), show_path=False)
        logging.getLogger("wholecard").addHandler(handler)
        logging.getLogger("wholecard").setLevel(logging.DEBUG)


def main() -> None:
    """Run the command; an error of ours becomes its message, its resolution and its status."""
    try:
        app()
    except WholecardError as error:
        report(error, "--json" in sys.argv)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        sys.exit(130)


def report(error: WholecardError, as_json: bool) -> None:
    """Say what broke and what to do about it, on standard error; with `as_json` also as JSON."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]error:[/bold red] {error.brief}", soft_wrap=True)
    if error.details:
        console.print(error.details, style="dim", markup=False, soft_wrap=True)
    if error.resolution:
        console.print("[bold]Resolution:[/bold]", end=" ")
        console.print(error.resolution, markup=False, soft_wrap=True)
    if as_json:
        brief = {"brief": error.brief, "details": error.details, "resolution": error.resolution}
        typer.echo(json.dumps({"error": brief}))


if __name__ == "__main__":
    main()
