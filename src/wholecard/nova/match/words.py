"""How nova reads truth values and JSON, and how messages quote a value."""

from __future__ import annotations

import json
from typing import Any

ANY = "*"

# oslo.utils, oslo_utils/strutils.py.
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})

# Python reads some thousand levels, and then fails when it compares or prints them.
DEEPEST = 200
_LONGEST_SHOWN = 80


def truth(value: Any) -> bool | None:
    """The truth value of a JSON value as oslo.utils reads it; None for any other word."""
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def shown(value: Any) -> str:
    """A value as a message quotes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def kind_of(value: Any) -> str:
    """What a JSON value is, with its article: `a number`."""
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list",
             dict: "an object", str: "a string", type(None): "null"}  # fmt: skip
    return names.get(type(value), f"a {type(value).__name__}")


def read_json(text: str) -> Any:
    """The JSON value of `text`. Raises ValueError, also where it is nested too deeply."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        nested = [value for value in level if isinstance(value, (list, dict))]
        level = [
            item
            for value in nested
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")
