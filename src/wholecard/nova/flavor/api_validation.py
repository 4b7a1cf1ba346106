"""Extra specs that nova's API refuses: a key that it does not know, or a value that does not fit.

nova checks them since compute API 2.86 (Ussuri; nova/api/validation/extra_specs/validators.py,
`validate`): a key without a colon, or in a namespace without validators, passes; any other needs a
validator. `api_extra_specs.json` has these by release, written by `scripts/nova_extra_specs.py`
from nova's own modules of each release.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from wholecard.core.near_names import NearNames
from wholecard.core.releases import Release, release

# nova reads them (nova/virt/hardware.py, `get_maxphysaddr_mode`), and has no validator for them in
# any release up to 2026.2: a client has to use a compute API below 2.86, as Wholecard does.
READ_ALL_THE_SAME = frozenset({"hw:maxphysaddr_mode", "hw:maxphysaddr_bits"})
# oslo_utils/strutils.py, `bool_from_string` with `strict`.
_BOOLEANS = frozenset({"1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no"})
_CHECKED_SINCE = 21
_STANDARD = re.compile(r"(resources|trait)[a-zA-Z0-9_-]{0,64}:([A-Z][A-Z0-9_]*)")


@dataclass(frozen=True)
class RefusedSpec:
    """An extra spec that nova's API refuses: why, and what to do."""

    key: str
    problem: str
    resolution: str


def refused_specs(specs: Mapping[str, str], series: Release) -> Iterator[RefusedSpec]:
    """Those of a flavor's extra specs that nova's API of that release refuses, in their order."""
    if series.nova < _CHECKED_SINCE:
        return
    for key, value in specs.items():
        refused = None if key in READ_ALL_THE_SAME else _refused(key, value, series)
        if refused is not None:
            yield refused


def _refused(key: str, value: str, series: Release) -> RefusedSpec | None:
    rows = [row for row in _rows() if row["since"] <= series.nova < row.get("until", 99)]
    row = next((row for row in rows if re.fullmatch(row["key"], key)), None) or _standard(key)
    if row is not None:
        problem = _wrong_value(row, value)
        if not problem:
            return None
        return RefusedSpec(key, f"{key}={value!r} is {problem}", f"Write {_wanted(row)}.")
    namespaces = {row["key"].split(":", 1)[0] for row in rows if ":" in row["key"]}
    own = key.split(":", 1)[0]
    if ":" not in key or not any(re.fullmatch(name, own) for name in namespaces):
        return None
    return RefusedSpec(key, f"nova {series} has no extra spec {key}", _instead(key, rows, series))


def _instead(key: str, rows: list[dict[str, Any]], series: Release) -> str:
    """The key that was meant, the release that has it, or that it has no effect."""
    plain = [row["key"] for row in rows if "(" not in row["key"]]
    # nova 30 renamed hw:max_cpu_cores to hw:cpu_max_cores: the same words in another order.
    same_words = (one for one in plain if sorted(_words(one)) == sorted(_words(key)))
    near = next(same_words, None) or NearNames(plain).near(key)
    if near:
        return f"Write {near}."
    for row in _rows():
        if re.fullmatch(row["key"], key):
            if row["since"] > series.nova:
                return f"nova has it since {release(str(row['since']))}: remove it, or upgrade."
            return f"nova had it before {release(str(row['until']))}: remove it."
    return "Remove it: nova does not read it."


def _words(key: str) -> list[str]:
    return re.split("[:_]", key)


def _standard(key: str) -> dict[str, Any] | None:
    """What a standard trait or resource class needs as its value; nova knows each of them."""
    # Late: os-traits takes 43 ms to import.
    import os_resource_classes  # noqa: PLC0415
    import os_traits  # noqa: PLC0415

    match = _STANDARD.fullmatch(key)
    if match and match[1] == "resources" and match[2] in os_resource_classes.STANDARDS:
        return {"type": "int"}
    if match and match[1] == "trait" and match[2] in os_traits.get_traits():
        return {"type": "str", "enum": ["required", "forbidden"]}
    return None


def _wrong_value(row: Mapping[str, Any], value: str) -> str:
    """What is wrong with a value; empty where nova takes it."""
    if row["type"] == "bool":
        return "" if value.strip().lower() in _BOOLEANS else "no boolean"
    if row["type"] == "int":
        try:
            number = int(value)
        except ValueError:
            return "not a whole number"
        is_within = row.get("min", number) <= number <= row.get("max", number)
        return "" if is_within else "out of range"
    if "pattern" in row:
        return "" if re.fullmatch(row["pattern"], value) else "not in nova's format"
    return "" if value in row.get("enum", (value,)) else "not one of nova's values"


def _wanted(row: Mapping[str, Any]) -> str:
    """What a value has to be, for a sentence."""
    if row["type"] == "bool":
        return "true or false"
    if row["type"] == "int":
        bounds = [f"from {row['min']} on"] if "min" in row else []
        bounds += [f"up to {row['max']}"] if "max" in row else []
        return " ".join(["a whole number", *bounds])
    return f"one of {', '.join(row['enum'])}" if "enum" in row else f"a text like {row['pattern']}"


@cache
def _rows() -> tuple[dict[str, Any], ...]:
    text = files("wholecard.nova.flavor").joinpath("api_extra_specs.json").read_text()
    return tuple(json.loads(text))
