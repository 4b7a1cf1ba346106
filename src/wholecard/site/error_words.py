"""What pydantic has against a site, as faults: the place, what is allowed there, what is near.

Source of the kinds of error: https://docs.pydantic.dev/latest/errors/validation_errors/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from wholecard.core.near_names import did_you_mean, meant
from wholecard.site import model
from wholecard.site.yaml_positions import Position, SiteIssue, YamlNode

# Looking for what is near takes a while, and nobody reads more faults than these.
_MOST_HINTS = 50
_LONGEST_NAME = 80
_LIST = re.compile(r"'([^']*)'")
_ADDRESS = re.compile(r"(?:0*([0-9a-f]{0,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])")


@dataclass
class Nearest:
    """Says which of some names is nearest to one that is wrong, for the first few times."""

    left: int = _MOST_HINTS

    def __call__(self, name: str, there: Callable[[], Iterable[str]]) -> str:
        """`Did you mean 'vendor'?`, or which names there are; empty when it was asked enough."""
        if self.left <= 0 or len(name) > _LONGEST_NAME:
            return ""
        self.left -= 1
        names = list(there())
        few = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        return did_you_mean(name, names) or (f"there is {few}" if names else "there is none")


def model_faults(error: ValidationError, root: YamlNode, nearest: Nearest) -> list[SiteIssue]:
    """One fault for each place that pydantic has something against.

    Of a value that may be of several kinds it has as many things against it.
    """
    places: dict[tuple[str | int, ...], _Said] = {}
    for each in error.errors(include_url=False, include_input=False):
        location = tuple(each["loc"])
        steps = [(root.place, root), *root.walk(location)]
        keys = location[: len(steps) - 1]
        said = places.setdefault(keys, _Said(keys, *steps[-1], errors=[]))
        said.errors.append((each, location[len(keys) :]))
    return [fault for said in places.values() for fault in _of_place(said, nearest)]


@dataclass
class _Said:
    """What pydantic has against the value at `keys`, each with the rest of its own location."""

    keys: tuple[str | int, ...]
    key_place: Position
    node: YamlNode
    errors: list[tuple[Any, tuple[str | int, ...]]]

    @property
    def place(self) -> Position:
        """A text's fault stands at the text, a mapping's at its key."""
        return self.node.place if self.node.text is not None else self.key_place


def shown(text: str) -> str:
    """A text as a fault quotes it."""
    return repr(text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…")


def path_text(keys: Sequence[str | int]) -> str:
    """`cards.h100.match[0]`; the whole file for no keys."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".") or "the file"


def _of_place(said: _Said, nearest: Nearest) -> list[SiteIssue]:
    faults = []
    values = []
    keys = said.keys
    for error, rest in said.errors:
        kind = error["type"]
        if kind == "extra_forbidden":
            hint = nearest(str(keys[-1]), lambda: keys_of(keys[:-1]))
            what = f"{path_text(keys[:-1])} has no key {shown(str(keys[-1]))}"
            faults.append(SiteIssue(said.key_place, what, hint))
        elif kind == "missing":
            what = f"{path_text(keys)} lacks the key {rest[0]!r}"
            faults.append(SiteIssue(said.place, what, _EXAMPLES.get(str(rest[0]), "")))
        elif rest[-1:] == ("[key]",):
            allowed, mended = _allowed(error, str(keys[-1]))
            what = f"{shown(str(keys[-1]))} is no key of {path_text(keys[:-1])}: {allowed}"
            faults.append(SiteIssue(said.key_place, what, mended))
        elif kind != "too_short" or not said.node.items:
            # Of a list whose entries are wrong pydantic also says that it is too short.
            values.append(error)
    if values:
        faults.append(_of_value(said, values, nearest))
    return faults


def _of_value(said: _Said, errors: list[Any], nearest: Nearest) -> SiteIssue:
    name, node = path_text(said.keys), said.node
    names = [each for error in errors for each in _names(error)]
    if names and (node.text is not None or node.kind == "empty"):
        listed = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
        hint = nearest(node.text, lambda: names) if node.text else ""
        hint = hint if hint.startswith("Did") else ""
        return SiteIssue(said.place, f"{name} is {_kind(node)}, not {listed}", hint)
    allowed, mended = _allowed(errors[0], node.text or "")
    return SiteIssue(said.place, f"{name} is {_kind(node)}: {allowed}", mended)


def _kind(node: YamlNode) -> str:
    return node.kind if node.text is None else shown(node.text)


