"""Kernel arguments: what is wanted is merged into what is there, whichever loader keeps it.

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
    """Arguments to be there and arguments to be gone.

    `present` are names and elements of the comma lists behind them: `("intel_iommu", "on")` is
    there in `intel_iommu=on,sm_on`. `absent` are whole words. `groups` are words that stand
    together in this order while no other word of their names stands: `hugepagesz=1G hugepages=8`.
    """

    present: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        return " ".join(
            [*(f"{name}={value}" for name, value in self.present)]
            + [word for group in self.groups for word in group]
        )


# linux: Documentation/admin-guide/kernel-parameters.txt, intel_iommu, iommu and amd_iommu.
ARGUMENTS = {
    "vt-d": KernelArgs((("intel_iommu", "on"), ("iommu", "pt"))),
    "amd-vi": KernelArgs((("iommu", "pt"),), ("amd_iommu=off",)),
}

# Elements of these arguments' comma lists that contradict what is wanted.
_CONTRARY = frozenset({"on", "off", "pt", "nopt"})

# A word may have white space in double quotes: dyndbg="file a.c +p".
_PIECE = re.compile(r"""\s+|(?:"[^"]*"?|[^\s"])+""")

# What stands behind this word is init's and not the kernel's.
_END = "--"


def words(text: str) -> list[str]:
    """The words of a command line."""
    return [piece for piece in _PIECE.findall(text) if not piece.isspace()]


def name_of(word: str) -> str:
    """A word's name: `iommu` of `iommu=pt`."""
    return word.partition("=")[0]


def merge(lines: Sequence[str], wanted: KernelArgs) -> list[str]:
    """Lines that together make one command line, changed so that it has what is wanted.

    An argument is changed where it stands; what is missing is appended to the last line. Merging
    twice changes nothing more. `lines` has at least one line.
    """
    changed = [replace(line, wanted) for line in lines]
    for group in wanted.groups:
        changed = _with_group(changed, group)
    standing = [word for line in changed for word in words(line)]
    changed[-1] = append(changed[-1], missing(standing, wanted))
    return changed


def replace(text: str, wanted: KernelArgs) -> str:
    """The text with contrary values changed where they stand and unwanted words gone."""
    pieces = [_replaced(piece, wanted) for piece in _PIECE.findall(text)]
    return _without(pieces, lambda word: word in wanted.absent)


def missing(standing: Sequence[str], wanted: KernelArgs) -> list[str]:
    """What of `wanted` is not among the words `standing`, as words to be appended."""
    given = [word.partition("=") for word in standing]
    absent = [
        f"{name}={value}"
        for name, value in wanted.present
        if not any(found == name and value in has.split(",") for found, _, has in given)
    ]
    for group in wanted.groups:
        if of_group(standing, group) != list(group):
            absent += group
    return absent


def append(text: str, added: Sequence[str]) -> str:
    """The text with words behind its last one, but before `--`."""
    if not added:
        return text
    pieces = _PIECE.findall(text)
    if _END in pieces:
        place = pieces.index(_END)
        return "".join([*pieces[:place], " ".join(added), " ", *pieces[place:]])
    body = text.rstrip("\r\n")
    space = " " if body and not body.endswith((" ", "\t")) else ""
    return body + space + " ".join(added) + text[len(body) :]


def of_group(standing: Iterable[str], group: Sequence[str]) -> list[str]:
    """The words among `standing` whose names are those of `group`."""
    names = {name_of(word) for word in group}
    return [word for word in standing if name_of(word) in names]


def set_group(text: str, group: Sequence[str]) -> str:
    """The text with `group` where its first word stood; without any such word it stays."""
    found = of_group(words(text), group)
    if not found or found == list(group):
        return text
    pieces = _PIECE.findall(text)
    pieces[pieces.index(found[0])] = " ".join(group)
    return _without(pieces, lambda word: word in found)


def drop_group(text: str, group: Sequence[str]) -> str:
    """The text without any word of the group's names."""
    found = of_group(words(text), group)
    return _without(_PIECE.findall(text), lambda word: word in found)


def _with_group(lines: Sequence[str], group: Sequence[str]) -> list[str]:
    standing = [word for line in lines for word in words(line)]
    if of_group(standing, group) == list(group):
        return list(lines)
    holders = [line for line in lines if of_group(words(line), group)]
    if len(holders) == 1:
        return [set_group(line, group) for line in lines]
    return [drop_group(line, group) for line in lines]


def _replaced(word: str, wanted: KernelArgs) -> str:
    name, equals, value = word.partition("=")
    for wanted_name, wanted_value in wanted.present:
        if equals and name == wanted_name:
            elements = value.split(",")
            if wanted_value in elements and not _CONTRARY & {*elements} - {wanted_value}:
                return word
            kept = [element for element in elements if element and element not in _CONTRARY]
            return f"{name}=" + ",".join([wanted_value, *kept])
    return word


def _without(pieces: list[str], unwanted: Callable[[str], bool]) -> str:
    """Join words and the white space between them, without words and the space before each."""
    kept = list(pieces)
    while any(unwanted(word) for word in kept):
        place = next(place for place, word in enumerate(kept) if unwanted(word))
        # At the beginning the white space behind goes instead of the one before.
        first = place - 1 if place and kept[place - 1].isspace() else place
        del kept[first : first + 2]
    return "".join(kept)
