"""What pydantic refuses in a site file, as issues: where, what is allowed there, what is near.

Source of the kinds of error: https://docs.pydantic.dev/latest/errors/validation_errors/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from wholecard.core.near_names import did_you_mean, meant
from wholecard.core.position import Position
from wholecard.site import give, image_build, model, model_types
from wholecard.site.yaml_positions import SiteIssue, YamlNode

# Looking for a near name takes a while, and nobody reads more issues than these.
_MOST_HINTS = 50
_LONGEST_NAME = 80
# Keys that had another name.
_RENAMED = {"companion": "write extra_function: a companion is an endpoint outside the card's slot"}
_LIST = re.compile(r"'([^']*)'")
_ADDRESS = re.compile(r"(?:0*([0-9a-f]{0,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])")


@dataclass
class Nearest:
    """Finds the right name that is nearest to a wrong one, for the first few wrong ones."""

    left: int = _MOST_HINTS

    def __call__(self, name: str, right_names: Callable[[], Iterable[str]]) -> str:
        """`Did you mean 'vendor'?`, or the right names; empty after the first few wrong ones."""
        if self.left <= 0 or len(name) > _LONGEST_NAME:
            return ""
        self.left -= 1
        names = list(right_names())
        few = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        return did_you_mean(name, names) or (f"known: {few}" if names else "none is defined")


def model_issues(error: ValidationError, root: YamlNode, nearest: Nearest) -> list[SiteIssue]:
    """One issue for each value that pydantic refuses, and for each wrong key.

    Of a value that may be of several types pydantic refuses each type by itself.
    """
    refused: dict[tuple[str | int, ...], _Refused] = {}
    for details in error.errors(include_url=False, include_input=False):
        location = _own_keys(details, root)
        steps = [(root.position, root), *root.walk(location)]
        keys = location[: len(steps) - 1]
        value = refused.setdefault(keys, _Refused(keys, *steps[-1], errors=[]))
        value.errors.append((details, location[len(keys) :]))
    return [issue for value in refused.values() for issue in _issues_of(value, root, nearest)]


def _own_keys(details: Any, root: YamlNode) -> tuple[str | int, ...]:
    """The keys of a value in the file: pydantic adds a policy's name where policies differ."""
    location: tuple[str | int, ...] = tuple(details["loc"])
    if "give" in location:
        above = location[: location.index("give") + 1]
        rest = location[len(above) :]
        node = [root, *(node for _, node in root.walk(above))][-1]
        if rest and rest[0] in give.POLICIES:
            rest = rest[1:]
        if details["type"] == "union_tag_invalid" and node.text is None:
            rest = ("policy",)
        return (*above, *rest)
    return location


@dataclass
class _Refused:
    """A refused value at `keys`: pydantic's errors, each with the rest of its own location."""

    keys: tuple[str | int, ...]
    key_position: Position
    node: YamlNode
    errors: list[tuple[Any, tuple[str | int, ...]]]

    @property
    def position(self) -> Position:
        """Of a text its own position, of a mapping that of its key."""
        return self.node.position if self.node.text is not None else self.key_position


