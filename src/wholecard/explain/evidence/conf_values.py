"""Options of nova and Placement in a service's files, with where they stand."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.releases import Release
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.conf.service_conf import NovaConf, as_boolean, split_list
from wholecard.nova.lint.option_spelling import option_meant
from wholecard.nova.options import OPTIONS, Option, Spelling

_BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class Setting:
    """A value as nova reads it, and its place as `file:line`."""

    text: str
    where: str


def settings(conf: NovaConf, name: str, release: Release) -> tuple[Setting, ...]:
    """What the files give for one of `OPTIONS`, by the option's newest name; empty where unset."""
    entries = conf.effective(_BY_NAME[name], release.nova).entries
    return tuple(_setting(conf, entry) for entry in entries)


def spelled(name: str, release: Release) -> Spelling:
    """The option's right name in that release, its newest where the release has none."""
    option = _BY_NAME[name]
    return option.spelling(release.nova) or option.spellings[0]


def misnamed(conf: NovaConf, name: str, release: Release) -> str:
    """Where the option stands under a name that this release does not read, for a sentence."""
    for spelling in _BY_NAME[name].spellings:
        found = conf.find(spelling.section, spelling.name)
        if found and spelling.state(release.nova) in ("not-yet", "gone"):
            where = f"{found[0].path}:{found[0].line}"
            return f" {where} has {spelling}, which nova {release} does not read."
    # A name, or a name and a section, that no release has, as lint takes them (WC213, WC214).
    for entry in conf.entries:
        if option_meant(entry) == _BY_NAME[name]:
            said = f"[{entry.section}] {entry.name}"
            return f" {entry.path}:{entry.line} has {said}, which nova does not read."
    return ""


def boolean(conf: NovaConf, name: str, release: Release) -> tuple[bool, str]:
    """A truth value of `OPTIONS`, False where unset, and where it stands."""
    found = settings(conf, name, release)
    if not found:
        return False, f"{files(conf)}: not set"
    return bool(as_boolean(found[-1].text)), found[-1].where


def items(conf: NovaConf, name: str, release: Release) -> tuple[tuple[str, ...], str] | None:
    """A list of `OPTIONS` and where it stands; None where it is unset."""
    found = settings(conf, name, release)
    return (split_list(found[-1].text), found[-1].where) if found else None


def other(conf: NovaConf, section: str, name: str) -> Setting | None:
    """An option that is not about cards; the last value wins. None where it is unset."""
    found = conf.find(section, name)
    return _setting(conf, found[-1]) if found else None


def files(conf: NovaConf) -> str:
    """The files' names, for what they do not say."""
    return ", ".join(file.path for file in conf.files) or "no file"


def _setting(conf: NovaConf, entry: ConfEntry) -> Setting:
    return Setting(conf.substituted(entry).text, f"{entry.path}:{entry.line}")
