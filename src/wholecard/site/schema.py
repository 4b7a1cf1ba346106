"""The published JSON schema of `site.yaml`, from which editors complete. Made from the models.

An editor's YAML makes numbers of ids (`2330`) and true of yes, and nothing of a key with nothing
behind it. What `read_site` takes as it was written, the schema takes as well.
"""

from __future__ import annotations

import json
from typing import Any

from wholecard.core.releases import RELEASES
from wholecard.site import model
from wholecard.site.model import Site

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# What begins with a capital or has colons in it is a text for every YAML; the rest may be none.
_ALWAYS_TEXT = frozenset({model.CUSTOM_PATTERN, model.TRAIT_PATTERN})


def site_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, as plain data."""
    made = Site.model_json_schema()
    schema = {"$schema": DIALECT, "title": "Wholecard: site.yaml, version 1", **_adapted(made)}
    names = [name for each in RELEASES for name in dict.fromkeys((each.series, each.name))]
    schema["properties"]["release"]["examples"] = names
    return schema


def schema_text() -> str:
    """The schema as its file has it."""
    return json.dumps(site_schema(), indent=2, ensure_ascii=False) + "\n"


def _adapted(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of pydantic's as an editor needs it: without titles, with what YAML makes."""
    adapted = {key: _inner(key, value) for key, value in schema.items() if key != "title"}
    for pattern, value in adapted.pop("patternProperties", {}).items():
        # So a name that does not match is refused, and editors still complete what is below it.
        adapted |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    if isinstance(adapted.get("description"), str):
        adapted["description"] = " ".join(adapted["description"].split())
    if adapted.get("type") == "string" and "enum" not in adapted and "const" not in adapted:
        always = adapted.get("pattern") in _ALWAYS_TEXT
        adapted["type"] = "string" if always else ["string", "number", "boolean"]
    if adapted.get("type") == "object" and "properties" in adapted:
        _let_be_empty(adapted)
    return adapted


def _inner(key: str, value: Any) -> Any:
    if key in ("properties", "patternProperties", "$defs"):
        return {name: _adapted(each) for name, each in value.items()}
    if key in ("anyOf", "oneOf", "allOf"):
        return [_adapted(each) for each in value]
    # The names of keys are texts always.
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _adapted(value)
    return value


def _let_be_empty(adapted: dict[str, Any]) -> None:
    """A mapping, and each of its keys with a default, may have nothing behind it."""
    required = adapted.get("required", [])
    for name, each in adapted["properties"].items():
        if name not in required:
            adapted["properties"][name] = _or_nothing(each)
    if not required:
        adapted["type"] = ["object", "null"]


def _or_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        key: schema.pop(key) for key in ("description", "default") if key in schema
    }
    choices = schema.get("anyOf", [schema])
    if {"type": "null"} not in choices:
        choices = [*choices, {"type": "null"}]
    return {"anyOf": choices, **kept}
