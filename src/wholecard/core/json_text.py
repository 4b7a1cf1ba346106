"""JSON as text, one line for each entry of a long list.

The standard library's encoder is C only without indentation, and importing it brings `re`; what
is printed here is plain data of ours, of which thousands of entries repeat the same values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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


class Run(dict):  # type: ignore[type-arg]
    """Some fields of many records that follow each other, encoded once for each set of values."""

    def __init__(self, names: list[str]) -> None:
        self._heads = [f'"{name}": ' for name in names]

    def encoded(self, values: tuple[Any, ...]) -> str:
        """The fields with these values, as they stand within a record."""
        return ", ".join([head + encode(value) for head, value in zip(self._heads, values)])

    def __missing__(self, values: tuple[Any, ...]) -> str:
        text = self[values] = self.encoded(values)
        return text


class UniqueRun(Run):
    """Fields whose values hardly ever repeat: nothing is kept."""

    def __getitem__(self, values: tuple[Any, ...]) -> str:
        return self.encoded(values)


def record_lines(records: Iterable[Any], unique: frozenset[str] = frozenset()) -> Iterator[str]:
    """One line for each of some records of one kind, with its fields in their order.

    `unique` names the fields whose values hardly ever repeat. What stands between two of them is
    looked up as one.
    """
    runs: list[tuple[int, int, Run]] = []
    for record in records:
        runs = runs or _runs(list(record.__dict__), unique)
        values = tuple(record.__dict__.values())
        cells = [run[values[start:end]] for start, end, run in runs]
        yield f"{{{', '.join(cells)}}}"


def _runs(names: list[str], unique: frozenset[str]) -> list[tuple[int, int, Run]]:
    starts = [
        place
        for place, name in enumerate(names)
        if place == 0 or (name in unique) != (names[place - 1] in unique)
    ]
    return [
        (start, end, (UniqueRun if names[start] in unique else Run)(names[start:end]))
        for start, end in zip(starts, [*starts[1:], len(names)])
    ]


def document(members: Iterable[tuple[str, str | Iterable[str]]]) -> Iterator[str]:
    """An object as text in pieces, a member or an entry of a list on each line.

    A member is its name and its value as JSON, or for a list the entries' values. Nothing is put
    together here: thousands of lines are written as they are made.
    """
    before = "{\n  "
    for name, value in members:
        yield f'{before}"{name}": '
        before = ",\n  "
        if isinstance(value, str):
            yield value
            continue
        between = "[\n    "
        for entry in value:
            yield between
            yield entry
            between = ",\n    "
        yield "\n  ]" if between[0] == "," else "[]"
    yield "\n}\n"
