"""Frozen records from other people's JSON: every value is checked by its field's own annotation.

A record that gets a field needs nothing here. Values that are more than their type (an id, a
module's name) have a pattern beside the record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Callable, TypeVar

Record = TypeVar("Record")
Reader = Callable[[Any, str], Any]

# No size, address or count of a host comes near; a float holds it.
_LARGEST = 1 << 128


def record_reader(
    cls: type[Record],
    patterns: Mapping[str, str] | None = None,
    kinds: Mapping[str, Reader] | None = None,
) -> Callable[[Any, str], Record]:
    """What reads a record of class `cls` from a JSON object and says where it is in errors.

    `patterns` are for texts, each text of a list included; `kinds` read the classes that
    annotations name. The reader raises ValueError for a value of another type, an unknown key and
    a missing one.
    """
    annotations: dict[str, str] = cls.__annotations__
    readers = {name: _reader(text, kinds or {}) for name, text in annotations.items()}
    compiled = {name: re.compile(pattern) for name, pattern in (patterns or {}).items()}

    def read(data: Any, where: str) -> Record:
        if not isinstance(data, dict):
            raise ValueError(f"{where} is not an object")  # noqa: TRY004 -- all are ValueError
        values = {}
        for name, value in data.items():
            if name not in readers:
                raise ValueError(f"{where} has no key {name[:80]!r}")
            place = f"{where}.{name}"
            values[name] = readers[name](value, place)
            if name in compiled:
                _require_pattern(compiled[name], values[name], place)
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from error

    return read


def read_list(data: Any, where: str, read: Reader) -> tuple[Any, ...]:
    """A list, each of its members by `read`. Raises ValueError."""
    if not isinstance(data, (list, tuple)):
        raise ValueError(f"{where} is not a list")  # noqa: TRY004 -- as above
    return tuple(read(member, f"{where}[{number}]") for number, member in enumerate(data))


def read_plain(kind: str) -> Reader:
    """What reads a `str`, an `int`, a `bool` or a `float`."""
    return _PLAIN[kind]


def _require_pattern(pattern: re.Pattern[str], value: Any, where: str) -> None:
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not pattern.fullmatch(text):
            raise ValueError(f"{where} is {text[:80]!r}, which is not a valid value")


def _reader(annotation: str, kinds: Mapping[str, Reader]) -> Reader:
    """What reads a value with this annotation: `int | None`, `tuple[tuple[int, str], ...]`."""
    if annotation in kinds:
        return kinds[annotation]
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation.endswith(" | None"):
        present = _reader(annotation[: -len(" | None")], kinds)
        return lambda value, where: None if value is None else present(value, where)
    inner = annotation[len("tuple[") : -1]
    if not annotation.startswith("tuple["):
        raise TypeError(f"no reader for {annotation}")
    if inner.endswith(", ..."):
        member = _reader(inner[: -len(", ...")], kinds)
        return lambda value, where: read_list(value, where, member)
    # Pairs are of plain values, so no comma is inside one of them.
    members = [_reader(part, kinds) for part in inner.split(", ")]

    def read_tuple(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or len(value) != len(members):
            raise ValueError(f"{where} is not a list of {len(members)}")
        return tuple(read(part, where) for read, part in zip(members, value))

    return read_tuple


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is not a text")  # noqa: TRY004 -- as above
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} is neither true nor false")  # noqa: TRY004 -- as above
    return value


def _integer(value: Any, where: str) -> int:
    if type(value) is not int or abs(value) >= _LARGEST:
        raise ValueError(f"{where} is not a whole number")
    return value


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) >= _LARGEST:
        raise ValueError(f"{where} is not a number")
    number: float = value
    return number


_PLAIN: dict[str, Reader] = {"str": _text, "int": _integer, "bool": _flag, "float": _number}
