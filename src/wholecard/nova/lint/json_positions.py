"""The positions of keys and values in a JSON text, and what is nearly JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

# A step into an array is its index, into an object its key.
Path = tuple[str | int, ...]

# Strings first: brackets, colons and commas within them are no structure.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


@dataclass(frozen=True)
class Span:
    """A key of an object, or None for an array's entry, and its value: offsets from, to."""

    key: tuple[int, int] | None
    value: tuple[int, int]


@dataclass(frozen=True)
class Twice:
    """A key that an object has more than once."""

    path: Path
    key: tuple[int, int]


def spans(text: str) -> tuple[dict[Path, Span], list[Twice]]:
    """The spans of every key and value of a text that is JSON, and the keys that come twice.

    Of such a key the last span counts, as its value does.
    """
    reader = _Spans()
    for match in _TOKEN.finditer(text):
        reader.take(match)
    return reader.spans, reader.twice


@dataclass
class _Level:
    """An object or array that is open: where it began, and its key."""

    sign: str
    start: int
    key: tuple[int, int] | None


class _Spans:
    def __init__(self) -> None:
        self.spans: dict[Path, Span] = {}
        self.twice: list[Twice] = []
        self.path: list[str | int] = []
        self.levels: list[_Level] = []
        self.key: tuple[int, int] | None = None
        self.awaits_key = False

    def take(self, match: re.Match[str]) -> None:
        piece, span = match[0], match.span()
        if piece in ("{", "["):
            self.levels.append(_Level(piece, span[0], self.key))
            self.path.append(0 if piece == "[" else "")
            self.key, self.awaits_key = None, piece == "{"
        elif piece in ("}", "]"):
            level = self.levels.pop()
            self.path.pop()
            self.key = level.key
            self._note((level.start, span[1]))
        elif piece == ",":
            if isinstance(self.path[-1], int):
                self.path[-1] += 1
            self.awaits_key = self.levels[-1].sign == "{"
        elif piece == ":":
            self.awaits_key = False
        elif self.awaits_key:
            self._name(piece, span)
        else:
            self._note(span)

    def _name(self, piece: str, span: tuple[int, int]) -> None:
        self.path[-1] = json.loads(piece)
        self.key = span
        if tuple(self.path) in self.spans:
            self.twice.append(Twice(tuple(self.path), span))

    def _note(self, span: tuple[int, int]) -> None:
        self.spans[tuple(self.path)] = Span(self.key, span)


@dataclass(frozen=True)
class JsonEdit:
    """The characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """Why a text is not JSON: where, a message, and the edits after which it is JSON.

    `fix` says what to do; empty where that depends on what is meant. `is_open` is whether the only
    error is that the text ends too early.
    """

    offset: int
    message: str
    edits: tuple[JsonEdit, ...] = ()
    fix: str = ""
    is_open: bool = False


def diagnose(text: str) -> Diagnosis | None:
    """Why `text` is not JSON, None where it is."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _diagnosis(text, error)
    except RecursionError:
        return Diagnosis(0, "it is nested too deeply")
    except ValueError:
        # A number of thousands of digits.
        return Diagnosis(0, "a number in it is too long")
    return None


def _diagnosis(text: str, error: json.JSONDecodeError) -> Diagnosis:
    if not text.strip():
        return Diagnosis(0, "it is empty", fix="Write an object, or delete the line.", is_open=True)
    for message, fix, repairs in _REPAIRS:
        edits = _repaired(text, repairs)
        if edits:
            return Diagnosis(min(edit.start for edit in edits), message, tuple(edits), fix)
    return _cause(text, error)


def _repaired(text: str, repairs: tuple[Repair, ...]) -> list[JsonEdit]:
    """The edits of all these repairs, where the text is JSON after them; else none."""
    edits: list[JsonEdit] = []
    changed = text
    for repair in repairs:
        step = repair(changed)
        if step is None:
            return []
        edits = _together(edits, step)
        changed = applied(text, edits)
    return edits if _is_json(changed) else []


