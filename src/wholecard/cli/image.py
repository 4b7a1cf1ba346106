"""`wholecard image …`: images for guests."""

from __future__ import annotations

import typer

from wholecard.cli import image_drivers

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)
image_drivers.add(app)


@app.callback()
def _image() -> None:
    """A group, also with one command."""
