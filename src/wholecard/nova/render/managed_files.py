"""The files that Wholecard manages: those that begin with its words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wholecard.core.input_files import refuse_odd
from wholecard.core.marks import WRITTEN

# The first words of every file that we write; a file without them is somebody else's.
OURS = f"# {WRITTEN}"


def is_ours(path: Path) -> bool:
    """Whether we wrote the file. Raises OSError where it cannot be read."""
    refuse_odd(path)
    with path.open("rb") as file:
        return file.read(len(OURS)) == OURS.encode()


def without_ours(files: Iterable[Path]) -> list[Path]:
    """The files that are not ours; one that cannot be read stays, and its reader reports it."""
    others = []
    for path in files:
        try:
            mine = is_ours(path)
        except OSError:
            mine = False
        if not mine:
            others.append(path)
    return others