def _cause(text: str, error: json.JSONDecodeError) -> Diagnosis:
    """The error of a text for which no repair is certain."""
    if '\\"' in text and _is_json(text.replace('\\"', '"')):
        message = "there are backslashes before the quotes, as in a shell"
        return Diagnosis(text.index('\\"'), message, fix="Remove the backslashes.")
    missing = _closing(text) if error.pos >= len(text.rstrip()) else ""
    if missing:
        message = f"{missing} is missing at its end"
        return Diagnosis(error.pos, message, fix=f"Write {missing} at its end.", is_open=True)
    word = _WORD.match(text, error.pos)
    if word:
        return _of_word(word[0], error.pos)
    if text.strip()[0] not in "{[":
        return Diagnosis(error.pos, "an object begins with {", fix=_AS_OBJECT)
    if error.msg == "Expecting ',' delimiter" and text[error.pos : error.pos + 1].isalnum():
        message = "a value of letters and digits needs double quotes"
        return Diagnosis(error.pos, message, fix=_QUOTES)
    words, fix = _WORDS.get(error.msg, (error.msg[:1].lower() + error.msg[1:], ""))
    return Diagnosis(error.pos, words, fix=fix)


# Words in place of a value that are not JSON: Python's words, and a template's variable.
_WORD = re.compile(r"(?:True|False|None)\b|\$\w+|\$\{\w+\}")


def _of_word(word: str, offset: int) -> Diagnosis:
    if word.startswith("$"):
        message = f"a value is missing here: {word} was not filled in"
        return Diagnosis(offset, message, fix="Write the value, in double quotes.")
    right = {"True": "true", "False": "false", "None": "null"}[word]
    message = f'{word} is Python; nova wants the text "{right}"'
    return Diagnosis(offset, message, fix=f'Write "{right}".')


def depth(text: str) -> int:
    """How many more objects and arrays a piece of JSON opens than it closes."""
    signs = [match[0] for match in _TOKEN.finditer(text)]
    return sum((sign in ("{", "[")) - (sign in ("}", "]")) for sign in signs)


def _closing(text: str) -> str:
    """The brackets that would close what is open at the end of a text; empty where none is."""
    stack: list[str] = []
    for match in _TOKEN.finditer(text):
        sign = match[0]
        if sign in ("{", "["):
            stack.append("}" if sign == "{" else "]")
        elif sign in ("}", "]") and (not stack or stack.pop() != sign):
            return ""
    # With more open brackets the text was cut off, and closing them would not be right.
    return "".join(reversed(stack)) if len(stack) < 10 else ""


# The standard library's messages (json/decoder.py) with what to do.
_AS_OBJECT = 'Write an object: {"vendor_id": "10de", "product_id": "2330"}'
_QUOTES = "Put the value in double quotes."
_WORDS = {
    "Expecting property name enclosed in double quotes": (
        "a key in double quotes is missing here", "Put the key in double quotes."),
    "Expecting value": ("a value is missing here; a string needs double quotes", _QUOTES),
    "Expecting ',' delimiter": (
        "a comma or the end is missing here", "Write a comma between the two."),
    "Expecting ':' delimiter": (
        "a colon is missing here", "Write a colon between key and value."),
    "Extra data": (
        "the value has ended, but more text follows",
        "Delete what follows; several objects of a device_spec need a list: [{…}, {…}]"),
    "Illegal trailing comma before end of object": (
        "a comma before the end of the object", "Remove the comma."),
    "Illegal trailing comma before end of array": (
        "a comma before the end of the array", "Remove the comma."),
    "Unterminated string starting at": (
        "the string that begins here has no end", "Write the double quote at its end."),
}  # fmt: skip


def applied(text: str, edits: list[JsonEdit]) -> str:
    """The text with all edits made; they do not overlap."""
    pieces, last = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        pieces += [text[last : edit.start], edit.text]
        last = edit.end
    return "".join([*pieces, text[last:]])


def _together(first: list[JsonEdit], second: list[JsonEdit]) -> list[JsonEdit]:
    """Both as edits of the first text. The first keep every offset, but for quotes at the ends."""
    if not second:
        return first
    begins = first[0] if first and first[0].start == 0 and not first[0].text else None
    shift = begins.end if begins else 0
    return first + [JsonEdit(edit.start + shift, edit.end + shift, edit.text) for edit in second]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _without_quotes(text: str) -> list[JsonEdit] | None:
    """Remove quotes around a value of several lines, which oslo.config keeps."""
    is_quoted = len(text) > 2 and text[0] == text[-1] and text[0] in "'\""
    if is_quoted and text[1:-1].strip()[:1] in "{[":
        return [JsonEdit(0, 1, ""), JsonEdit(len(text) - 1, len(text), "")]
    return None


