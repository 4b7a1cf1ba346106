"""Boot loader entries: what GRUB's blscfg gives to the kernel from /boot/loader/entries.

Source: the Boot Loader Specification, "Type #1"; EL's grub2 expands `$kernelopts` and other names
in `options` from /boot/grub2/grubenv, and boots `saved_entry`, else the newest.
"""

from __future__ import annotations

import re

from wholecard.host.config_files import ENTRIES, GRUBENV, FileText, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.host.bootloaders.registry import BootState

_OPTIONS = re.compile(r"^options[ \t]+(.*?)[ \t]*$", re.MULTILINE)
_ENABLED = re.compile(r"""^\s*(?:export\s+)?GRUB_ENABLE_BLSCFG=["']?(\w+)["']?""", re.MULTILINE)
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


def enabled(settings: Settings) -> bool | None:
    """Whether grub2-mkconfig leaves the menu to entries (GRUB_ENABLE_BLSCFG); None if not set."""
    values = [value for file in settings.grub for value in _ENABLED.findall(file.text or "")]
    return values[-1] == "true" if values else None


def configured_command_line(state: BootState) -> str | None:
    """The default entry's arguments; None where the entries cannot be read."""
    entry = default_entry(state.settings)
    return None if entry is None else options(state.settings, entry)


def options(settings: Settings, entry: FileText) -> str:
    """An entry's arguments with the environment block's variables put in."""
    variables = environment(settings)
    text = " ".join(_OPTIONS.findall(entry.text or ""))
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)


def uses_environment(entry: FileText) -> bool:
    """Whether the entry's arguments are those of `kernelopts` in the environment block."""
    return "$kernelopts" in " ".join(_OPTIONS.findall(entry.text or "")).split()


def environment(settings: Settings) -> dict[str, str]:
    """The variables of GRUB's environment block."""
    lines = (settings.file(GRUBENV).text or "").splitlines()
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def default_entry(settings: Settings) -> FileText | None:
    """The entry that boots next; None where none can be read."""
    entries = sorted(settings.entries, key=lambda entry: _version(entry.path), reverse=True)
    saved = environment(settings).get("saved_entry", "")
    if saved.isdigit() and int(saved) < len(entries):
        return entries[int(saved)]
    for entry in entries:
        if entry.path == f"/{ENTRIES}/{saved}.conf" or f"\ntitle {saved}\n" in f"\n{entry.text}":
            return entry
    return entries[0] if entries else None


def _version(path: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers compare as numbers; a rescue entry (`-0-rescue`) comes before every version."""
    parts = re.findall(r"[0-9]+|[a-z]+", path.rpartition("/")[2].partition("-")[2].lower())
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
