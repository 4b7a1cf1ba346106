"""Values in a shape that people write and nova does not read: the cause, and its own fix.

What a rule says of any such value would not help here: of an alias in a list, for example, that it
has to be an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wholecard.core.position import Position
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.lint.diagnostic import Diagnostic, Spot, TextEdit, entry_diagnostic
from wholecard.nova.lint.json_positions import diagnose
from wholecard.nova.lint.service import Value

_BETWEEN = re.compile(r"[\s,]*")


def of_value(value: Value) -> Diagnostic | None:
    """The diagnostic of a device_spec or an alias in such a shape; None of any other."""
    entry, text = value.entry, value.text.text
    repeated = repeated_name(entry)
    if repeated and diagnose(text[repeated:]) is None:
        return name_twice("WC217", entry, repeated)
    if value.wrong:
        return _comment_inside(value) or _several(value, text, "several objects on one line")
    if entry.name.endswith("alias") and isinstance(value.data, list):
        return _in_a_list(value, text)
    return None


def repeated_name(entry: ConfEntry) -> int:
    """How many characters of a value are the option's own name again, with its sign; 0 for none."""
    match = re.match(rf"\s*{re.escape(entry.name)}\s*[=:]\s*", entry.value)
    return match.end() if match else 0


def name_twice(rule: str, entry: ConfEntry, length: int) -> Diagnostic:
    """The diagnostic of a value that begins with the option's own name."""
    spot = Spot(entry, 0, length)
    edits = [spot.edit("")] if "\n" not in entry.value[:length] else []
    return entry_diagnostic(
        rule, spot, f"the value begins with {entry.name} again, and nova reads that as a part of "
        "it",
        f"Remove the second {entry.name}.", edits,
    )  # fmt: skip


def _comment_inside(value: Value) -> Diagnostic | None:
    """An indented line with a comment, which oslo.config reads as a part of the value."""
    lines = value.entry.value.split("\n")
    comments = [number for number, line in enumerate(lines) if line.lstrip()[:1] in ("#", ";")]
    rest = [line for number, line in enumerate(lines) if number not in comments]
    if not comments or not value.is_own_text or diagnose("\n".join(rest)) is not None:
        return None
    entry, file = value.entry, value.entry.file
    edits = []
    for number in comments:
        start = file.offset(Position(entry.line + number, 1))
        after = start + len(file.lines[entry.line - 1 + number])
        # The line's end before it goes too, so that the last line of a file may be one.
        begin = start - (len(file.text[:start]) - len(file.text[:start].rstrip("\r\n")))
        edits.append(TextEdit(file, begin, after, ""))
    shown = [entry.line + number for number in comments]
    offset = sum(len(line) + 1 for line in lines[: comments[0]])
    return entry_diagnostic(
        "WC217", Spot(entry, offset, len(lines[comments[0]])),
        "a comment inside the value: an indented line continues it, so nova reads the comment as "
        "a part of it",
        f"Move the comment (line {', '.join(map(str, shown))}) above the option.", edits,
    )  # fmt: skip


@dataclass(frozen=True)
class _Piece:
    """One object of a text: from where to where, and its data."""

    start: int
    end: int
    data: Any


def _pieces(text: str) -> list[_Piece]:
    """The objects that a text consists of, with commas or blanks between; else nothing."""
    decoder, pieces, offset = json.JSONDecoder(), [], len(text) - len(text.lstrip())
    while offset < len(text):
        try:
            data, end = decoder.raw_decode(text, offset)
        except (ValueError, RecursionError):
            return []
        pieces.append(_Piece(offset, end, data))
        offset = end + len(_BETWEEN.match(text, end)[0])  # type: ignore[index]  # it may be empty
    return pieces if all(isinstance(piece.data, dict) for piece in pieces) else []


def _several(value: Value, text: str, what: str) -> Diagnostic | None:
    pieces = _pieces(text)
    if len(pieces) < 2:
        return None
    return _own_lines(value, text, pieces, f"{what}: nova reads one value on a line", "WC217")


