"""Values of several lines that end too early: at a line in column one, a blank line, a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.lint.json_positions import depth
from wholecard.nova.lint.service import Service, Value

# Longer text is not meant for the value above.
_MOST_LINES = 200
# What oslo.config's parser can make of a line that was meant for the value above it.
SYNTAX = frozenset({"assignment", "name", "continuation", "bracket", "section"})
_HEADER = re.compile(r"\[[\w.:-]+\]")
_SIGNS = tuple('{}[]",:')


@dataclass(frozen=True)
class Broken:
    """A value whose object goes on behind its end, on the lines from `first` up to `last`."""

    entry: ConfEntry
    first: int
    last: int

    @property
    def stop(self) -> int | None:
        """The first of these lines at which oslo.config stops, so that no service starts."""
        problems = self.entry.file.problems
        lines = (problem.position.line for problem in problems if problem.kind in SYNTAX)
        return next((line for line in lines if self.first <= line <= self.last), None)

    @property
    def fix(self) -> str:
        """What makes it one value again: lines to indent, and lines to remove."""
        lines = self.entry.file.lines
        gaps, flush = [], []
        for number in range(self.entry.line + self.entry.count, self.last + 1):
            line = lines[number - 1]
            if _is_gap(line):
                gaps.append(number)
            elif not line[0].isspace():
                flush.append(number)
        todo = [f"indent {_lines(flush)}"] if flush else []
        if gaps:
            todo.append(f"remove the empty or comment line on {_lines(gaps)}")
        text = ", and ".join(todo)
        return f"{text[:1].upper()}{text[1:]}."


def broken(service: Service) -> Iterator[Broken]:
    """Every value of device_spec and alias that goes on behind its end."""
    for name in ("device_spec", "alias"):
        for value in service.values(name):
            if value.wrong and value.wrong.is_open and (rest := _goes_on(value)):
                yield rest


def broken_lines(values: Iterable[Broken]) -> set[tuple[str, int]]:
    """The lines, by path, that belong to a value above them."""
    return {
        (value.entry.path, line) for value in values for line in range(value.first, value.last + 1)
    }


def _lines(numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _is_gap(line: str) -> bool:
    """Whether oslo.config ends a value at it: an empty line, or a comment in column one."""
    return not line.strip() or line.startswith(("#", ";"))


def _goes_on(value: Value) -> Broken | None:
    entry = value.entry
    start = entry.line - 1 + entry.count
    first, open_ = 0, depth(value.text.text)
    for number, line in enumerate(entry.file.lines[start : start + _MOST_LINES], start + 1):
        if _is_gap(line):
            continue
        text = line.strip()
        if not text.startswith(_SIGNS) or _HEADER.fullmatch(text):
            return None
        first = first or number
        open_ += depth(text)
        if open_ <= 0:
            return Broken(entry, first, number)
    return None
