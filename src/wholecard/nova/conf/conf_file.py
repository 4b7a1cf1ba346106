"""One file of nova's configuration with the position of everything: oslo.config's own parser.

Where oslo.config stops, this notes a `Problem` and reads on. Source: oslo.config
10, `iniparser.py`, and `cfg.py` (`ConfigParser`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from oslo_config import iniparser

from wholecard.core import UsageError, WholecardError
from wholecard.core.position import Position

# nova's own sample with every option and its help has 600 KiB and 17,000 lines.
LARGEST = 4 << 20
MOST_LINES = 50_000

ProblemKind = Literal[
    "large", "encoding", "mark", "assignment", "name", "continuation", "bracket", "section",
    "no-section",
]  # fmt: skip

_LINE_END = re.compile(r"\r\n|\r|\n")
_BAD_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Problem:
    """Where nova would stop, or read something else than it seems. `text` has no option's value."""

    kind: ProblemKind
    path: str
    position: Position
    text: str


@dataclass(frozen=True, slots=True)
class ConfEntry:
    """One assignment. `value` is oslo.config's: lines joined, without quotes around a single one.

    `line` is the name's, `count` how many lines the value has, `start` the column on the first of
    them where it begins (from 0).
    """

    file: ConfFile = field(repr=False, compare=False)
    section: str
    name: str
    value: str
    line: int
    count: int
    start: int

    @property
    def path(self) -> str:
        """The file's path, as it was given."""
        return self.file.path

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as they are in the file, without their ends."""
        return tuple(self.file.lines[self.line - 1 : self.line - 1 + self.count])

    def position(self, offset: int = 0) -> Position:
        """The position of the character `offset` (from 0) of the value, or of its end."""
        line, column = self.line, self.start
        for number, text in enumerate(self.value.split("\n")):
            if number:
                raw = self.file.lines[self.line - 1 + number]
                line, column = self.line + number, len(raw) - len(raw.lstrip())
            if offset <= len(text):
                break
            offset -= len(text) + 1
        return Position(line, column + min(offset, len(text)) + 1)

    def __str__(self) -> str:
        return f"{self.path}:{self.line} [{self.section}] {self.name}"


class Header(NamedTuple):
    """A section's header as written, and its line (from 1)."""

    section: str
    line: int


@dataclass(eq=False)
class ConfFile:
    """One file. `text` keeps its line ends, and bytes that are not UTF-8 as lone surrogates.

    A file that is too large has a problem that says so, and nothing else.
    """

    path: str
    text: str = field(repr=False)
    lines: list[str] = field(repr=False, default_factory=list)
    entries: list[ConfEntry] = field(repr=False, default_factory=list)
    headers: list[Header] = field(repr=False, default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> ConfFile:
        """The file at `path`. Raises UsageError for a missing file, WholecardError otherwise."""
        # Opening a pipe waits until somebody writes to it; a shell's (/dev/fd) has a writer.
        if path.is_fifo() and path.parent != Path("/dev/fd"):
            raise _no_file(path)
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError) as error:
            raise _no_file(path) from error
        except OSError as error:
            raise WholecardError(
                f"cannot read {path}", error.strerror or str(error), "Read it as its owner or root."
            ) from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, path: str = "nova.conf") -> ConfFile:
        """A file's content, however broken: what cannot be read becomes problems."""
        count = data.count(b"\n") + data.count(b"\r")
        if len(data) > LARGEST or count > MOST_LINES:
            size = f"more than {LARGEST >> 20} MiB or {MOST_LINES:,} lines"
            text = f"{size}: this is not a nova.conf, and it is not read"
            return cls(path, "", problems=[Problem("large", path, Position(1, 1), text)])
        file = cls(path, data.decode("utf-8", "surrogateescape"))
        file.lines = _LINE_END.split(file.text)
        file._note_encoding()
        _Parser(file).parse(file.lines)
        return file

    @cached_property
    def line_starts(self) -> list[int]:
        """For each line where it begins in `text`."""
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    @cached_property
    def sections(self) -> dict[str, dict[str, list[ConfEntry]]]:
        """Entries by section and name; section names as oslo.config compares them."""
        sections: dict[str, dict[str, list[ConfEntry]]] = {}
        for entry in self.entries:
            section = sections.setdefault(normal(entry.section), {})
            section.setdefault(entry.name, []).append(entry)
        return sections

    @cached_property
    def section_ends(self) -> dict[str, int]:
        """For each section its last line (from 1): of an entry, or of a header without any."""
        ends: dict[str, int] = {}
        for header in self.headers:
            ends[normal(header.section)] = header.line
        for entry in self.entries:
            section, last = normal(entry.section), entry.line - 1 + entry.count
            ends[section] = max(last, ends.get(section, 0))
        return ends

    def offset(self, position: Position) -> int:
        """The index of `position` in `text`."""
        return self.line_starts[position.line - 1] + position.column - 1

    def _note_encoding(self) -> None:
        if self.text.startswith("\ufeff"):
            self.problems.append(Problem(
                "mark", self.path, Position(1, 1),
                "begins with a byte order mark, which nova reads as a part of the first line",
            ))  # fmt: skip
            self.lines[0] = self.lines[0][1:]
        byte = _BAD_BYTE.search(self.text)
        if byte is None:
            return
        line = sum(1 for _ in _LINE_END.finditer(self.text, 0, byte.start())) + 1
        start = self.line_starts[line - 1]
        self.problems.append(Problem(
            "encoding", self.path, Position(line, byte.start() - start + 1),
            f"byte 0x{ord(byte[0]) - 0xDC00:02x} is not UTF-8: nova fails on it when it starts",
        ))  # fmt: skip


