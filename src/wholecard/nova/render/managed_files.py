"""Which files are ours: those that begin with our words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wholecard.core.marks import WRITTEN

# The first words of every file that we write; a file without them is somebody else's.
OURS = f"# {WRITTEN}"


def is_ours(path: Path) -> bool:
    """Whether we wrote the file. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(OURS)) == OURS.encode()


def without_ours(files: Iterable[Path]) -> list[Path]:
    """The files of others; one that cannot be read stays, for its reader to say so."""
    others = []
    for path in files:
        try:
            mine = is_ours(path)
        except OSError:
            mine = False
        if not mine:
            others.append(path)
    return others
