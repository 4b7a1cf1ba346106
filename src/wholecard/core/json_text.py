"""JSON as text, one line for each entry of a long list.

The standard library's encoder is C only without indentation, and importing it brings `re`; what
is printed here is plain data of ours: thousands of entries that repeat the same values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any


def encode(value: Any) -> str:
    """`value` on one line, as `json.dumps` writes it: None, bools, numbers, texts, lists, dicts.

    Tuples are lists, and what is none of these is written as its text.
    """
    encoder = _ENCODERS.get(type(value))
    return encoder(value) if encoder else _text(str(value))


def _text(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    # A text with escapes is rare: only then is the import worth its time.
    import json

    return json.dumps(text)


def _list(values: Sequence[Any]) -> str:
    # The sizes of a function's BARs: repr of a list of integers is C and is JSON.
    if set(map(type, values)) == {int}:
        return repr(list(values))
    return f"[{', '.join([encode(value) for value in values])}]"


def _dict(members: dict[str, Any]) -> str:
    return f"{{{', '.join([f'{_text(key)}: {encode(value)}' for key, value in members.items()])}}}"


_ENCODERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: repr,
    float: repr,
    list: _list,
    tuple: _list,
    dict: _dict,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
}


class Run(dict):  # type: ignore[type-arg]
    """Some fields of many records that follow each other, encoded once for each set of values."""

    def __init__(self, names: list[str]) -> None:
        self._heads = [f'"{name}": ' for name in names]

    def encoded(self, values: tuple[Any, ...]) -> str:
        """The fields with these values, as they are written within a record."""
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

    `unique` names the fields whose values hardly ever repeat. The fields between two of them are
    looked up together.
    """
    runs: list[tuple[int, int, Run]] = []
    for record in records:
        runs = runs or _runs(list(record.__dict__), unique)
        values = tuple(record.__dict__.values())
        cells = [run[values[start:end]] for start, end, run in runs]
        yield f"{{{', '.join(cells)}}}"


def _runs(names: list[str], unique: frozenset[str]) -> list[tuple[int, int, Run]]:
    starts = [
        position
        for position, name in enumerate(names)
        if position == 0 or (name in unique) != (names[position - 1] in unique)
    ]
    return [
        (start, end, (UniqueRun if names[start] in unique else Run)(names[start:end]))
        for start, end in zip(starts, [*starts[1:], len(names)])
    ]


def document(members: Iterable[tuple[str, str | Iterable[str]]]) -> Iterator[str]:
    """An object as text in pieces, a member or an entry of a list on each line.

    A member is its name and its value as JSON, or for a list the entries' values. Nothing is
    joined here: thousands of lines are written as they are made.
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


def plain_value(value: Any) -> Any:
    """The value as JSON has it: tuples are lists, sets sorted lists, records objects."""
    if isinstance(value, tuple):
        return [plain_value(member) for member in value]
    if isinstance(value, frozenset):
        return sorted(plain_value(member) for member in value)
    if hasattr(value, "__dict__"):
        return {name: plain_value(member) for name, member in value.__dict__.items()}
    return value