def _no_file(path: Path) -> UsageError:
    return UsageError(f"{path} is not a file", resolution="Name the files that the service reads.")


class _Parser(iniparser.BaseParser):
    """oslo.config's parser, which notes what it would raise and reads on."""

    def __init__(self, file: ConfFile) -> None:
        super().__init__()
        self.file = file
        self.section = ""
        self.value_start = Position(0, 0)
        self.empty_noted = False

    def _get_section(self, line: str) -> str:
        if line.endswith("]") and len(line) > 2:
            return line[1:-1]
        if line.endswith("]"):
            self._note("section", "a section without a name")
            return ""
        self._note("bracket", "a section's header has to end with ]")
        return line[1:].partition("]")[0].strip()

    def _split_key_value(self, line: str) -> tuple[str, list[str]]:
        # At the first of the two signs.
        colon, equal = line.find(":"), line.find("=")
        key, sign, rest = line.partition("=" if colon < 0 or 0 <= equal < colon else ":")
        self.empty_noted = not sign
        if not sign:
            self._note("assignment", "neither '=' nor ':' on this line")
            return "", [""]
        value = rest.strip()
        start = len(key) + 1 + (len(rest) - len(rest.lstrip()) if value else 0)
        if value and value[0] == value[-1] and value.startswith(('"', "'")):
            value = value[1:-1]
            start += 1
        self.value_start = Position(self.lineno, start)
        return key.strip(), [value]

    def new_section(self, section: str) -> None:
        self.section = section
        self.file.headers.append(Header(section, self.lineno))

    def assignment(self, key: str, value: list[str]) -> None:
        line, start = self.value_start
        if not self.section:
            # A text that is there by mistake may be a secret: only what can be a name is shown.
            name = key if re.fullmatch(r"[\w.-]{1,64}", key, re.ASCII) else "what"
            self._note("no-section", f"{name} is before the first section", line)
        self.file.entries.append(
            ConfEntry(self.file, self.section, key, "\n".join(value), line, len(value), start)
        )

    def _note(self, kind: ProblemKind, text: str, line: int = 0) -> None:
        position = Position(line or self.lineno, 1)
        self.file.problems.append(Problem(kind, self.file.path, position, text))

    # The base class declares that these never return, and continues where they do.
    def error_empty_key(self, line: str) -> NoReturn:  # type: ignore[misc]  # noqa: ARG002
        if not self.empty_noted:
            self._note("name", "a value without a name")

    def error_unexpected_continuation(self, line: str) -> NoReturn:  # type: ignore[misc]  # noqa: ARG002
        self._note("continuation", "an indented line, but no value above it to continue")


def normal(section: str) -> str:
    """A section's name as oslo.config compares it: only in DEFAULT does case matter."""
    return section if section == "DEFAULT" else section.lower()
