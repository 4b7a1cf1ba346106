"""Write the extra specs that nova's API accepts, by release, from a clone of nova with its tags.

    python scripts/nova_extra_specs.py PATH/TO/nova.git

nova checks a flavor's extra specs since compute API 2.86 (Ussuri): a module in
`nova/api/validation/extra_specs` has a validator for each key. The newest release without a tag is
read from HEAD. Keys of standard traits and resource classes come from os-traits and
os-resource-classes and are left out.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TARGET = Path(__file__).parents[1] / "src/wholecard/nova/flavor/api_extra_specs.json"
FOLDER = "nova/api/validation/extra_specs"
FIRST, NEWEST = 21, 34
_RULES = ("type", "min", "max", "enum", "pattern")


@dataclass
class Validator:
    """nova's ExtraSpecValidator, as its modules construct it."""

    name: str
    value: dict[str, Any]
    description: str = ""
    deprecated: bool = False
    parameters: list[dict[str, str]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The key as a regular expression, and what its value has to be."""
        key = self.name
        for one in self.parameters:
            key = key.replace(f"{{{one['name']}}}", f"({one['pattern']})")
        value = {name: self.value[name] for name in _RULES if name in self.value}
        return {"key": key, **value, "type": value["type"].__name__}


class Fields:
    """nova.objects.fields, of which the validators take lists of values."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __getattr__(self, name: str) -> SimpleNamespace:
        body = re.search(rf"^class {name}\(.*?\n(?=class |\Z)", self._source, re.M | re.S)
        values = dict(re.findall(r'^    (\w+) = [\'"](.+?)[\'"]', body[0] if body else "", re.M))
        return SimpleNamespace(ALL=tuple(values.values()), **values)


def git(clone: str, *arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", clone, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rows_of(clone: str, tag: str) -> list[dict[str, Any]]:
    """The keys of one release."""
    fields = Fields(git(clone, "show", f"{tag}:nova/objects/fields.py"))
    names = git(clone, "ls-tree", "--name-only", f"{tag}:{FOLDER}").split()
    rows = []
    for name in names:
        if name in ("__init__.py", "base.py", "validators.py"):
            continue
        source = git(clone, "show", f"{tag}:{FOLDER}/{name}")
        source = re.sub(r"^(?:from|import) .*$", "", source, flags=re.M)
        none = SimpleNamespace(get_traits=list, STANDARDS=())
        room: dict[str, Any] = {
            "base": SimpleNamespace(ExtraSpecValidator=Validator), "fields": fields,
            "os_traits": none, "os_resource_classes": none,
        }  # fmt: skip
        exec(source, room)  # noqa: S102 - nova's own modules, of a clone that a person names
        rows += [validator.row() for validator in room["register"]()]
    return rows


def main(clone: str) -> None:
    """Write the table: each key with the first release that has it, and the first that has not."""
    last: dict[int, tuple[int, ...]] = {}
    for tag in git(clone, "tag").split():
        if re.fullmatch(r"\d\d\.\d+\.\d+", tag):
            version = tuple(map(int, tag.split(".")))
            last[version[0]] = max(version, last.get(version[0], version))
    spans: dict[str, list[int]] = {}
    for major in range(FIRST, NEWEST + 1):
        tag = ".".join(map(str, last[major])) if major in last else "HEAD"
        for row in rows_of(clone, tag):
            spans.setdefault(json.dumps(row), []).append(major)
    table = [
        {**json.loads(row), "since": majors[0]}
        | ({"until": majors[-1] + 1} if majors[-1] < NEWEST else {})
        for row, majors in spans.items()
    ]
    table.sort(key=lambda row: (row["key"], row["since"]))
    lines = ",\n".join(json.dumps(row) for row in table)
    TARGET.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
