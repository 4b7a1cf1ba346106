"""The kernel's command line through GRUB's settings (Debian, Ubuntu).

Source: GRUB manual, "Simple configuration handling": `/etc/default/grub` and then
`/etc/default/grub.d/*.cfg` are sourced by grub-mkconfig as shell; the command line is
GRUB_CMDLINE_LINUX followed by GRUB_CMDLINE_LINUX_DEFAULT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wholecard.core import WholecardError
from wholecard.host.settings import GRUB, FileText

BOTH = "GRUB_CMDLINE_LINUX"
DEFAULT = "GRUB_CMDLINE_LINUX_DEFAULT"

_MENTION = re.compile(r"^(?P<before>[^#\n]*?)\b(?P<name>GRUB_CMDLINE_LINUX(?:_DEFAULT)?)\+?=", re.M)
_VALUE = re.compile(
    r"""(?P<quote>["']?)(?P<text>[^"'\n]*)(?P=quote)(?=[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))"""
)
_SELF = re.compile(r"\$(?:GRUB_CMDLINE_LINUX(?:_DEFAULT)?\b|\{GRUB_CMDLINE_LINUX(?:_DEFAULT)?\})")


@dataclass(frozen=True)
class Wanted:
    """Kernel arguments to be there, as name and value, and arguments to be gone."""

    present: tuple[tuple[str, str], ...]
    absent: tuple[str, ...] = ()


# linux: Documentation/admin-guide/kernel-parameters.txt, intel_iommu, iommu and amd_iommu.
ARGUMENTS = {
    "vt-d": Wanted((("intel_iommu", "on"), ("iommu", "pt"))),
    "amd-vi": Wanted((("iommu", "pt"),), ("amd_iommu=off",)),
}

# Elements of these arguments' comma lists that contradict what is wanted.
_CONTRARY = frozenset({"on", "off", "pt", "nopt"})


@dataclass(frozen=True)
class _Assignment:
    """Where a value stands in its file's text, without quotes: `text[start:end]`."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def edit(files: Sequence[FileText], wanted: Wanted) -> tuple[FileText, ...]:
    """The files that change, with their new texts; every other byte stays as it is.

    `files` stand in the order in which they are sourced and have texts. An argument is changed
    where it stands, in each place; one that is nowhere in effect is appended to the last
    assignment of GRUB_CMDLINE_LINUX_DEFAULT. Editing twice changes nothing more.

    Raises WholecardError for an assignment that is not one plain value on one line.
    """
    texts = [_replace_in(each.path, each.text or "", wanted) for each in files]
    missing = [
        argument
        for argument in wanted.present
        if not _in_effect(argument, [_assignments(f.path, t) for f, t in zip(files, texts)])
    ]
    if missing:
        index = _last_with_default(files, texts)
        texts[index] = _append(files[index].path, texts[index], missing)
    return tuple(
        FileText(each.path, text, each.mode)
        for each, text in zip(files, texts)
        if text != each.text
    )


def _assignments(path: str, text: str) -> list[_Assignment]:
    found = []
    for mention in _MENTION.finditer(text):
        value = _VALUE.match(text, mention.end())
        plain = mention["before"] in ("", "export ") and not mention[0].endswith("+=")
        if not plain or value is None or not _is_literal(value["quote"], value["text"]):
            line = text.count("\n", 0, mention.start("name")) + 1
            raise WholecardError(
                f"cannot edit {mention['name']} in {path}, line {line}",
                text.splitlines()[line - 1].strip(),
                "Write it as one plain value in quotes on one line of its own; or add the kernel "
                "arguments there by hand.",
            )
        found.append(
            _Assignment(
                mention["name"],
                value.start("text"),
                value.end("text"),
                value["quote"],
                value["text"],
            )
        )
    return found


def _is_literal(quote: str, value: str) -> bool:
    """Whether the shell takes the value as it is written, but for earlier values of itself."""
    if quote == "'":
        return True
    if not quote and re.search(r"[\s;&|<>()*?~]", value):
        return False
    rest = _SELF.sub("", value) if quote else value
    return not re.search(r"[$`\\]", rest)


def _replace_in(path: str, text: str, wanted: Wanted) -> str:
    for each in reversed(_assignments(path, text)):
        words = re.split(r"([ \t]+)", each.value)
        changed = _drop([_replace_word(word, wanted) for word in words], wanted.absent)
        text = text[: each.start] + changed + text[each.end :]
    return text


def _replace_word(word: str, wanted: Wanted) -> str:
    name, equals, value = word.partition("=")
    for wanted_name, wanted_value in wanted.present:
        if equals and name == wanted_name:
            elements = value.split(",")
            if wanted_value in elements and not _CONTRARY & {*elements} - {wanted_value}:
                return word
            kept = [element for element in elements if element and element not in _CONTRARY]
            return f"{name}=" + ",".join([wanted_value, *kept])
    return word


def _drop(words: list[str], absent: Sequence[str]) -> str:
    """Join words and the white space between them, without `absent` and the space before each."""
    while any(word in absent for word in words):
        index = next(index for index, word in enumerate(words) if word in absent)
        # Words stand at even places; the white space that goes is the one before, or at the
        # beginning the one behind.
        first = max(index - 1, 0)
        del words[first : first + 2]
    return "".join(words)


def _in_effect(argument: tuple[str, str], files: Sequence[Sequence[_Assignment]]) -> bool:
    name, value = argument
    words: dict[str, list[str]] = {BOTH: [], DEFAULT: []}
    for assignments in files:
        for each in assignments:
            before = [] if each.quote == "'" else _self_references(each.value)
            inherited = [word for source in before for word in words[source]]
            words[each.name] = inherited + each.value.split()
    present = [word.partition("=") for word in words[BOTH] + words[DEFAULT]]
    return any(found == name and value in given.split(",") for found, _, given in present)


def _self_references(value: str) -> list[str]:
    return [match[0].strip("${}") for match in _SELF.finditer(value)]


def _last_with_default(files: Sequence[FileText], texts: Sequence[str]) -> int:
    having = [
        index
        for index, (each, text) in enumerate(zip(files, texts))
        if any(found.name == DEFAULT for found in _assignments(each.path, text))
    ]
    if having:
        return having[-1]
    return next((index for index, each in enumerate(files) if each.path == GRUB), 0)


def _append(path: str, text: str, missing: Sequence[tuple[str, str]]) -> str:
    added = " ".join(f"{name}={value}" for name, value in missing)
    places = [each for each in _assignments(path, text) if each.name == DEFAULT]
    if not places:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f'{text}{line_end}{DEFAULT}="{added}"\n'
    last = places[-1]
    space = " " if last.value and not last.value.endswith((" ", "\t")) else ""
    value = last.value + space + added
    if not last.quote and " " in value:
        value = f'"{value}"'
    return text[: last.start] + value + text[last.end :]
