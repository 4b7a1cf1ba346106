"""Options of nova and Placement in a service's files, with their positions."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.releases import Release
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.conf.service_conf import NovaConf, as_boolean, split_list
from wholecard.nova.lint.option_spelling import option_meant
from wholecard.nova.options import OPTIONS, Option, Spelling

_BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class ConfValue:
    """A value as nova reads it, and its position as `file:line`."""

    text: str
    position: str


def settings(conf: NovaConf, name: str, release: Release) -> tuple[ConfValue, ...]:
    """The values of one of `OPTIONS`, by the option's newest name; empty where it is not set."""
    entries = conf.effective(_BY_NAME[name], release.nova).entries
    return tuple(ConfValue(conf.substituted(entry).text, _position(entry)) for entry in entries)


def spelled(name: str, release: Release) -> Spelling:
    """The option's right name in that release, its newest where the release has none."""
    option = _BY_NAME[name]
    return option.spelling(release.nova) or option.spellings[0]


def misnamed(conf: NovaConf, name: str, release: Release) -> str:
    """A sentence about the option under a name that this release does not read; else empty."""
    for spelling in _BY_NAME[name].spellings:
        entries = conf.find(spelling.section, spelling.name)
        if entries and spelling.state(release.nova) in ("not-yet", "gone"):
            return f" {_position(entries[0])} has {spelling}, which nova {release} does not read."
    # A name, or a name and a section, that no release has, as lint takes them (WC213, WC214).
    for entry in conf.entries:
        if option_meant(entry) == _BY_NAME[name]:
            option = f"[{entry.section}] {entry.name}"
            return f" {_position(entry)} has {option}, which nova does not read."
    return ""


def boolean(conf: NovaConf, name: str, release: Release) -> tuple[bool, str]:
    """A boolean of `OPTIONS`, False where it is not set, and its position."""
    values = settings(conf, name, release)
    if not values:
        return False, f"{files(conf)}: not set"
    return bool(as_boolean(values[-1].text)), values[-1].position


def items(conf: NovaConf, name: str, release: Release) -> tuple[tuple[str, ...], str] | None:
    """A list of `OPTIONS` and its position; None where it is not set."""
    values = settings(conf, name, release)
    return (split_list(values[-1].text), values[-1].position) if values else None


def other(conf: NovaConf, section: str, name: str) -> ConfValue | None:
    """An option that is not about cards; the last value wins. None where it is not set."""
    entries = conf.find(section, name)
    if not entries:
        return None
    return ConfValue(conf.substituted(entries[-1]).text, _position(entries[-1]))


def files(conf: NovaConf) -> str:
    """The files' names, as the position of what they do not set."""
    return ", ".join(file.path for file in conf.files) or "no file"


def _position(entry: ConfEntry) -> str:
    return f"{entry.path}:{entry.line}"
