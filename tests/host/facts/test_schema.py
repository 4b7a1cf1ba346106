"""The published schema of `inspect --json`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, bare, with_groups
from support.production_host import production
from support.tree import Leaf, grow
from wholecard.host.facts.host import (
    SCHEMA,
    Boot,
    Cpu,
    Framebuffer,
    Host,
    HugePagePool,
    Iommu,
    KernelUse,
    Memory,
)
from wholecard.host.facts.inspect import inspect
from wholecard.pci import Function

FILE = Path(__file__).parents[3] / "docs/reference/host.schema.json"
TREES: dict[str, dict[str, Leaf]] = {
    "empty": {"etc/": ""},
    "apart": bare(APART),
    "together": with_groups(bare(TOGETHER), GROUPS_TOGETHER),
    "grouped": with_groups(bare(APART), GROUPS_APART),
    "production": production(),
}


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema as it is published."""
    return json.loads(FILE.read_text())


def test_is_a_schema(schema: Any) -> None:
    """It is a schema of draft 2020-12, and of the facts' own number."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"] == {"const": SCHEMA}


@pytest.mark.parametrize("name", TREES)
def test_validates(tmp_path: Path, schema: Any, name: str) -> None:
    """What inspect prints of every tree is valid, is the host again, and is what to_json says."""
    host = inspect(grow(tmp_path, TREES[name]))
    data = json.loads("".join(host.to_lines()))
    jsonschema.Draft202012Validator(schema).validate(data)
    assert data == json.loads(json.dumps(host.to_json()))
    assert list(data) == list(host.to_json())
    assert Host.from_json(data) == host


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        (("$defs", "function"), Function),
        (("properties", "iommu"), Iommu),
        (("properties", "boot"), Boot),
        (("properties", "cpu"), Cpu),
        (("properties", "memory"), Memory),
        (("properties", "memory", "properties", "hugepages", "items"), HugePagePool),
        (("properties", "framebuffers", "items"), Framebuffer),
        (("properties", "uses", "items"), KernelUse),
    ],
)
def test_fields(schema: Any, where: tuple[str, ...], kind: Any) -> None:
    """The schema names the records' fields, all of them and in their order."""
    for step in where:
        schema = schema[step]
    fields = [each.name for each in dataclasses.fields(kind)]
    assert list(schema["properties"]) == schema["required"] == fields
