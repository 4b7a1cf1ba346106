"""The published JSON schema of `site.yaml`, from which editors complete. Made from the models.

An editor's YAML reads the id `2330` as a number, `yes` as true and a key without a value as null.
`read_site` takes all of them as they are written, so the schema accepts them too.
"""

from __future__ import annotations

import json
from typing import Any

from wholecard.core.releases import RELEASES
from wholecard.site import image_build, model_types
from wholecard.site.model import Site

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# A name in capitals is a text for every YAML reader; any other text may be read as something else.
_ALWAYS_TEXT = frozenset(
    {model_types.CUSTOM_PATTERN, model_types.TRAIT_PATTERN, *image_build.ALWAYS_TEXT}
)


def schema_text() -> str:
    """The schema, draft 2020-12, as its file has it."""
    from_models = _adapted(Site.model_json_schema())
    schema = {"$schema": DIALECT, "title": "Wholecard: site.yaml, version 1", **from_models}
    names = [name for known in RELEASES for name in dict.fromkeys((known.series, known.name))]
    schema["properties"]["release"]["examples"] = names
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _adapted(schema: dict[str, Any]) -> dict[str, Any]:
    """pydantic's schema as an editor needs it: without titles, with the types that YAML reads."""
    adapted = {key: _inner(key, value) for key, value in schema.items() if key != "title"}
    for pattern, value in adapted.pop("patternProperties", {}).items():
        # As propertyNames the pattern refuses a wrong name, and editors still complete below it.
        adapted |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    if isinstance(adapted.get("description"), str):
        adapted["description"] = " ".join(adapted["description"].split())
    is_free_text = adapted.get("type") == "string" and not {"enum", "const"} & adapted.keys()
    if is_free_text and adapted.get("pattern") not in _ALWAYS_TEXT:
        adapted["type"] = ["string", "number", "boolean"]
    if adapted.get("type") == "object" and "properties" in adapted:
        _allow_null(adapted)
    return adapted


def _inner(key: str, value: Any) -> Any:
    if key in ("properties", "patternProperties", "$defs"):
        return {name: _adapted(schema) for name, schema in value.items()}
    if key in ("anyOf", "oneOf", "allOf"):
        return [_adapted(choice) for choice in value]
    # Not in `propertyNames`: the names of keys are always texts.
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _adapted(value)
    return value


def _allow_null(adapted: dict[str, Any]) -> None:
    """Accept no value for a mapping without required keys, and for each key that has a default."""
    required = adapted.get("required", [])
    for name, schema in adapted["properties"].items():
        if name not in required:
            adapted["properties"][name] = _or_null(schema)
    if not required:
        adapted["type"] = ["object", "null"]


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    annotations: dict[str, Any] = {
        key: schema.pop(key) for key in ("description", "default") if key in schema
    }
    choices = schema.get("anyOf", [schema])
    if {"type": "null"} not in choices:
        choices = [*choices, {"type": "null"}]
    return {"anyOf": choices, **annotations}
