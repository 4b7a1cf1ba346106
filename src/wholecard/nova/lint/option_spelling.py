"""What a wrong name of an option or a section means, and the edits that give it the right one."""

from __future__ import annotations

from wholecard.core.near_names import NearNames
from wholecard.core.releases import RELEASES
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile, normal
from wholecard.nova.lint.diagnostic import TextEdit
from wholecard.nova.options import OPTIONS, Option, Spelling, find

BY_NAME: dict[str, Option] = {
    spelling.name: option for option in OPTIONS for spelling in option.spellings
}
_NEAR = NearNames(BY_NAME)
# What people write instead of an option, where letters alone do not tell.
_MEANT = {
    "aliases": "alias", "pci_aliases": "alias", "whitelist": "device_spec",
    "pci_whitelist": "device_spec", "whitelists": "device_spec", "devices": "device_spec",
    "pci_devices": "device_spec", "passthrough_devices": "device_spec",
    "passthrough_list": "device_spec", "pci_passthrough_devices": "device_spec",
    "scheduler_enabled_filters": "enabled_filters",
}  # fmt: skip
# Names that other sections of nova have too, with a meaning of their own.
COMMON = frozenset({"max_attempts", *(name for name in BY_NAME if "_" not in name)})

_SECTIONS = frozenset(spelling.section for option in OPTIONS for spelling in option.spellings)
_NEAR_SECTIONS = NearNames(_SECTIONS)


def section_meant(name: str) -> str | None:
    """The section that a wrong name most probably means; None where it is right or far from any."""
    return None if normal(name) in _SECTIONS else _NEAR_SECTIONS.near(name)


def series(major: int) -> str:
    """The series of a nova version, as 2025.2."""
    return next((release.series for release in RELEASES if release.nova == major), str(major))


def name_meant(entry: ConfEntry) -> str | None:
    """The option's name that a wrong one means, None where it may be another service's."""
    meant = _MEANT.get(entry.name) if normal(entry.section) in ("pci", "DEFAULT") else None
    # Up to Newton the names began with pci_ (nova/conf/pci.py).
    return meant or _NEAR.near(entry.name) or _NEAR.near(entry.name.removeprefix("pci_"))


def option_meant(entry: ConfEntry) -> Option | None:
    """The option that an entry means whose name and section nova never had.

    None where nova had them, and where it may be another service's: a name that others have too is
    an option for cards only with the value of a card.
    """
    if find(normal(entry.section), entry.name):
        return None
    name = entry.name if entry.name in BY_NAME else name_meant(entry)
    if name is None or (name in COMMON and not is_card_object(entry)):
        return None
    return BY_NAME[name]


def is_card_object(entry: ConfEntry) -> bool:
    """Whether a value is an object, or a list of them, as for cards: whatever its option's name."""
    value = entry.value[:4096]
    return value.lstrip()[:1] in ("{", "[") and any(
        f"{key}{quote}" in value
        for key in ("vendor_id", "product_id", "address")
        for quote in "\"'"
    )


def is_ours(entry: ConfEntry) -> bool:
    """Whether an entry's name is, or is near to, one of our options, so that it can be shown."""
    return entry.name in BY_NAME or name_meant(entry) is not None


def moved(entry: ConfEntry, right: Spelling | None) -> tuple[TextEdit, ...]:
    """The edits that give an entry its right name, and move it to its right section."""
    if right is None:
        return ()
    file, start = entry.file, entry.file.line_starts[entry.line - 1]
    begin = start + (1 if entry.line == 1 and file.text.startswith("\ufeff") else 0)
    if normal(entry.section) == right.section:
        return (TextEdit(file, begin, begin + len(entry.name), right.name),)
    last = entry.line - 1 + entry.count
    end = file.line_starts[last] if last < len(file.line_starts) else len(file.text)
    lines = file.text[begin + len(entry.name) : end]
    target = section_end(file, right.section)
    offset, text = target or (len(file.text), f"{NEW_SECTION}{right.section}]\n")
    line = f"{text}{right.name}{lines}" + ("" if lines.endswith(("\n", "\r")) else "\n")
    return TextEdit(file, begin, end, ""), TextEdit(file, offset, offset, line)


# How a text begins that adds a section at the end of a file.
NEW_SECTION = "\n["


def section_end(file: ConfFile, section: str) -> tuple[int, str] | None:
    """The offset at which a line can be added to a section: behind its last entry or its header.

    With the text that has to come before it; None where the file has no such section.
    """
    last = file.section_ends.get(normal(section))
    if last is None:
        return None
    if last < len(file.line_starts):
        return file.line_starts[last], ""
    return len(file.text), "\n"
