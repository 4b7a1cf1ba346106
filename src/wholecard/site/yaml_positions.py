"""YAML as a tree that keeps each value's text as it is written, and its position.

Every value is a text here, so that the ids 2330, 1e30 and 0123 do not become numbers; the models
say what is a number or a truth value. Read by events and without recursion, so that deep nesting,
aliases of aliases and files that are not YAML end soon. Source: https://yaml.org/spec/1.2.2/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from wholecard.core.position import Position

# More than a site of 10,000 hosts with four lines each needs.
MOST_BYTES = 768 << 10
MOST_NODES = 200_000
MOST_DEPTH = 32

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# All but YAML's printable characters (5.1), and those that look like a line's end and are none.
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class SiteIssue(NamedTuple):
    """What is wrong at a position; `hint` is what to write instead, empty where none is known."""

    position: Position
    what: str
    hint: str = ""


@dataclass(eq=False)
class YamlNode:
    """A value: a text, nothing (`text` None), a mapping (`fields`) or a list (`items`).

    `fields` has for each key its position and its value. `size` counts the node and those below,
    an alias as often as it is used; `height` is how deep they are nested.
    """

    position: Position
    text: str | None = None
    fields: dict[str, tuple[Position, YamlNode]] | None = None
    items: list[YamlNode] | None = None
    size: int = 1
    height: int = 0

    @property
    def kind(self) -> str:
        """`a mapping`, `a list`, `empty` or the text itself, for messages."""
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
        """The steps along `keys` as far as they exist: the key's position and the value of each."""
        node = self
        for key in keys:
            if node.fields is not None and key in node.fields:
                position, node = node.fields[str(key)]
            elif node.items is not None and isinstance(key, int) and key < len(node.items):
                node = node.items[key]
                position = node.position
            else:
                return
            yield position, node

    def position_of(self, keys: tuple[str | int, ...]) -> Position:
        """The position of the key at the end of `keys`, or of the nearest above that is there."""
        return [self.position, *(position for position, _ in self.walk(keys))][-1]


class BrokenError(Exception):
    """The text is not YAML, or has YAML that a site file must not have: `issue` says where."""

    def __init__(self, position: Position, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.issue = SiteIssue(position, what, hint)


def compose(text: str) -> tuple[YamlNode, list[SiteIssue]]:
    """The tree of the one document in `text`, and an issue for each key that is there twice.

    Raises BrokenError where it is not YAML, has anything but mappings, lists, scalars and aliases
    of them, or is larger than a site file may be.
    """
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        position = position_at(text, unprintable.start())
        raise BrokenError(position, f"{unprintable[0]!r}: an unprintable character")
    composer = _Composer()
    # libyaml is twenty times as fast, and in every wheel of PyYAML; the answers are the same.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise BrokenError(*_syntax(text, error)) from error
    except yaml.YAMLError as error:
        raise BrokenError(Position(1, 1), f"not YAML: {error}") from error
    if composer.root is None or composer.root.kind == "empty":
        hint = "write a first one with wholecard site init"
        raise BrokenError(Position(1, 1), "the file is empty", hint)
    return composer.root, composer.issues


@dataclass
class _Open:
    """A mapping or list that has not ended, and the key that waits for its value."""

    node: YamlNode
    anchor: str | None
    key_position: Position
    key: str | None = None


class _Composer:
    """Builds the tree from the parser's events."""

    def __init__(self) -> None:
        self.root: YamlNode | None = None
        self.issues: list[SiteIssue] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, YamlNode] = {}

    def take(self, event: Any) -> None:
        """The next event. Raises BrokenError."""
        kind = type(event)
        position = _position(event.start_mark)
        if kind is yaml.ScalarEvent:
            self._refuse_tag(event, position)
            is_null = not event.style and event.value in _NULLS
            node = YamlNode(position, None if is_null else event.value)
            self._take_value(node, event.anchor, event.value, position)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            ended = self._open.pop()
            self._add(ended.node, ended.anchor)
        elif kind is yaml.AliasEvent:
            aliased = self._anchors.get(event.anchor)
            if aliased is None:
                what = f"*{event.anchor}: there is no complete anchor &{event.anchor} above"
                raise BrokenError(position, what)
            self._take_value(aliased, None, aliased.text, position)
        elif issubclass(kind, yaml.NodeEvent):
            self._begin(event, position)
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            raise BrokenError(position, "a second document begins", "write one document in a file")

    def _refuse_tag(self, event: Any, position: Position) -> None:
        if event.tag is not None:
            raise BrokenError(position, "a tag (!) is not supported", "remove it")

    def _begin(self, event: Any, position: Position) -> None:
        self._refuse_tag(event, position)
        if len(self._open) >= MOST_DEPTH:
            raise BrokenError(position, f"nested deeper than {MOST_DEPTH} levels")
        self._refuse_key(position)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        node = YamlNode(position, fields={}) if is_mapping else YamlNode(position, items=[])
        self._open.append(_Open(node, event.anchor, position))

    def _awaits_key(self) -> bool:
        """Whether a mapping is open, and the next value in it is a key."""
        last = self._open[-1] if self._open else None
        return last is not None and last.node.fields is not None and last.key is None

    def _refuse_key(self, position: Position) -> None:
        if self._awaits_key():
            raise BrokenError(position, "a key is a text, not a mapping or list")

    def _take_value(
        self, node: YamlNode, anchor: str | None, text: str | None, position: Position
    ) -> None:
        """A complete value: within a mapping every other one is a key, as it is written."""
        if not self._awaits_key():
            self._add(node, anchor)
            return
        if text is None:
            self._refuse_key(position)
        key = text or ""
        if key == "<<":
            hint = "write the keys themselves"
            raise BrokenError(position, "merge keys (<<) are not supported", hint)
        above = self._open[-1]
        fields = above.node.fields or {}
        if key in fields:
            first = fields[key][0]
            what = f"the key {key!r} occurs twice, first in line {first.line}"
            self.issues.append(SiteIssue(position, what))
        above.key, above.key_position = key, position
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
            raise BrokenError(node.position, f"more than {MOST_NODES} values, aliases counted")
        if above.node.height > MOST_DEPTH:
            raise BrokenError(node.position, f"nested deeper than {MOST_DEPTH} levels")
        if above.node.items is not None:
            above.node.items.append(node)
        elif above.node.fields is not None and above.key is not None:
            # Of a key that is there twice the first one counts.
            above.node.fields.setdefault(above.key, (above.key_position, node))
            above.key = None

    def _remember(self, node: YamlNode, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def position_at(text: str, index: int) -> Position:
    """The position of a character of the text."""
    before = text[:index]
    return Position(before.count("\n") + 1, index - before.rfind("\n"))


def _syntax(text: str, error: yaml.MarkedYAMLError) -> SiteIssue:
    """The parser's error, with a hint where it is one of the usual mistakes."""
    mark = error.problem_mark or error.context_mark
    position = _position(mark) if mark is not None else Position(1, 1)
    problem = error.problem or "this is not YAML"
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    sign = line[position.column - 1 : position.column]
    if sign == "\t" or "tab" in problem.split():
        return SiteIssue(position, "a tab: YAML is indented with spaces", "use spaces")
    if "cannot start any token" in problem:
        return SiteIssue(position, f"a value cannot begin with {sign!r}", "put the value in quotes")
    if "mapping values are not allowed" in problem:
        hint = "put a value with ': ' in quotes, or correct the line above"
        return SiteIssue(position, "a ':' is not allowed here", hint)
    context = f"{error.context}: " if error.context else ""
    return SiteIssue(position, f"not YAML: {context}{problem}")
