"""Values of a journal's JSON, checked: what is no such value raises TypeError or ValueError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, TypeVar

from wholecard.core import Action, Operation, Plan, WholecardError

_T = TypeVar("_T")


def typed(value: Any, kind: type[_T]) -> _T:
    """The value, if it is of this type."""
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of the type {kind.__name__}")
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
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError(f"{path!r} is not an absolute path")
    return path


def absolute_paths(values: Any) -> tuple[str, ...]:
    """A list of absolute paths that stay below their root."""
    return tuple(absolute_path(value) for value in texts(values))


def read_plan(
    data: dict[str, Any], operations: Mapping[str, Callable[[dict[str, Any]], Operation[Any]]]
) -> Plan:
    """The inverse of `Plan.to_json`; `operations` read the fields of each kind.

    Raises WholecardError for an operation that is not among them, and ValueError, TypeError or
    KeyError for what is no plan.
    """

    def operation(fields: dict[str, Any]) -> Operation[Any]:
        kind = fields["op"]
        if kind not in operations:
            raise WholecardError(
                f"unknown operation {kind!r}",
                resolution="Use the release of Wholecard that wrote it.",
            )
        return operations[kind]({key: fields[key] for key in fields if key != "op"})

    actions = (
        Action(
            kind=text(row["kind"]),
            subject=text(row["subject"]),
            reason=text(row["reason"]),
            do=operation(row["do"]),
            undo=text(row["undo"]),
        )
        for row in data["actions"]
    )
    return Plan(tuple(actions), typed(data["reboot_needed"], bool))
