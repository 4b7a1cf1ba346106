"""Values of a journal's JSON, checked: what is no such value raises TypeError or ValueError."""

from __future__ import annotations

from typing import Any, TypeVar

_T = TypeVar("_T")


def typed(value: Any, kind: type[_T]) -> _T:
    """The value, if it is of this type."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def text(value: Any) -> str:
    """A text."""
    return typed(value, str)


def optional(value: Any, kind: type[_T]) -> _T | None:
    """The value, if it is of this type, or None."""
    return None if value is None else typed(value, kind)


def texts(values: Any) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(text(value) for value in typed(values, list))


def absolute_path(value: Any) -> str:
    """An absolute path that stays below its root."""
    path = text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is no absolute path")
    return path
