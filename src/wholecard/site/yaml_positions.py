"""YAML as a tree that keeps each value's text as it was written, and its place.

`product: 2330`, `1e30` and `0123` are ids here and no numbers; what is a number or a yes or no
the models say. Read by events and without recursion, so that deep nesting, aliases of aliases and
files that are no YAML end soon. Source: https://yaml.org/spec/1.2.2/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

# What a site of 10,000 hosts with four lines each does not reach.
MOST_BYTES = 768 << 10
MOST_NODES = 200_000
MOST_DEPTH = 32

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# YAML's printable characters (5.1), without what looks like a line's end and is none.
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Position(NamedTuple):
    """Where something stands in a file: line and column, both from 1, in characters."""

    line: int
    column: int


class SiteIssue(NamedTuple):
    """What is wrong at a place; `hint` is what to write instead, empty where nobody knows."""

    place: Position
    what: str
    hint: str = ""


@dataclass(eq=False)
class YamlNode:
    """A value: a text, nothing (`text` None), a mapping (`fields`) or a list (`items`).

    `fields` has for each key its place and its value. `size` counts the nodes below and itself,
    an alias as often as it stands there; `height` is how deep they are nested.
    """

    place: Position
    text: str | None = None
    fields: dict[str, tuple[Position, YamlNode]] | None = None
    items: list[YamlNode] | None = None
    size: int = 1
    height: int = 0

    @property
    def kind(self) -> str:
        """What it is, for a person."""
        if self.fields is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        return "empty" if self.text is None else repr(self.text)

    def data(self) -> Any:
        """The value as dicts, lists, texts and None."""
        if self.fields is not None:
            return {key: node.data() for key, (_, node) in self.fields.items()}
        if self.items is not None:
            return [node.data() for node in self.items]
        return self.text

    def walk(self, keys: tuple[str | int, ...]) -> Iterator[tuple[Position, YamlNode]]:
        """The way along `keys` as far as it goes: for each step the key's place and the value."""
        node = self
        for key in keys:
            if node.fields is not None and key in node.fields:
                place, node = node.fields[str(key)]
            elif node.items is not None and isinstance(key, int) and key < len(node.items):
                node = node.items[key]
                place = node.place
            else:
                return
            yield place, node


class BrokenError(Exception):
    """The text is no YAML that is read here: one `fault` ends it."""

    def __init__(self, fault: SiteIssue) -> None:
        super().__init__(fault.what)
        self.fault = fault


def compose(text: str) -> tuple[YamlNode, list[SiteIssue]]:
    """The tree of the one document in `text`, and its keys that stand twice.

    Raises BrokenError where it is no YAML, holds anything but mappings, lists and scalars
    (aliases to them included), or is larger than a site file is.
    """
    bad = _UNPRINTABLE.search(text)
    if bad:
        raise BrokenError(
            SiteIssue(_place_at(text, bad.start()), f"{bad[0]!r}: an unprintable character")
        )
    composer = _Composer()
    # libyaml is twenty times as fast and in every wheel of PyYAML; without it all is the same.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise BrokenError(_syntax(text, error)) from error
    except yaml.YAMLError as error:
        raise BrokenError(SiteIssue(Position(1, 1), f"no YAML: {error}")) from error
    if composer.root is None or composer.root.kind == "empty":
        raise BrokenError(
            SiteIssue(Position(1, 1), "the file is empty", "write what wholecard site init writes")
        )
    return composer.root, composer.faults


@dataclass
class _Open:
    """A mapping or list that has not ended: the key that waits for its value, the anchor."""

    node: YamlNode
    anchor: str | None
    key_place: Position
    key: str | None = None