def shown(text: str) -> str:
    """A text as an issue quotes it."""
    return repr(text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…")


def path_text(keys: Sequence[str | int]) -> str:
    """`cards.h100.match[0]`; the whole file for no keys."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".") or "the file"


def _issues_of(value: _Refused, root: YamlNode, nearest: Nearest) -> list[SiteIssue]:
    issues = []
    type_errors = []
    keys = value.keys
    for error, rest in value.errors:
        kind = error["type"]
        if kind == "extra_forbidden":
            renamed = _RENAMED.get(str(keys[-1]), "")
            hint = renamed or nearest(str(keys[-1]), lambda: keys_of(keys[:-1], root))
            what = f"{path_text(keys[:-1])} has no key {shown(str(keys[-1]))}"
            issues.append(SiteIssue(value.key_position, what, hint))
        elif kind in ("missing", "union_tag_not_found"):
            key = str(rest[0]) if rest else "policy"
            what = f"{path_text(keys)} needs the key {key!r}"
            issues.append(SiteIssue(value.position, what, _EXAMPLES.get(key, "")))
        elif rest[-1:] == ("[key]",):
            expected, hint = _expected(error, str(keys[-1]))
            what = f"{shown(str(keys[-1]))} cannot be a key of {path_text(keys[:-1])}: {expected}"
            issues.append(SiteIssue(value.key_position, what, hint))
        elif kind != "too_short" or not value.node.items:
            # Of a list whose entries are wrong pydantic also says that it is too short.
            type_errors.append(error)
    if type_errors:
        issues.append(_wrong_value(value, type_errors, nearest))
    return issues


def _wrong_value(value: _Refused, errors: list[Any], nearest: Nearest) -> SiteIssue:
    path, node = path_text(value.keys), value.node
    choices = [choice for error in errors for choice in _choices(error)]
    if choices and (node.text is not None or node.kind == "empty"):
        listed = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
        hint = nearest(node.text, lambda: choices) if node.text else ""
        # The message lists the choices already, so only a near one is a hint.
        hint = hint if hint.startswith("Did") else ""
        numbers = [error for error in errors if error["type"] in _NUMBERS]
        if numbers:
            number = _expected(numbers[0], "")[0].removeprefix("expected ")
            what = f"{path} is {_kind(node)}: expected {', '.join(choices)} or {number}"
            return SiteIssue(value.position, what, hint)
        return SiteIssue(value.position, f"{path} is {_kind(node)}, not {listed}", hint)
    expected, hint = _expected(errors[0], node.text or "")
    return SiteIssue(value.position, f"{path} is {_kind(node)}: {expected}", hint)


def _kind(node: YamlNode) -> str:
    return node.kind if node.text is None else shown(node.text)


def _choices(error: Any) -> list[str]:
    """The values that are allowed, where there are only a few."""
    if error["type"] == "union_tag_invalid":
        return _LIST.findall(str(error["ctx"]["expected_tags"]))
    if error["type"] == "literal_error":
        literals = str(error["ctx"]["expected"])
        return _LIST.findall(literals) or re.findall(r"\d+", literals)
    return ["true", "false"] if error["type"] in ("bool_parsing", "bool_type") else []


# By pydantic's type of error, filled in from the error's own context.
_EXPECTED = {
    "string_type": "expected a string",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    "int_parsing_size": "the number is too large",
    "tuple_type": "expected a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "expected a mapping"),
    "too_short": "expected at least one entry",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
}


_NUMBERS = frozenset({"int_type", "int_parsing", "greater_than_equal", "less_than_equal"})


def _expected(error: Any, text: str) -> tuple[str, str]:
    """What is expected, and a hint: the right spelling of what is there."""
    kind, context = error["type"], error.get("ctx", {})
    is_short = len(text) <= _LONGEST_NAME
    if kind == "string_pattern_mismatch" and context["pattern"] in PATTERNS:
        expected, corrected = PATTERNS[context["pattern"]]
        right = corrected(text) if is_short else ""
        is_right = re.fullmatch(context["pattern"].strip("^$"), right) and right != text
        return expected, meant(repr(right)) if is_right else ""
    hint = meant(f"[{text}]") if kind == "tuple_type" and text and is_short else ""
    return _EXPECTED.get(kind, str(error["msg"])).format(**context), hint


_EXAMPLES: Mapping[str, str] = {
    "release": "for example release: 2025.2",
    "cards": "the kinds of cards, by name",
    "match": 'for example match: [{vendor: "10de", product: "2330"}]',
    "ram": "for example ram: 65536 (MiB)",
    "vcpus": "for example vcpus: 16",
    "hosts": "a list of hosts",
    "from": "a file, or an address with sha256",
    "os": "for example os: ubuntu-24.04",
    "uri": "for example uri: https://packages.example.org/ubuntu",
}


def _right_address(text: str) -> str:
    match = _ADDRESS.fullmatch(text.lower().strip())
    if match is None:
        return ""
    domain, bus, slot, function = match.groups()
    return f"{(domain or '').rjust(4, '0')}:{bus:0>2}:{slot:0>2}.{function}"


def _right_custom(text: str) -> str:
    name = re.sub(r"[^A-Z0-9_]+", "_", text.upper())
    return name if name.startswith("CUSTOM_") else f"CUSTOM_{name}"


# What each pattern of the models expects, in words, and what corrects the usual mistakes.
PATTERNS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    model_types.ID_PATTERN: (
        "expected four lower-case hexadecimal digits, as lspci -nn prints them",
        lambda text: text.lower().removeprefix("0x")),
    model_types.IDS_PATTERN: (
        "expected both ids of the subsystem, as in 10de:16c1",
        lambda text: text.lower().removeprefix("0x")),
    model_types.ADDRESS_PATTERN: (
        "expected an address, as lspci -D prints it: 0000:41:00.0", _right_address),
    model_types.CARD_PATTERN: (
        "a card's name has 1 to 255 characters without ':' and ','",
        lambda text: re.sub(r"[:,\s]+", "-", text.strip())),
    model_types.CUSTOM_PATTERN: (
        "expected CUSTOM_ and then capitals, digits and _", _right_custom),
    model_types.TRAIT_PATTERN: (
        "expected capitals, digits and _", lambda text: _right_custom(text)
        if not text.upper().startswith(("HW_", "COMPUTE_", "MISC_", "STORAGE_"))
        else re.sub(r"[^A-Z0-9_]+", "_", text.upper())),
    model_types.NAME_PATTERN: (
        "a name has 1 to 255 printable characters and no space at its ends", str.strip),
    model_types.LINE_PATTERN: (
        "expected a string without control characters", str.strip),
    model_types.TEXT_PATTERN: ("expected a text without control characters", str.strip),
    model_types.PARENT_PATTERN: (
        "expected a name of /sys/class/mdev_bus that is no address", str.strip),
    **give.PATTERNS,
    **image_build.PATTERNS,
}  # fmt: skip


def keys_of(keys: Sequence[str | int], root: YamlNode) -> list[str]:
    """The keys that the model of the mapping at `keys` has; none where any key may be there."""
    kind: Any = model.Site
    for number, key in enumerate(keys, 1):
        fields = _fields(kind)
        if fields is not None:
            kind = fields[str(key)].annotation if key in fields else None
        else:
            # A mapping's values, a list's entries.
            kind = next((inner for inner in get_args(kind)[::-1] if inner is not Ellipsis), None)
        kind = _without_none(kind)
        kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
        if isinstance(kind, UnionType):
            kind = give.POLICIES.get(_policy(keys[:number], root))
    return [field.alias or name for name, field in (_fields(kind) or {}).items()]


def _fields(kind: Any) -> Mapping[str, Any] | None:
    """The fields of a model; None for anything else."""
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind.model_fields if is_model else None


def _policy(keys: Sequence[str | int], root: YamlNode) -> str:
    """The policy of the mapping at `keys`."""
    return next((node.text or "" for _, node in [*root.walk((*keys, "policy"))][-1:]), "")


def _without_none(kind: Any) -> Any:
    """`X` of `X | None`, and any other kind as it is."""
    if isinstance(kind, UnionType) and NoneType in get_args(kind):
        return next(inner for inner in get_args(kind) if inner is not NoneType)
    return kind
