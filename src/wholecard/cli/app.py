"""The commands as typer has them: groups, global options, and what becomes of errors."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from wholecard import __version__
from wholecard.cli import host, options
from wholecard.cli.error import from_click, report
from wholecard.cli.options import CloudCommand, Elsewhere
from wholecard.core import UsageError
from wholecard.host.agent.cli import wants_json
from wholecard.host.agent.ending import exit_status, write_any_text

_HELP = """Whole GPUs for OpenStack servers: from a bare KVM host to a server whose guest proves \
that it has its cards.

With --on a host's command runs on other hosts, over ssh: wholecard --on gpu-01,gpu-02 inspect

Exit status: 0 all is well, 1 findings, 2 called wrongly, 3 something broke, 4 too little known."""
# Groups whose modules are imported only when they are called: each needs other libraries.
_GROUPS = {
    "site": "The site file: which cards the hosts of a cloud have, and how servers get them.",
    "nova": "nova.conf for the cards.",
    "cloud": "Flavors, images, aggregates, traits and quotas as the site file describes them.",
    "guest": "What goes into a guest: the agent that reports its cards.",
    "card": "The cards of a cloud; and a card of a host replaced, moved, added or retired: which "
    "addresses change, and what names the old ones.",
    "image": "Guest images: a cloud image made larger, with the cards' drivers and whatever else "
    "the site file asks for.\n\nplan shows what would be done, build does it, cloud apply uploads "
    "the result.",
    "repair": "What the audit finds, repaired: the least invasive way, guarded, with a way back."
    "\n\nplan shows what would be done and changes nothing.",
    "handover": "Clean cards that a server has had, and let nova give them again.\n\nFor cards "
    "with one_time_use in device_spec: nova reserves such a card in Placement when a server gets "
    "it, and nobody takes that back. This finds the cards that no server has any more, lets each "
    "card's host reset it and look for what is left in it, and sets reserved to 0; or it leaves "
    "the card reserved and says why.\n\nWithout --once it goes on until it is ended. It may be "
    "killed at any time.\n\n  wholecard handover --cloud CLOUD --once\n"
    "  wholecard handover --cloud CLOUD --rabbit /etc/wholecard/rabbit.ini\n\nExit status: 0 all "
    "cards are given back, 1 some are not, 2 called wrongly, 3 something broke.",
    "split": "Cards in parts: in which ways a card can be given, and what cannot go together.\n\n"
    "These commands read tables and saved facts, and change nothing.",
    "lab": "A lab on this machine: a node with two emulated cards, real VFIO, a real OpenStack."
    "\n\nEverything is in $XDG_CACHE_HOME/wholecard (or $WHOLECARD_LAB) and listens on "
    "loopback.",
}
# Commands without a group, imported in the same way.
_COMMANDS = {
    "audit": "Compare what sysfs, libvirt, nova and Placement say of each card.",
    "capacity": "Say which cards can still be given, and how many servers of each flavor fit.",
    "drain": "Move all servers off a host, and say first what will happen to each.",
    "explain": "Explain why a server with cards finds no host.",
    "exporter": "Serve the cards' health and use as metrics for Prometheus.",
    "health": "Report errors of cards, and which cards are free, given, dirty or broken.",
    "migrate": "Move a server with cards to another host.",
    "prove": "Boot servers of a flavor; their guests prove that they have its cards.",
    "rule": "Explain a finding's code.",
    "undrain": "Give a drained host back to nova, after a proof and an audit.",
}
# These join what hosts answer: `--on` is an option of their own.
_OWN_ON = ("exporter", "health")


def run_app(argv: Sequence[str]) -> int:
    """Run the command in `argv`; its exit status, also where it failed."""
    write_any_text()
    verbose = list(argv[:1]) in (["-v"], ["--verbose"])
    return exit_status(lambda: _run(argv), lambda error: report(error, wants_json(argv)), verbose)


def _run(argv: Sequence[str]) -> int:
    command: Any = get_command(build_app(argv))
    _join_lines(command)
    if "_WHOLECARD_COMPLETE" in os.environ:
        # A shell of which our own completion knows nothing, or one that asks for the script.
        command.main([], prog_name="wholecard")
    try:
        # Not main(): click ends with 1, which says "findings", when a pipe is closed.
        with command.make_context("wholecard", list(argv)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except Exception as error:
        ours = from_click(error)
        if ours is None:
            raise
        if not ours.brief:
            # The help was printed, because the command was called without any argument.
            return ours.exit_code
        raise ours from None
    return 0


def _join_lines(command: Any) -> None:
    """Let help be wrapped at the terminal's width, not where the docstring's lines end.

    A paragraph with an indented line is an example and keeps its lines.
    """
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(
        text if text.startswith(" ") or "\n " in text else text.replace("\n", " ")
        for text in paragraphs
    )
    for below in getattr(command, "commands", {}).values():
        _join_lines(below)


def build_app(argv: Sequence[str]) -> typer.Typer:
    """The whole command, with those groups filled that `argv` may call."""
    app = typer.Typer(name="wholecard", help=_HELP, no_args_is_help=True,
                      pretty_exceptions_enable=False,
                      context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
    app.callback()(_options)
    host.add_alone(app)
    app.add_typer(host.build_group(), name="host", help=host.HELP, no_args_is_help=True)
    for name, text in _GROUPS.items():
        if name in argv:
            group = importlib.import_module(f"wholecard.cli.{name}").app
        else:
            group = typer.Typer()
            group.callback()(_nothing)
        app.add_typer(group, name=name, help=text, no_args_is_help=True)
    for name, text in _COMMANDS.items():
        if name in argv:
            command = importlib.import_module(f"wholecard.cli.{name}").command
            app.command(name, cls=CloudCommand)(command)
        else:
            app.command(name, help=text)(_nothing)
    return app


def _nothing() -> None:
    """A group or a command that was not called."""


def _version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    context: typer.Context,
    on: Annotated[list[str] | None, typer.Option("--on", metavar="HOSTS", help="Run a host's "
        "command on these hosts: a,b, or @FILE with one host per line. May be repeated.")] = None,
    sudo: options.Sudo = False,
    ssh_config: options.SshConfig = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="How many hosts "
        "are handled in parallel. Default: 16.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", min=1, metavar="SECONDS", help="Time"
                       " limit per host. Default: 300 s to read, 3600 s to change.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each external command so "
                       "that you can copy it; print the traceback of an unexpected error.")]
    = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:  # fmt: skip
    if verbose:
        import logging

        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False)
        logging.getLogger("wholecard").addHandler(handler)
        logging.getLogger("wholecard").setLevel(logging.DEBUG)
    if on is not None:
        if context.invoked_subcommand in (*_GROUPS, *_COMMANDS):
            name = context.invoked_subcommand
            if name in _OWN_ON:
                what = f"--on must come after {name}"
                raise UsageError(what, resolution=f"Write it as: wholecard {name} --on HOST")
            what = f"{name} commands cannot be combined with --on"
            raise UsageError(what, resolution="--on works only with inspect, check and host.")
        context.obj = Elsewhere(tuple(on), sudo, ssh_config, jobs, timeout)
    elif sudo or ssh_config or jobs or timeout:
        what = "--sudo, --ssh-config, --jobs and --timeout work only with --on"
        raise UsageError(what, resolution="Name the hosts: wholecard --on gpu-01 …")
