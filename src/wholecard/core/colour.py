"""Colour for a person at a terminal: put on a text that is finished and safe to print.

What a line is, is seen by how it begins, so texts stay plain until they are printed, and goldens,
files and pipes never hold an escape.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import TextIO

_RESET = "\x1b[0m"
_BOLD, _DIM, _RED, _GREEN, _YELLOW, _BLUE = (
    f"\x1b[{code}m" for code in ("1", "2", "1;31", "32", "33", "36")
)
# How a line begins, and the colour of what was matched. The first that fits is used.
_LINES = (
    (r"WC\d{3} error\b", _RED),
    (r"WC\d{3} warning\b", _YELLOW),
    (r"WC\d{3} note\b", _BLUE),
    (r"error:", _RED),
    (r" +(?:fix|the same for|why|undo|mode|note):?(?= )", _BOLD),
    (r"   (?:---|\+\+\+|@@) .*", _DIM),
    (r"   \+.*", _GREEN),
    (r"   -.*", _RED),
    (r"\d+\. .*", _BOLD),
    (r"card .*|[A-Z][A-Z ]{5,}$", _BOLD),
    (r" +card [0-9a-f]{4,8}:[0-9a-f:.]+|NUMA node[^:]*:?", _BOLD),
    (r" +not shown: .*", _DIM),
    (r"(?:journal \d{4}|[A-Za-z][a-z ]{1,11}|IOMMU):(?= )", _BOLD),
    (r"No findings: all is well\.", _GREEN),
)


def wants_colour(stream: TextIO) -> bool:
    """Whether what goes to `stream` is to have colours.

    It is a terminal that can show them, and NO_COLOR is not set (https://no-color.org).
    """
    import os

    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def coloured(text: str) -> str:
    """The text with the beginnings of its lines in colour."""
    import re

    patterns = [(re.compile(pattern), colour) for pattern, colour in _LINES]
    return "\n".join(_line(line, patterns) for line in text.split("\n"))


def _line(line: str, patterns: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, colour in patterns:
        match = pattern.match(line)
        if match:
            return f"{colour}{match[0]}{_RESET}{line[match.end() :]}"
    return line
