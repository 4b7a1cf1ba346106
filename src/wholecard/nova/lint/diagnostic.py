"""A finding with its place in a file, and what would mend it there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wholecard.core import Finding, Severity
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile, Position

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


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

    `shown` is the line as it may be shown: empty where it is none of ours, for it may hold a
    password. `roles` are those whose configuration it is. `mend` are the edits that certainly mend
    it, none where a person has to decide.
    """

    finding: Finding
    path: str
    place: Position
    length: int = 1
    shown: str = ""
    roles: tuple[str, ...] = ()
    mend: tuple[TextEdit, ...] = ()

    @property
    def order(self) -> tuple[Any, ...]:
        """Remarks stand by file, place and rule."""
        return self.path, self.place, self.finding.rule, self.finding.message

    def to_json(self) -> dict[str, Any]:
        """The finding's fields, then `file`, `line`, `column`, `length`, `roles`, `mendable`."""
        return {
            **self.finding.to_json(),
            "file": self.path,
            "line": self.place.line,
            "column": self.place.column,
            "length": self.length,
            "roles": list(self.roles),
            "mendable": bool(self.mend),
        }


def cut(text: str, most: int = 500) -> str:
    """A text as long as one can read it: names in a file may be of any length."""
    return text if len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True)
class Spot:
    """Where in an entry something stands: `length` characters from `offset` of its value.

    Without an offset the option's name is meant.
    """

    entry: ConfEntry
    offset: int | None = None
    length: int = 0

    @property
    def place(self) -> Position:
        """Line and column."""
        return (
            Position(self.entry.line, 1) if self.offset is None else self.entry.place(self.offset)
        )

    def edit(self, text: str) -> TextEdit:
        """These very characters become `text`."""
        file, start = self.entry.file, self.entry.file.offset(self.place)
        length = len(self.entry.name) if self.offset is None else self.length
        return TextEdit(file, start, start + length, text)


def remark(
    rule: str,
    severity: Severity,
    spot: Spot | ConfEntry,
    message: str,
    fix: str = "",
    mend: Iterable[TextEdit] = (),
) -> Diagnostic:
    """A remark on an entry whose option is one of ours, so that its line may be shown."""
    spot = spot if isinstance(spot, Spot) else Spot(spot)
    entry, place = spot.entry, spot.place
    return Diagnostic(
        finding=Finding(
            rule, f"[{cut(entry.section, 40)}] {cut(entry.name, 60)}", severity, cut(message), fix
        ),
        path=entry.path,
        place=place,
        length=max(1, len(entry.name) if spot.offset is None else spot.length),
        shown=shown_line(entry, place.line),
        mend=tuple(mend),
    )


def shown_line(entry: ConfEntry, number: int) -> str:
    """A line of an entry of ours, empty where it may be another option that a blank hides."""
    line = entry.file.lines[number - 1]
    is_own = number == entry.line or line.lstrip()[:1] in set("{}[]\"',:")
    return line if is_own else ""


def file_remark(
    rule: str,
    severity: Severity,
    file: ConfFile,
    place: Position,
    message: str,
    fix: str = "",
    mend: Iterable[TextEdit] = (),
) -> Diagnostic:
    """A remark on a file, whose line is not shown."""
    return Diagnostic(
        Finding(rule, file.path, severity, cut(message), fix), file.path, place, mend=tuple(mend)
    )
