"""The commands as typer has them: groups, global options, and what becomes of errors."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from wholecard import __version__
from wholecard.cli import host
from wholecard.cli.elsewhere import Elsewhere
from wholecard.cli.error import report
from wholecard.core import UsageError, WholecardError

_HELP = """Whole GPUs for OpenStack servers: from a bare KVM host to a server whose guest proves \
that it has its cards.

With --on a host's command runs on other hosts, over ssh: wholecard --on gpu-01,gpu-02 inspect

Exit status: 0 all is well, 1 there are findings, 2 called wrongly, 3 something broke."""
# Groups whose modules are imported only when they are called: behind them stands OpenStack.
_GROUPS = {
    "site": "The site file: what is wanted of the cards of a cloud.",
    "nova": "nova.conf for the cards.",
    "cloud": "Flavors, images, aggregates, traits and quotas as the site file has them.",
    "lab": "A lab on this machine: a node with two emulated cards, real VFIO, a real OpenStack."
    "\n\nEverything lives in $XDG_CACHE_HOME/wholecard (or $WHOLECARD_LAB) and listens on "
    "loopback.",
}
# Commands that stand alone, imported in the same way.
_COMMANDS = {
    "explain": "Say why a server with cards finds no host.",
    "rule": "Explain a finding's code.",
}


def run_app(argv: Sequence[str]) -> int:
    """Run the command in `argv`; an error of ours becomes its message and its status."""
    try:
        made_app(argv)(list(argv), prog_name="wholecard")
    except WholecardError as error:
        report(error, "--json" in argv)
        return error.exit_code
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        return 130
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def made_app(argv: Sequence[str]) -> typer.Typer:
    """The whole command, with those groups filled that `argv` may call."""
    app = typer.Typer(
        name="wholecard",
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    host.add_alone(app)
    app.add_typer(host.made_app(), name="host", help=host.HELP, no_args_is_help=True)
    for name, text in _GROUPS.items():
        # A shell that completes a word calls without any.
        if name in argv or "_WHOLECARD_COMPLETE" in os.environ:
            group = importlib.import_module(f"wholecard.cli.{name}").app
        else:
            group = typer.Typer()
            group.callback()(_nothing)
        app.add_typer(group, name=name, help=text, no_args_is_help=True)
    for name, text in _COMMANDS.items():
        if name in argv or "_WHOLECARD_COMPLETE" in os.environ:
            app.command(name)(importlib.import_module(f"wholecard.cli.{name}").command)
        else:
            app.command(name, help=text)(_nothing)
    return app


def _nothing() -> None:
    """A group or a command that was not asked for."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    context: typer.Context,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="HOSTS",
            help="Run a host's command there: a,b, repeated, or @FILE with a host per line.",
        ),
    ] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="There, become root by sudo -n.")] = False,
    ssh_config: Annotated[
        Path | None, typer.Option("--ssh-config", metavar="FILE", help="As ssh -F FILE.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="How many hosts at a time; 16.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=1, metavar="SECONDS", help="How long a host may take; "
                     "300 s, or 3600 s where it is changed."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every program that is run, to paste it.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:  # fmt: skip
    if verbose:
        handler = RichHandler(console=Console(stderr=True), show_path=False)
        logging.getLogger("wholecard").addHandler(handler)
        logging.getLogger("wholecard").setLevel(logging.DEBUG)
    if on is not None:
        if context.invoked_subcommand in (*_GROUPS, *_COMMANDS):
            raise UsageError(
                f"{context.invoked_subcommand} does not run on other hosts",
                resolution="--on goes with inspect, check and host.",
            )
        context.obj = Elsewhere(tuple(on), sudo, ssh_config, jobs, timeout)
    elif sudo or ssh_config or jobs or timeout:
        raise UsageError(
            "--sudo, --ssh-config, --jobs and --timeout go with --on",
            resolution="Name the hosts: wholecard --on gpu-01 …",
        )