def _names(error: Any) -> list[str]:
    """The values that are allowed, where they can be counted."""
    if error["type"] == "literal_error":
        expected = str(error["ctx"]["expected"])
        return _LIST.findall(expected) or re.findall(r"\d+", expected)
    return ["true", "false"] if error["type"] in ("bool_parsing", "bool_type") else []


# Where a value is of the wrong kind: what is asked for.
_ASKED = {
    "string_type": "a text is asked for",
    "int_type": "a whole number is asked for",
    "int_parsing": "a whole number is asked for",
    "int_from_float": "a whole number is asked for",
    "int_parsing_size": "that number is too large",
    "tuple_type": "a list is asked for",
    "dict_type": "a mapping is asked for",
    "model_type": "a mapping is asked for",
    "model_attributes_type": "a mapping is asked for",
    "too_short": "at least one entry is asked for",
}


def _allowed(error: Any, text: str) -> tuple[str, str]:
    """What is allowed, and what was perhaps meant."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        found = PATTERNS.get(context["pattern"])
        if found is not None:
            allowed, mend = found
            mended = mend(text) if len(text) <= _LONGEST_NAME else ""
            right = re.fullmatch(context["pattern"].strip("^$"), mended)
            return allowed, meant(repr(mended)) if right and mended != text else ""
    if kind == "greater_than_equal":
        return f"{context['ge']} or more is asked for", ""
    if kind == "less_than_equal":
        return f"{context['le']} or less is asked for", ""
    if kind == "tuple_type" and text:
        return _ASKED[kind], meant(f"[{text}]") if len(text) <= _LONGEST_NAME else ""
    return _ASKED.get(kind, str(error["msg"])), ""


_EXAMPLES: Mapping[str, str] = {
    "release": "for example release: 2025.2",
    "cards": "the kinds of cards, by name",
    "match": 'for example match: [{vendor: "10de", product: "2330"}]',
    "ram": "for example ram: 65536 (MiB)",
    "vcpus": "for example vcpus: 16",
    "hosts": "a list of hosts",
}


def _mended_id(text: str) -> str:
    return text.lower().removeprefix("0x")


def _mended_address(text: str) -> str:
    match = _ADDRESS.fullmatch(text.lower().strip())
    if match is None:
        return ""
    domain, bus, slot, function = match.groups()
    return f"{(domain or '').rjust(4, '0')}:{bus:0>2}:{slot:0>2}.{function}"


def _mended_custom(text: str) -> str:
    name = re.sub(r"[^A-Z0-9_]+", "_", text.upper())
    return name if name.startswith("CUSTOM_") else f"CUSTOM_{name}"


def _mended_name(text: str) -> str:
    return re.sub(r"[:,\s]+", "-", text.strip())


# What each pattern of the models asks for, in words, and what makes the usual slips right.
PATTERNS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    model.ID_PATTERN: (
        "four lower-case hexadecimal digits are asked for, as lspci -nn prints them", _mended_id),
    model.IDS_PATTERN: (
        "both ids of the subsystem are asked for, as in 10de:16c1", _mended_id),
    model.ADDRESS_PATTERN: (
        "an address is asked for, as lspci -D prints it: 0000:41:00.0", _mended_address),
    model.CARD_PATTERN: (
        "a card's name has 1 to 255 characters, none of them ':' or ','", _mended_name),
    model.CUSTOM_PATTERN: (
        "CUSTOM_ and then capitals, digits and _ are asked for", _mended_custom),
    model.TRAIT_PATTERN: (
        "capitals, digits and _ are asked for", lambda text: _mended_custom(text)
        if not text.upper().startswith(("HW_", "COMPUTE_", "MISC_", "STORAGE_"))
        else re.sub(r"[^A-Z0-9_]+", "_", text.upper())),
    model.NAME_PATTERN: (
        "a name has 1 to 255 printable characters and no blank at its ends", str.strip),
    model.LINE_PATTERN: (
        "a text without control characters is asked for", str.strip),
}  # fmt: skip


def keys_of(keys: Sequence[str | int]) -> list[str]:
    """The keys that the mapping at `keys` can have by its model; none for a free one."""
    kind: Any = model.Site
    for key in keys:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(key)].annotation if key in kind.model_fields else None
        else:
            # A mapping's values, a list's entries.
            kind = next((each for each in get_args(kind)[::-1] if each is not Ellipsis), None)
        kind = _without_metadata(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return []


def _without_metadata(kind: Any) -> Any:
    return getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
