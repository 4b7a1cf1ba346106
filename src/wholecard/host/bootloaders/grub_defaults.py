"""The kernel's command line through GRUB's settings (Debian, Ubuntu).

Source: GRUB manual, "Simple configuration handling": `/etc/default/grub` and then
`/etc/default/grub.d/*.cfg` are sourced by grub-mkconfig as shell; the command line is
GRUB_CMDLINE_LINUX followed by GRUB_CMDLINE_LINUX_DEFAULT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Callable

from wholecard.core import WholecardError
from wholecard.core.record import dataclass
from wholecard.host.config_files import GRUB, FileText, Settings
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs

BOTH = "GRUB_CMDLINE_LINUX"
DEFAULT = "GRUB_CMDLINE_LINUX_DEFAULT"

_MENTION = re.compile(r"^(?P<before>[^#\n]*?)\b(?P<name>GRUB_CMDLINE_LINUX(?:_DEFAULT)?)\+?=", re.M)
_VALUE = re.compile(
    r"""(?P<quote>["']?)(?P<text>[^"'\n]*)(?P=quote)(?=[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))"""
)
_SELF = re.compile(r"\$(?:GRUB_CMDLINE_LINUX(?:_DEFAULT)?\b|\{GRUB_CMDLINE_LINUX(?:_DEFAULT)?\})")


@dataclass(frozen=True)
class _Assignment:
    """Where a value stands in its file's text, without quotes: `text[start:end]`."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def edit(files: Sequence[FileText], wanted: KernelArgs) -> tuple[FileText, ...]:
    """The files that change, with their new texts; every other byte stays as it is.

    `files` stand in the order in which they are sourced and have texts. An argument is changed
    where it stands, in each place; one that is nowhere in effect is appended to the last
    assignment of GRUB_CMDLINE_LINUX_DEFAULT. Editing twice changes nothing more.

    Raises WholecardError for an assignment that is not one plain value on one line.
    """
    texts = [
        _in_each(each.path, each.text or "", partial(command_line.replace, wanted=wanted))
        for each in files
    ]
    for group in wanted.groups:
        texts = _with_group(files, texts, group)
    missing = command_line.missing(_effective(files, texts), wanted)
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


def _in_each(path: str, text: str, change: Callable[[str], str]) -> str:
    """The text with each assignment's value changed."""
    for each in reversed(_assignments(path, text)):
        text = text[: each.start] + _quoted(each, change(each.value)) + text[each.end :]
    return text


def _quoted(assignment: _Assignment, value: str) -> str:
    return f'"{value}"' if not assignment.quote and " " in value else value


def _with_group(files: Sequence[FileText], texts: Sequence[str], group: Sequence[str]) -> list[str]:
    """The group in place where one assignment has it; where several have, in none."""
    if command_line.of_group(_effective(files, texts), group) == list(group):
        return list(texts)
    holders = [
        each
        for file, text in zip(files, texts)
        for each in _assignments(file.path, text)
        if command_line.of_group(command_line.words(each.value), group)
    ]
    change = command_line.set_group if len(holders) == 1 else command_line.drop_group
    return [
        _in_each(file.path, text, partial(change, group=group)) for file, text in zip(files, texts)
    ]


def _effective(files: Sequence[FileText], texts: Sequence[str]) -> list[str]:
    """The words that grub-mkconfig gives to the kernel, in their order."""
    words: dict[str, list[str]] = {BOTH: [], DEFAULT: []}
    for file, text in zip(files, texts):
        for each in _assignments(file.path, text):
            before = [] if each.quote == "'" else _self_references(each.value)
            inherited = [word for source in before for word in words[source]]
            own = _SELF.sub("", each.value) if before else each.value
            words[each.name] = inherited + command_line.words(own)
    return words[BOTH] + words[DEFAULT]


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


def _append(path: str, text: str, missing: Sequence[str]) -> str:
    places = [each for each in _assignments(path, text) if each.name == DEFAULT]
    if not places:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f'{text}{line_end}{DEFAULT}="{" ".join(missing)}"\n'
    last = places[-1]
    value = _quoted(last, command_line.append(last.value, missing))
    return text[: last.start] + value + text[last.end :]


def configured_command_line(settings: Settings) -> str | None:
    """What the settings give to the kernel, None where they are not plain values.

    `root=` and what grub-mkconfig adds itself is not among it.
    """
    try:
        return " ".join(_effective(settings.grub, [each.text or "" for each in settings.grub]))
    except WholecardError:
        return None
