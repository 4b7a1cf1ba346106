"""Kernel arguments: the requested ones are merged into a command line, whatever loader keeps it.

Words keep their order, their quoting and the white space between them. Source: linux,
Documentation/admin-guide/kernel-parameters.rst (quoting, `--`) and kernel-parameters.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Callable

from wholecard.core.record import dataclass


@dataclass(frozen=True)
class KernelArgs:
    """Arguments that the command line must have and those that it must not have.

    `present` are names and elements of the comma lists behind them: `("intel_iommu", "on")` is in
    `intel_iommu=on,sm_on`. `absent` are whole words. `groups` are words that must follow each
    other in this order, with no other word of their names: `hugepagesz=1G hugepages=8`.
    """

    present: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments that the command line must have, a word each."""
        named = (f"{name}={value}" for name, value in self.present)
        return (*named, *(word for group in self.groups for word in group))

    @property
    def reason(self) -> str:
        """Why a file or an entry changes."""
        return f"The kernel gets these arguments: {self}."

    def __str__(self) -> str:
        return " ".join(self.words)


# linux: Documentation/admin-guide/kernel-parameters.txt, intel_iommu, iommu and amd_iommu.
ARGUMENTS = {
    "vt-d": KernelArgs((("intel_iommu", "on"), ("iommu", "pt"))),
    "amd-vi": KernelArgs((("iommu", "pt"),), ("amd_iommu=off",)),
}

# Elements of these arguments' comma lists that contradict a requested one.
_CONTRARY = frozenset({"on", "off", "pt", "nopt"})

# A word may have white space in double quotes: dyndbg="file a.c +p".
_PIECE = re.compile(r"""\s+|(?:"[^"]*"?|[^\s"])+""")

# What follows this word is for init and not for the kernel.
_END = "--"


def words(text: str) -> list[str]:
    """The words of a command line."""
    return [piece for piece in _PIECE.findall(text) if not piece.isspace()]


def for_kernel(present: Sequence[str]) -> list[str]:
    """Those of the words that the kernel reads: what is behind `--` is for init."""
    return list(present[: present.index(_END)] if _END in present else present)


def exchanged(present: Sequence[str], kernel_args: KernelArgs) -> tuple[list[str], list[str]]:
    """Which of the words `present` must go, and which are to be added, in their order."""
    unwanted: list[str] = []
    kept: list[str] = []
    added: list[str] = []
    for word in present:
        new = replace(word, kernel_args)
        if new == word:
            kept.append(word)
        else:
            unwanted.append(word)
            added += [new] if new else []
    for group in kernel_args.groups:
        if group_words(kept, group) != list(group):
            unwanted += group_words(kept, group)
            kept = words(drop_group(" ".join(kept), group))
    return unwanted, [*added, *missing([*kept, *added], kernel_args)]


def contrary_patterns(kernel_args: KernelArgs) -> list[str]:
    """Words that contradict the requested arguments, with `*` for any value.

    For a command line that is not known; values in a list with others are not among them.
    """
    patterns = list(kernel_args.absent)
    for name, value in kernel_args.present:
        patterns += [f"{name}={contrary}" for contrary in sorted(_CONTRARY - {value})]
    names = dict.fromkeys(name_of(word) for group in kernel_args.groups for word in group)
    return [*patterns, *(f"{name}=*" for name in names)]


def name_of(word: str) -> str:
    """A word's name: `iommu` of `iommu=pt`."""
    return word.partition("=")[0]


def merge(lines: Sequence[str], kernel_args: KernelArgs) -> list[str]:
    """Lines that together make one command line, changed so that it has the requested arguments.

    An argument is changed in place; a missing one is appended to the last line. Merging twice
    changes nothing more. `lines` has at least one line.
    """
    changed = [replace(line, kernel_args) for line in lines]
    for group in kernel_args.groups:
        changed = _with_group(changed, group)
    present = [word for line in changed for word in words(line)]
    changed[-1] = append(changed[-1], missing(present, kernel_args))
    return changed


def replace(text: str, kernel_args: KernelArgs) -> str:
    """The text with contrary values changed in place and unwanted words removed."""
    pieces = [_replaced(piece, kernel_args) for piece in _PIECE.findall(text)]
    return _without(pieces, lambda word: word in kernel_args.absent)


def missing(present: Sequence[str], kernel_args: KernelArgs) -> list[str]:
    """The requested arguments that are not among the words `present`, as words to append."""
    pairs = [word.partition("=") for word in present]
    missing_words = [
        f"{name}={value}"
        for name, value in kernel_args.present
        if not any(has_name == name and value in values.split(",") for has_name, _, values in pairs)
    ]
    for group in kernel_args.groups:
        if group_words(present, group) != list(group):
            missing_words += group
    return missing_words


def append(text: str, added: Sequence[str]) -> str:
    """The text with words behind its last one, but before `--`."""
    if not added:
        return text
    pieces = _PIECE.findall(text)
    if _END in pieces:
        position = pieces.index(_END)
        return "".join([*pieces[:position], " ".join(added), " ", *pieces[position:]])
    body = text.rstrip("\r\n")
    space = " " if body and not body.endswith((" ", "\t")) else ""
    return body + space + " ".join(added) + text[len(body) :]


def group_words(present: Iterable[str], group: Sequence[str]) -> list[str]:
    """The words among `present` whose names are those of `group`."""
    names = {name_of(word) for word in group}
    return [word for word in present if name_of(word) in names]


def set_group(text: str, group: Sequence[str]) -> str:
    """The text with `group` in place of its first word; a text without any stays the same."""
    group_own = group_words(words(text), group)
    if not group_own or group_own == list(group):
        return text
    pieces = _PIECE.findall(text)
    pieces[pieces.index(group_own[0])] = " ".join(group)
    return _without(pieces, lambda word: word in group_own)


def drop_group(text: str, group: Sequence[str]) -> str:
    """The text without any word of the group's names."""
    group_own = group_words(words(text), group)
    return _without(_PIECE.findall(text), lambda word: word in group_own)


def _with_group(lines: Sequence[str], group: Sequence[str]) -> list[str]:
    present = [word for line in lines for word in words(line)]
    if group_words(present, group) == list(group):
        return list(lines)
    holders = [line for line in lines if group_words(words(line), group)]
    if len(holders) == 1:
        return [set_group(line, group) for line in lines]
    return [drop_group(line, group) for line in lines]


def _replaced(word: str, kernel_args: KernelArgs) -> str:
    name, equals, value = word.partition("=")
    requested = dict(kernel_args.present).get(name) if equals else None
    if requested is None:
        return word
    elements = value.split(",")
    if requested in elements and not _CONTRARY & {*elements} - {requested}:
        return word
    kept = [element for element in elements if element and element not in _CONTRARY]
    return f"{name}=" + ",".join([requested, *kept])


def _without(pieces: list[str], unwanted: Callable[[str], bool]) -> str:
    """Join words and the white space between them, without words and the space before each."""
    kept = list(pieces)
    while any(unwanted(word) for word in kept):
        position = next(position for position, word in enumerate(kept) if unwanted(word))
        # At the beginning there is no space before the word: the one behind goes.
        first = position - 1 if position and kept[position - 1].isspace() else position
        del kept[first : first + 2]
    return "".join(kept)
