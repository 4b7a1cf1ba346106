"""Pages from templates that extend `base.html.j2`, which has the colours and the type."""

from __future__ import annotations

from pathlib import Path

import jinja2

from wholecard.core.plain_text import plain
from wholecard.transaction.atomic_files import write_atomically

BASE = Path(__file__).parent / "templates"


def environment(folder: Path) -> jinja2.Environment:
    """Where the templates of `folder` and the base are; what they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, BASE]), undefined=jinja2.StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip


def write_page(text: str, target: Path) -> None:
    """Write the page to `target`, whole or not at all. Raises OSError."""
    write_atomically(target, text.encode("utf-8", "replace"), 0o644)


def _shown(value: object) -> object:
    """Texts of others without what commands a terminal or turns the direction of reading."""
    return plain(value) if type(value) is str else value
