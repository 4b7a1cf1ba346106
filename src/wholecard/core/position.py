"""A position in a text file, of the site file as of nova.conf."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """Line and column, both from 1, in characters; column 1 where only the line is known."""

    line: int
    column: int
