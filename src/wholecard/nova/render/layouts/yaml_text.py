"""Our YAML: keys in the given order, several lines as a block, our comment at the head."""

from __future__ import annotations

from typing import Any

import yaml

from wholecard.core.releases import Release
from wholecard.nova.render.drop_in_file import header


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block, so that people can read it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Lists are indented below their key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """A text that is there twice is written twice: people read a patch part by part."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def document(data: Any, what: str, release: Release, notes: str = "") -> str:
    """One YAML document under our header; `notes` are lines of comment."""
    body: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100000, allow_unicode=True)
    return f"{header(what, release)}{notes}---\n{body}"
