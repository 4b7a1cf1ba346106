"""`wholecard inspect`, `check` and `host …`: the agent's own commands, here or on other hosts.

Their options are the agent's: what comes after a command's name is passed on as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from wholecard.core import UsageError, WholecardError
from wholecard.host.agent import cli
from wholecard.host.agent.cli import ALONE
from wholecard.host.agent.help import COMMANDS

HELP = "Prepare a host so that servers can get its cards, whole or in parts."


class _Verbatim(TyperCommand):
    """A command that reads no options of its own, `--help` and `--` included."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return args


def add_alone(app: typer.Typer) -> None:
    """Add the agent's commands that have no group."""
    for name in ALONE:
        app.command(name, cls=_Verbatim, help=_sentence(COMMANDS[name]))(_pass_on)


def build_group() -> typer.Typer:
    """`wholecard host` with the agent's other commands."""
    app = typer.Typer()
    for name, summary in COMMANDS.items():
        if name not in ALONE:
            app.command(name, cls=_Verbatim, help=_sentence(summary))(_pass_on)
    app.command("agent")(write_agent)
    return app


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _pass_on(context: typer.Context) -> None:
    words = [str(context.info_name), *context.args]
    prog = context.parent.command_path if context.parent else "wholecard"
    elsewhere = context.obj
    if elsewhere is None:
        raise typer.Exit(cli.main(words, prog))
    from wholecard.cli.fleet import run_on

    raise typer.Exit(run_on(elsewhere, words, prog))


def write_agent(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write, for example "
                                         "wholecard-host.pyz.")],
) -> None:  # fmt: skip
    """Build a single-file version of these commands to copy to a host.

    It needs Python 3.9 or newer on the host, and nothing else:

      python3 wholecard-host.pyz inspect
    """
    if context.obj is not None:
        raise UsageError(
            "agent writes a file on this machine; --on copies the agent to the hosts itself"
        )
    from wholecard.host.agent.zipapp import build_agent

    try:
        build_agent(file)
    except OSError as error:
        what = f"cannot write {file}: {error.strerror}"
        raise WholecardError(
            what, resolution="Name a file in a folder that you can write to."
        ) from error
    typer.echo(f"wrote {file}; on a host: python3 {file.name} --help")
