"""JSON as text, one line for each entry of a long list.

The standard library's encoder is C only without indentation, and importing it brings `re`; what
is printed here is plain data of ours, of which thousands of entries repeat the same values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def encode(value: Any) -> str:  # noqa: PLR0911 - one return for each kind of value
    """`value` on one line, as `json.dumps` writes it: None, bools, numbers, texts, lists, dicts.

    Tuples are lists, and what is none of these is written as its text.
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int or kind is float:
        return repr(value)
    if kind is list or kind is tuple:
        if set(map(type, value)) == {int}:
            return repr(list(value))
        return f"[{', '.join([encode(each) for each in value])}]"
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is dict:
        return f"{{{', '.join([f'{_text(key)}: {encode(each)}' for key, each in value.items()])}}}"
    return _text(str(value))


def _text(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    # The rare one is left to who knows it best.
    import json

    return json.dumps(text)


class Column(dict):  # type: ignore[type-arg]
    """A field of many records as `"name": value`, encoded once for each value it has."""

    def __init__(self, name: str) -> None:
        self._head = f'"{name}": '

    def __missing__(self, value: Any) -> str:
        text = self[value] = self._head + encode(value)
        return text


class UniqueColumn(Column):
    """A field whose values hardly ever repeat: nothing is kept."""

    def __getitem__(self, value: Any) -> str:
        return self._head + encode(value)


def record_lines(records: Iterable[Any], unique: frozenset[str] = frozenset()) -> list[str]:
    """One line for each of some records of one kind, with its fields in their order.

    `unique` names the fields whose values hardly ever repeat.
    """
    columns: list[Column] = []
    lines = []
    for record in records:
        fields = record.__dict__
        columns = columns or [
            UniqueColumn(name) if name in unique else Column(name) for name in fields
        ]
        cells = [column[value] for column, value in zip(columns, fields.values())]
        lines.append(f"{{{', '.join(cells)}}}")
    return lines


def array(lines: Iterable[str]) -> str:
    """A list of entries that are encoded already, one on each line."""
    text = ",\n    ".join(lines)
    return f"[\n    {text}\n  ]" if text else "[]"