class _Composer:
    """Builds the tree from the parser's events."""

    def __init__(self) -> None:
        self.root: YamlNode | None = None
        self.faults: list[SiteIssue] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, YamlNode] = {}

    def take(self, event: Any) -> None:
        """The next event. Raises BrokenError."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            place = _place(event.start_mark)
            self._refuse_tag(event, place)
            nothing = not event.style and event.value in _NULLS
            self._scalar(
                YamlNode(place, None if nothing else event.value), event.anchor, event.value
            )
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            ended = self._open.pop()
            self._add(ended.node, ended.anchor)
        elif issubclass(kind, yaml.NodeEvent):
            self._node(event, _place(event.start_mark))
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            place = _place(event.start_mark)
            raise BrokenError(SiteIssue(place, "a second document begins", "write one in a file"))

    def _refuse_tag(self, event: Any, place: Position) -> None:
        if event.tag is not None:
            raise BrokenError(SiteIssue(place, "a tag (!) is not read here", "leave it out"))

    def _node(self, event: Any, place: Position) -> None:
        if isinstance(event, yaml.AliasEvent):
            found = self._anchors.get(event.anchor or "")
            if found is None:
                raise BrokenError(
                    SiteIssue(place, f"*{event.anchor}: no such anchor ends before it")
                )
            self._scalar(found, None, found.text, place)
            return
        self._refuse_tag(event, place)
        if len(self._open) >= MOST_DEPTH:
            raise BrokenError(SiteIssue(place, f"nested deeper than {MOST_DEPTH} levels"))
        self._refuse_key(place)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        node = YamlNode(place, fields={}) if is_mapping else YamlNode(place, items=[])
        self._open.append(_Open(node, event.anchor, place))

    def _refuse_key(self, place: Position) -> None:
        if self._open and self._open[-1].node.fields is not None and self._open[-1].key is None:
            raise BrokenError(SiteIssue(place, "a key is a text, not a mapping or list"))

    def _scalar(
        self, node: YamlNode, anchor: str | None, text: str | None, place: Position | None = None
    ) -> None:
        """A value that is whole at once; within a mapping, every other one is a key."""
        if not self._open or self._open[-1].node.fields is None or self._open[-1].key is not None:
            self._add(node, anchor)
            return
        above = self._open[-1]
        place = place or node.place
        if text is None or node.fields is not None or node.items is not None:
            self._refuse_key(place)
        key = text or ""
        if key == "<<":
            raise BrokenError(
                SiteIssue(place, "merge keys (<<) are not read here", "write the keys out")
            )
        fields = above.node.fields or {}
        if key in fields:
            first = fields[key][0]
            self.faults.append(
                SiteIssue(place, f"the key {key!r} stands twice, first in line {first.line}")
            )
        above.key, above.key_place = key, place
        self._remember(node, anchor)

    def _add(self, node: YamlNode, anchor: str | None) -> None:
        self._remember(node, anchor)
        if not self._open:
            self.root = node
            return
        above = self._open[-1]
        above.node.size += node.size
        above.node.height = max(above.node.height, node.height + 1)
        if above.node.size > MOST_NODES:
            raise BrokenError(
                SiteIssue(node.place, f"more than {MOST_NODES} values, aliases counted")
            )
        if above.node.height > MOST_DEPTH:
            raise BrokenError(SiteIssue(node.place, f"nested deeper than {MOST_DEPTH} levels"))
        if above.node.items is not None:
            above.node.items.append(node)
        elif above.node.fields is not None and above.key is not None:
            # Of a key that stands twice the first is read on.
            above.node.fields.setdefault(above.key, (above.key_place, node))
            above.key = None

    def _remember(self, node: YamlNode, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node


def _place(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _place_at(text: str, index: int) -> Position:
    before = text[:index]
    return Position(before.count("\n") + 1, index - before.rfind("\n"))


def _syntax(text: str, error: yaml.MarkedYAMLError) -> SiteIssue:
    """What the parser says, in words that help where it is one of the common slips."""
    mark = error.problem_mark or error.context_mark
    place = _place(mark) if mark is not None else Position(1, 1)
    problem = error.problem or "this is no YAML"
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    sign = line[place.column - 1 : place.column]
    if sign == "\t" or "tab" in problem.split():
        return SiteIssue(place, "a tab: YAML is indented with spaces", "put spaces there")
    if "cannot start any token" in problem:
        return SiteIssue(place, f"{sign!r} cannot begin a value", "put the value in quotes")
    if "mapping values are not allowed" in problem:
        return SiteIssue(
            place,
            "a ':' where none can be",
            "put a value with ': ' in quotes, or mend the line above",
        )
    context = f"{error.context}: " if error.context else ""
    return SiteIssue(place, f"no YAML: {context}{problem}")
