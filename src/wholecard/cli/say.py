"""How a command prints a text that is not rich's."""

from __future__ import annotations

import sys

import typer

from wholecard.core.colour import coloured, wants_colour
from wholecard.core.plain_text import plain


def say(text: str, *, end: str = "\n", err: bool = False, colours: bool = False) -> None:
    """Print a text as it is, but for what could command a terminal.

    With `colours` a terminal shows the beginnings of findings and actions in colour.
    """
    text = plain(text)
    if colours and wants_colour(sys.stdout):
        text = coloured(text)
    typer.echo(text + end, nl=False, err=err)