def _in_a_list(value: Value, text: str) -> Diagnostic | None:
    """Aliases in a list, which nova takes for device_spec alone (nova/pci/request.py)."""
    start, end = text.find("[") + 1, text.rindex("]")
    inner = _pieces(text[start:end])
    if not inner:
        return None
    pieces = [_Piece(piece.start + start, piece.end + start, piece.data) for piece in inner]
    message = "an alias is one object, and a list of them is refused"
    return _own_lines(value, text, pieces, message, "WC218")


def _own_lines(
    value: Value, text: str, pieces: list[_Piece], message: str, rule: str
) -> Diagnostic:
    """Each object on a line of its own, and nothing around them."""
    entry = value.entry
    fix = "Take it out of the brackets, as it is."
    if len(pieces) > 1:
        fix = f"Write each on a line of its own: {entry.name} = {{…}}"
    edits: list[TextEdit] = []
    if value.is_own_text and "\n" not in text:
        ends = [0, *(piece.end for piece in pieces)]
        starts = [*(piece.start for piece in pieces), len(text)]
        for number, (start, end) in enumerate(zip(ends, starts, strict=True)):
            is_between = 0 < number < len(pieces)
            if start < end or is_between:
                line = f"\n{entry.name} = " if is_between else ""
                edits.append(value.spot(start, end).edit(line))
    return entry_diagnostic(rule, value.spot(0, 1), message, fix, edits)


@dataclass(frozen=True)
class ListForm:
    """What a list option means that is not written as names with commas: why, and the names."""

    entry: ConfEntry
    problem: str
    names: tuple[str, ...]

    def diagnostic(self, rule: str) -> Diagnostic:
        """The diagnostic, with the list as it should be."""
        text = self.entry.value.rstrip()
        is_plain = "\n" not in text and "$" not in text and bool(self.names)
        spot = Spot(self.entry, 0, len(text.split("\n")[0]))
        edits = [spot.edit(",".join(self.names))] if is_plain else []
        return entry_diagnostic(
            rule, spot, f"{self.problem}: nova-scheduler cannot start",
            "Write the names with commas between, and nothing else.", edits,
        )  # fmt: skip


def list_form(entry: ConfEntry) -> ListForm | None:
    """What a list of names means that has its own name, brackets, quotes or blanks in it."""
    repeated, text = repeated_name(entry), entry.value
    rest = text[repeated:]
    bare = rest.strip().strip("[](){}")
    names = tuple(part.strip("'\"") for part in re.split(r"[\s,;]+", bare) if part.strip("'\""))
    if repeated:
        return ListForm(entry, f"the value begins with {entry.name} again", names)
    if rest.strip()[:1] in set("[({") or re.search("['\"]", rest):
        return ListForm(entry, "brackets and quotes are a part of the names here", names)
    torn = [item for item in rest.split(",") if len(item.split()) > 1]
    # A name that one blank tore apart has a fix of its own.
    if any(all(part.endswith("Filter") for part in item.split()) for item in torn):
        return ListForm(entry, "names with blanks between them are one name", names)
    return None


def wrapped_line(entry_before: ConfEntry | None, line: str) -> bool:
    """Whether a line without a sign is the rest of a list above it that was not indented."""
    if entry_before is None or not re.fullmatch(r"[\w.]+(\s*,\s*[\w.]*)*,?\s*", line.strip()):
        return False
    return entry_before.value.rstrip().endswith(",") or "," in line or line.endswith("Filter")


def in_one_line(entry: ConfEntry) -> Iterator[re.Match[str]]:
    """Where another option may begin in a value of one line: a blank, a name, and `=`."""
    if entry.value.lstrip()[:1] not in set("{[\"'"):
        yield from re.finditer(r"\s+([a-z][a-z_]+)\s*=\s*", entry.value.split("\n")[0])
