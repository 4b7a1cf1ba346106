"""A finding with its position in a file, and the edits that would fix it there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.core import Finding, Severity
from wholecard.core.position import Position
from wholecard.core.rules import RULES
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile


@dataclass(frozen=True)
class TextEdit:
    """The characters of `file` from `start` up to `end` (offsets in its text) become `text`."""

    file: ConfFile
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """A finding at a line and column (from 1) of a file, `length` characters long.

    `shown` is the line as it may be shown: empty where it belongs to an option that is not for
    cards, for it may hold a password. `roles` are those whose configuration it is. `edits` are the
    ones that certainly fix it, none where a person has to decide.
    """

    finding: Finding
    path: str
    position: Position
    length: int = 1
    shown: str = ""
    roles: tuple[str, ...] = ()
    edits: tuple[TextEdit, ...] = ()

    @property
    def order(self) -> tuple[Any, ...]:
        """Diagnostics are listed by file, position and rule."""
        return self.path, self.position, self.finding.rule, self.finding.message

    def to_json(self) -> dict[str, Any]:
        """The finding's fields, then `file`, `line`, `column`, `length`, `roles`, `fixable`."""
        return {
            **self.finding.to_json(),
            "file": self.path,
            "line": self.position.line,
            "column": self.position.column,
            "length": self.length,
            "roles": list(self.roles),
            "fixable": bool(self.edits),
        }


def cut(text: str, most: int = 500) -> str:
    """A text short enough to read: names in a file may be of any length."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(texts: Sequence[str], most: int = 4) -> str:
    """`a, b, c, d and 3 more`: so many texts as a person reads."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Spot:
    """A part of an entry: `length` characters from `offset` of its value; its name without one."""

    entry: ConfEntry
    offset: int | None = None
    length: int = 0

    @property
    def position(self) -> Position:
        """Line and column of its first character."""
        offset = self.offset
        return Position(self.entry.line, 1) if offset is None else self.entry.position(offset)

    def edit(self, text: str) -> TextEdit:
        """The edit that replaces these characters by `text`."""
        file, start = self.entry.file, self.entry.file.offset(self.position)
        length = len(self.entry.name) if self.offset is None else self.length
        return TextEdit(file, start, start + length, text)


def entry_diagnostic(
    rule: str,
    spot: Spot | ConfEntry,
    message: str,
    fix: str = "",
    edits: Iterable[TextEdit] = (),
    severity: Severity | None = None,
) -> Diagnostic:
    """A diagnostic on an option for cards, whose line may be shown; the severity is the rule's."""
    spot = spot if isinstance(spot, Spot) else Spot(spot)
    entry, position = spot.entry, spot.position
    subject = f"[{cut(entry.section, 40)}] {cut(entry.name, 60)}"
    finding = Finding(rule, subject, severity or RULES[rule].severity, cut(message), fix)
    length = max(1, len(entry.name) if spot.offset is None else spot.length)
    shown = shown_line(entry, position.line)
    return Diagnostic(finding, entry.path, position, length, shown, edits=tuple(edits))


def shown_line(entry: ConfEntry, number: int) -> str:
    """A line of an option for cards; empty where it may be another option that is indented."""
    line = entry.file.lines[number - 1]
    # A line of JSON begins so; any other continuation may be an option with a secret (WC205).
    is_own = number == entry.line or line.lstrip()[:1] in set("{}[]\"',:")
    return line if is_own else ""


def file_diagnostic(
    rule: str,
    file: ConfFile,
    position: Position,
    message: str,
    fix: str = "",
    edits: Iterable[TextEdit] = (),
    severity: Severity | None = None,
) -> Diagnostic:
    """A diagnostic on a file; the line is not shown, since it may hold anything."""
    finding = Finding(rule, file.path, severity or RULES[rule].severity, cut(message), fix)
    return Diagnostic(finding, file.path, position, edits=tuple(edits))
