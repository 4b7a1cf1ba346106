"""The lab's error, and the end of a log for it."""

from __future__ import annotations

from pathlib import Path

from wholecard.core import WholecardError

TAIL_LINES = 15


class LabError(WholecardError):
    """A part of the lab failed; `details` end with the last lines of its log where there is one."""


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """`log: PATH` and its last lines; only the path where it cannot be read."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return f"log: {log} (not written)"
    tail = "\n".join("  " + line for line in text.splitlines()[-lines:])
    return f"log: {log}\n{tail}" if tail else f"log: {log} (empty)"
