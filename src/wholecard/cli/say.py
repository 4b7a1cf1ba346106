"""How a command prints a text that is not rich's."""

from __future__ import annotations

import typer

from wholecard.core.plain_text import plain


def say(text: str, *, end: str = "\n", err: bool = False) -> None:
    """Print a text as it is, but for what could command a terminal."""
    typer.echo(plain(text) + end, nl=False, err=err)