_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|\'[^\'"\\]*\'|,(?=\s*[}\]])', re.DOTALL)


def _double_quotes(text: str) -> list[JsonEdit] | None:
    """Double quotes instead of single ones, where no other quote is between them."""
    edits = [
        JsonEdit(offset, offset + 1, '"')
        for match in _PIECE.finditer(text)
        if match[0][0] == "'"
        for offset in (match.start(), match.end() - 1)
    ]
    return edits or None


def _no_last_comma(text: str) -> list[JsonEdit] | None:
    """No comma before the end of an object or array."""
    commas = [match for match in _PIECE.finditer(text) if match[0] == ","]
    return [JsonEdit(match.start(), match.end(), "") for match in commas] or None


def _no_comment(text: str) -> list[JsonEdit] | None:
    """No comment behind the value; oslo.config reads it as a part of the value."""
    start = len(text) - len(text.lstrip())
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    rest = text[end:]
    is_comment = rest[:1].isspace() and rest.lstrip()[:1] in ("#", ";")
    return [JsonEdit(end, len(text), "")] if is_comment else None


_TYPOGRAPHIC = re.compile("[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2033]")


def _plain_quotes(text: str) -> list[JsonEdit] | None:
    """Plain double quotes instead of typographic ones."""
    offsets = [match.start() for match in _TYPOGRAPHIC.finditer(text)]
    return [JsonEdit(offset, offset + 1, '"') for offset in offsets] or None


def _one_kind_of_quotes(text: str) -> list[JsonEdit] | None:
    """Double quotes also where a key or a value ends in a single one."""
    offsets = [match.start() for match in re.finditer("'", text)] if '"' in text else []
    return [JsonEdit(offset, offset + 1, '"') for offset in offsets] or None


def _braces(text: str) -> list[JsonEdit] | None:
    """Braces instead of brackets around keys and values."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if end - start < 2 or text[start] != "[" or text[end - 1] != "]":
        return None
    return [JsonEdit(start, start + 1, "{"), JsonEdit(end - 1, end, "}")]


Repair = Callable[[str], "list[JsonEdit] | None"]
_QUOTED = "quotes around the whole value, which oslo.config removes from a single line only"
_SINGLE = "single quotes; JSON needs double quotes"
_COMMA = "a comma before the end; JSON allows none there"
_COMMENT = "a comment follows the value, and nova reads it as a part of the value"
_PRINTED = "typographic quotes; JSON needs plain ones"
_UNQUOTE = "Remove the quotes around the whole value"
_DOUBLE = "Write double quotes"
_NO_COMMA = "Remove the comma"
# Message, fix, and the repairs that it needs, the most frequent first.
_REPAIRS: tuple[tuple[str, str, tuple[Repair, ...]], ...] = (
    (_SINGLE, f"{_DOUBLE}.", (_double_quotes,)),
    (_COMMA, f"{_NO_COMMA}.", (_no_last_comma,)),
    (f"{_SINGLE}, and {_COMMA}", f"{_DOUBLE}. {_NO_COMMA}.", (_double_quotes, _no_last_comma)),
    (_QUOTED, f"{_UNQUOTE}.", (_without_quotes,)),
    (f"{_QUOTED}, and {_SINGLE}", f"{_UNQUOTE}. {_DOUBLE}.", (_without_quotes, _double_quotes)),
    (f"{_QUOTED}, and {_COMMA}", f"{_UNQUOTE}. {_NO_COMMA}.", (_without_quotes, _no_last_comma)),
    (_PRINTED, 'Write plain double quotes: "', (_plain_quotes,)),
    (_COMMENT, "Put the comment on a line of its own.", (_no_comment,)),
    (
        "two kinds of quotes around one text; JSON needs double quotes on both sides",
        f"{_DOUBLE}.",
        (_one_kind_of_quotes,),
    ),
    ("brackets around keys and values", 'Write braces: {"vendor_id": …}', (_braces,)),
)
