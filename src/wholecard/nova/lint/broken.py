"""Values of several lines that are broken off: by a line in column one, a blank line, a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wholecard.nova.conf_file import Entry
from wholecard.nova.lint.json_text import depth
from wholecard.nova.lint.service import Service, Value

# What goes on for longer is not meant for the value above.
_MOST_LINES = 200
_HEADER = re.compile(r"\[[\w.:-]+\]")
_SIGNS = tuple('{}[]",:')


@dataclass(frozen=True)
class Broken:
    """A value whose object goes on behind its end, on the lines from `first` up to `last`."""

    entry: Entry
    first: int
    last: int


def broken(service: Service) -> Iterator[Broken]:
    """Every value of device_spec and alias that goes on behind its end."""
    for name in ("device_spec", "alias"):
        for value in service.values(name):
            found = _goes_on(value) if value.wrong and value.wrong.is_open else None
            if found is not None:
                yield found


def broken_lines(found: Iterable[Broken]) -> set[tuple[str, int]]:
    """The lines, by path, that belong to a value above them."""
    return {(each.entry.path, line) for each in found for line in range(each.first, each.last + 1)}


def _goes_on(value: Value) -> Broken | None:
    entry = value.entry
    start = entry.line - 1 + entry.count
    first, open_ = 0, depth(value.text.text)
    for number, line in enumerate(entry.file.lines[start : start + _MOST_LINES], start + 1):
        text = line.strip()
        if not text or line.startswith(("#", ";")):
            continue
        if not text.startswith(_SIGNS) or _HEADER.fullmatch(text):
            return None
        first = first or number
        open_ += depth(text)
        if open_ <= 0:
            return Broken(entry, first, number)
    return None
