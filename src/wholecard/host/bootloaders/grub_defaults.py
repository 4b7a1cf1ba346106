"""GRUB's settings as grub-mkconfig reads them, and a plain value in them changed in place.

Source: GRUB manual, "Simple configuration handling": grub-mkconfig sources `/etc/default/grub` as
shell, on Debian and its kin also `/etc/default/grub.d/*.cfg` (their patch default-grub-d); the
command line is GRUB_CMDLINE_LINUX followed by GRUB_CMDLINE_LINUX_DEFAULT. Shell that is more than
plain values is not read: `grub_own_part` adds arguments without knowing what is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Callable

from wholecard.core import WholecardError
from wholecard.core.record import dataclass
from wholecard.host.config_files import GRUB, FileText
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs

BOTH = "GRUB_CMDLINE_LINUX"
DEFAULT = "GRUB_CMDLINE_LINUX_DEFAULT"

_MENTION = re.compile(r"^(?P<before>[^#\n]*?)\b(?P<name>GRUB_CMDLINE_LINUX(?:_DEFAULT)?)\+?=", re.M)
_VALUE = re.compile(
    r"""(?P<quote>["']?)(?P<text>[^"'\n]*)(?P=quote)(?=(?:[ \t]+#[^\n]*|[ \t]*)(?:\r?\n|\Z))"""
)
# $X, ${X}, and ${X:+$X }, which is X and a space where X is not empty.
_SELF = re.compile(
    r"\$(?:GRUB_CMDLINE_LINUX(?:_DEFAULT)?\b|\{GRUB_CMDLINE_LINUX(?:_DEFAULT)?\}"
    r"|\{(?P<name>GRUB_CMDLINE_LINUX(?:_DEFAULT)?):\+\$(?P=name) \})"
)
_NAME = re.compile(r"GRUB_CMDLINE_LINUX(?:_DEFAULT)?")
# Ways to set a value that no assignment shows: ${X:=value}, and another file that is sourced.
_HIDDEN = re.compile(
    r"^(?!\s*#)[^\n]*\$\{GRUB_CMDLINE_LINUX(?:_DEFAULT)?:?="
    r"|^(?:(?!\s*#)[^\n]*(?:&&|\|\||;|then|do|\{))?[ \t]*(?:\.|source)[ \t]+\S",
    re.MULTILINE,
)


@dataclass(frozen=True)
class _Assignment:
    """A value and where it is in its file's text, without quotes: `text[start:end]`."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def edit(files: Sequence[FileText], kernel_args: KernelArgs) -> tuple[FileText, ...]:
    """The files that change, with their new texts; every other byte stays as it is.

    `files` are in the order in which they are sourced, and have texts. An argument is changed in
    every assignment that has it; one that is nowhere in effect is appended to the last assignment
    of GRUB_CMDLINE_LINUX_DEFAULT. Editing twice changes nothing more.

    Raises WholecardError for an assignment that is not one plain value on one line.
    """
    change = partial(command_line.replace, kernel_args=kernel_args)
    texts = [_with_values_changed(file.path, file.text or "", change) for file in files]
    for group in kernel_args.groups:
        texts = _with_group(files, texts, group)
    missing = command_line.missing(_effective(files, texts), kernel_args)
    if missing:
        index = _last_with_default(files, texts)
        texts[index] = _append(files[index].path, texts[index], missing)
    return tuple(
        FileText(file.path, text, file.mode)
        for file, text in zip(files, texts)
        if text != file.text
    )


def _assignments(path: str, text: str) -> list[_Assignment]:
    assignments = []
    hidden = _HIDDEN.search(text)
    if hidden:
        raise _not_plain("GRUB's settings", path, text, hidden.end())
    for mention in _MENTION.finditer(text):
        value = _VALUE.match(text, mention.end())
        plain = mention["before"] in ("", "export ") and not mention[0].endswith("+=")
        if not plain or value is None or not _is_literal(value["quote"], value["text"]):
            raise _not_plain(mention["name"], path, text, mention.start("name"))
        assignments.append(
            _Assignment(mention["name"], *value.span("text"), value["quote"], value["text"])
        )
    return assignments


def _not_plain(what: str, path: str, text: str, position: int) -> WholecardError:
    line = text.count("\n", 0, position) + 1
    return WholecardError(
        f"cannot edit {what} in {path}, line {line}",
        text.split("\n")[line - 1].strip(),
        "Write it as one plain value in quotes on a line of its own, or add the kernel "
        "arguments to it by hand.",
    )


def _is_literal(quote: str, value: str) -> bool:
    """Whether the shell takes the value as it is written, but for earlier values of itself."""
    if quote == "'":
        return True
    if not quote and re.search(r"[\s;&|<>()*?~]", value):
        return False
    rest = _SELF.sub("", value) if quote else value
    return not re.search(r"[$`\\]", rest)


def _with_values_changed(path: str, text: str, change: Callable[[str], str]) -> str:
    # From the last, so that the positions of those before it stay right.
    for assignment in reversed(_assignments(path, text)):
        text = _with_value(text, assignment, change(assignment.value))
    return text


def _with_value(text: str, assignment: _Assignment, value: str) -> str:
    quoted = f'"{value}"' if not assignment.quote and " " in value else value
    return text[: assignment.start] + quoted + text[assignment.end :]


def _with_group(files: Sequence[FileText], texts: Sequence[str], group: Sequence[str]) -> list[str]:
    """The group changed in the one assignment that has words of it; taken out of several."""
    if command_line.group_words(_effective(files, texts), group) == list(group):
        return list(texts)
    holders = [
        assignment
        for file, text in zip(files, texts)
        for assignment in _assignments(file.path, text)
        if command_line.group_words(command_line.words(assignment.value), group)
    ]
    edit_group = command_line.set_group if len(holders) == 1 else command_line.drop_group
    change = partial(edit_group, group=group)
    return [_with_values_changed(file.path, text, change) for file, text in zip(files, texts)]


def _effective(files: Sequence[FileText], texts: Sequence[str]) -> list[str]:
    """The words that grub-mkconfig gives to the kernel, in their order."""
    words: dict[str, list[str]] = {BOTH: [], DEFAULT: []}
    for file, text in zip(files, texts):
        for assignment in _assignments(file.path, text):
            value = assignment.value
            # In single quotes the shell puts no variable's value in.
            selves = [] if assignment.quote == "'" else _SELF.finditer(value)
            before = [match[0] for own in selves for match in [_NAME.search(own[0])] if match]
            inherited = [word for name in before for word in words[name]]
            own = _SELF.sub("", value) if before else value
            words[assignment.name] = inherited + command_line.words(own)
    return words[BOTH] + words[DEFAULT]


def _last_with_default(files: Sequence[FileText], texts: Sequence[str]) -> int:
    with_default = [
        index
        for index, (file, text) in enumerate(zip(files, texts))
        if any(assignment.name == DEFAULT for assignment in _assignments(file.path, text))
    ]
    if with_default:
        return with_default[-1]
    return next((index for index, file in enumerate(files) if file.path == GRUB), 0)


def _append(path: str, text: str, missing: Sequence[str]) -> str:
    defaults = [value for value in _assignments(path, text) if value.name == DEFAULT]
    if not defaults:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f'{text}{line_end}{DEFAULT}="{" ".join(missing)}"\n'
    return _with_value(text, defaults[-1], command_line.append(defaults[-1].value, missing))


def set_words(files: Sequence[FileText]) -> list[str] | None:
    """The words that these files, in their order, give to the kernel; with `--`, if it is there.

    None where they are not plain values. `root=` and what grub-mkconfig adds is not among them.
    """
    try:
        return _effective(files, [file.text or "" for file in files])
    except WholecardError:
        return None
