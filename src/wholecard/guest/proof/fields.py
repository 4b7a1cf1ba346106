"""The values of a guest's record: read strictly, because a guest may write anything.

Each reader takes a record and a key, returns the value, and raises KeyError or ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

MAX_TEXT = 400
# A guest's BAR is below the width of physical addresses, 2^52 at most (Intel SDM, AMD APM).
MAX_NUMBER = 1 << 53
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_LINK = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)x([0-9]{1,3})")


def text(record: Record, key: str) -> str:
    """A string of printable characters, 400 or fewer."""
    value = record[key]
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(key)
    return value


def text_or_none(record: Record, key: str) -> str | None:
    """As `text`; None for null."""
    return None if record[key] is None else text(record, key)


def text_if_there(record: Record, key: str) -> str | None:
    """As `text_or_none`; None where the record has no such key: an older agent wrote it."""
    return text_or_none(record, key) if key in record else None


def number(record: Record, key: str, least: int = 0) -> int:
    """A whole number from `least` to 2^53."""
    return _number(record[key], least)


def number_or_none(record: Record, key: str) -> int | None:
    """As `number`; None for null."""
    return None if record[key] is None else number(record, key)


def decimal_or_none(record: Record, key: str) -> float | None:
    """A number of 0 or more that is finite; None for null."""
    value = record[key]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_NUMBER:
        raise ValueError(key)
    return float(value)


def truth(record: Record, key: str) -> bool:
    """true or false."""
    value = record[key]
    if not isinstance(value, bool):
        raise ValueError(key)  # noqa: TRY004 - all that is wrong in a record is one error
    return value


def digits16(record: Record, key: str, count: int) -> str:
    """This number of hexadecimal digits."""
    value = text(record, key)
    if not re.fullmatch(f"[0-9a-f]{{{count}}}", value):
        raise ValueError(key)
    return value


def address(record: Record, key: str) -> str:
    """A PCI address, `0000:01:00.0`."""
    value = text(record, key)
    if not _ADDRESS.fullmatch(value):
        raise ValueError(key)
    return value


def path(record: Record, key: str) -> tuple[str, ...]:
    """PCI addresses from the root bus down, `0000:00:02.0/0000:01:00.0`."""
    return tuple(address({key: part}, key) for part in text(record, key).split("/"))


def sizes(record: Record, key: str) -> tuple[int, ...]:
    """A list of at most six sizes in bytes."""
    value = record[key]
    if not isinstance(value, list) or len(value) > 6:
        raise ValueError(key)
    return tuple(_number(size, 0) for size in value)


def link_or_none(record: Record, key: str) -> tuple[float, int] | None:
    """A link's speed in GT/s and its width, `16.0x16`; None for null."""
    if record[key] is None:
        return None
    match = _LINK.fullmatch(text(record, key))
    if match is None:
        raise ValueError(key)
    return float(match[1]), int(match[2])


def _number(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < MAX_NUMBER:
        raise ValueError(value)
    return value
