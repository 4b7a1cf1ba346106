"""An option that a new file changes, and its values as nova reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.options import Option


@dataclass(frozen=True)
class OptionChange:
    """An option's values before and after, under its name in the release. Empty: not set."""

    option: Option
    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"option", "old", "new"}`."""
        return {"option": self.name, "old": list(self.old), "new": list(self.new)}


def parsed(option: Option, values: tuple[str, ...]) -> object:
    """Values as nova reads them: JSON and truth values without their spelling."""
    if option.kind == "multi":
        return [as_json(value) for value in values]
    if option.kind == "boolean":
        return [as_boolean(value) is True for value in values]
    return list(values)


def as_json(value: str) -> object:
    """A value as JSON, as its text where it is none."""
    try:
        return json.loads(value)
    except ValueError:
        return value
