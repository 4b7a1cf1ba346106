"""`wholecard guest …`: what goes into a guest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """With one command only, typer would leave its name out."""


@app.command("agent")
def agent_command(
    system: Annotated[str, typer.Option("--os", metavar="SYSTEM", help="linux (POSIX shell, "
        "busybox too) or windows (PowerShell 5.1).")] = "linux",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it "
        "to this file, executable. Default: print it.")] = None,
    unit: Annotated[bool, typer.Option("--unit", help="The systemd unit that starts the agent in "
        "an image, instead of the agent.")] = False,
) -> None:  # fmt: skip
    """Print the agent that reports a guest's cards on its serial console, one file.

    In an image it is /usr/local/sbin/wholecard-agent with its unit; it is silent unless a proof
    asks. In a guest: sh wholecard-agent --stdout
    """
    from wholecard.cli.say import say
    from wholecard.guest.agent.files import agent_text, unit_text
    from wholecard.transaction.atomic_files import write_atomically

    text = unit_text() if unit else agent_text(system)
    if output is None:
        say(text, end="")
    else:
        write_atomically(output, text.encode(), 0o644 if unit else 0o755)
