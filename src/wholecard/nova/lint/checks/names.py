"""The names of options: removed, deprecated, too new, misplaced, misspelled, unread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from wholecard.core.units import joined
from wholecard.nova.conf.conf_file import ConfEntry, normal
from wholecard.nova.desired.tuning import tuning
from wholecard.nova.lint.broken_values import broken, broken_lines
from wholecard.nova.lint.checks.ignored_options import objection, text_of
from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit, cut, entry_diagnostic
from wholecard.nova.lint.option_spelling import (
    BY_NAME,
    COMMON,
    is_card_object,
    moved,
    name_meant,
    section_meant,
    series,
)
from wholecard.nova.lint.service import Service
from wholecard.nova.options import OPTIONS, Option, Spelling, find


def check_names(service: Service) -> Iterator[Diagnostic]:
    """Every option whose name is, or nearly is, one of ours."""
    above = broken_lines(broken(service))
    for entry in service.conf.entries:
        if above and (entry.path, entry.line) in above:
            continue
        known = find(normal(entry.section), entry.name)
        if known:
            yield from _of_known(service, entry, *known)
        else:
            yield from _of_unknown(service, entry)


def _of_known(
    service: Service, entry: ConfEntry, option: Option, spelling: Spelling
) -> Iterator[Diagnostic]:
    state = spelling.state(service.major)
    if state in ("gone", "not-yet"):
        if state == "gone" or not _may_be_backported(service, spelling):
            yield _ignored(service, entry, option, spelling)
        return
    if state == "deprecated":
        right = option.spelling(service.major)
        yield entry_diagnostic(
            "WC211", entry,
            f"{spelling} is a deprecated name since {series(spelling.deprecated or 0)}",
            f"Write {right}." if right else "",
            moved(entry, right) if _is_alone(service, option) else (),
        )  # fmt: skip
    if not service.reads(option.name):
        roles = [role for role in sorted(option.roles) if option.is_read_by(role, service.major)]
        readers, do = _services(roles), "does" if len(roles) == 1 else "do"
        yield entry_diagnostic(
            "WC215", entry,
            f"nova-{service.role} does not read {spelling}; {readers} {do}",
            f"Write it into the configuration of {readers}, and delete it here.",
        )  # fmt: skip


def _ignored(service: Service, entry: ConfEntry, option: Option, spelling: Spelling) -> Diagnostic:
    """An option under a name that this release no longer or not yet has."""
    fix, edits = _activation(service, entry, option, option.spelling(service.major))
    edits = edits if _is_alone(service, option) else ()
    if spelling.state(service.major) == "gone":
        return entry_diagnostic(
            "WC210", entry,
            f"nova does not read {spelling} since {series(spelling.gone or 0)}, and ignores it "
            "without a message",
            fix or "Delete it.", edits,
        )  # fmt: skip
    return entry_diagnostic(
        "WC212", entry,
        f"nova has {spelling} since {series(spelling.since)}: {service.release} ignores it without "
        "a message",
        fix or "Delete it, or upgrade.", edits,
    )  # fmt: skip


def _activation(
    service: Service, entry: ConfEntry, option: Option, right: Spelling | None
) -> tuple[str, tuple[TextEdit, ...]]:
    """What to do so that an ignored option counts, and the edits where they are certain."""
    if right is None:
        return "", ()
    why = objection(service, option, right, text_of(entry))
    if not why:
        return f"Write {right}.", moved(entry, right)
    return f"Write {right} by hand, because it then takes effect: {cut(why, 300)}.", ()


def _may_be_backported(service: Service, spelling: Spelling) -> bool:
    """Whether a later version of this release may have it, as the tuning says."""
    if service.role not in (None, "placement"):
        return False
    # Any number of cards that needs tuning.
    settings = tuning("placement", service.major, 16, 16)
    names = {(setting.section, setting.name) for setting in settings}
    return (spelling.section, spelling.name) in names


def _is_alone(service: Service, option: Option) -> bool:
    """Whether one name of an option is used: with two, a new name changes which value counts."""
    used = [name for name in option.spellings if service.conf.find(name.section, name.name)]
    return len(used) == 1


def _services(roles: Sequence[str]) -> str:
    return joined("placement" if role == "placement" else f"nova-{role}" for role in roles)


def _of_unknown(service: Service, entry: ConfEntry) -> Iterator[Diagnostic]:
    # A wrong section has a finding of its own, and its options get none.
    if section_meant(entry.section):
        return
    option = BY_NAME.get(entry.name)
    if option is None:
        yield from _misspelled(service, entry) if entry.name not in COMMON else ()
    elif entry.name not in COMMON or _is_near(entry):
        right = option.spelling(service.major)
        if right and (right.section, right.name) != (entry.section, entry.name):
            fix, edits = _activation(service, entry, option, right)
            yield entry_diagnostic(
                "WC213", entry,
                f"nova does not read {entry.name} in [{cut(entry.section, 40)}], and ignores it "
                "without a message",
                fix, edits,
            )  # fmt: skip


def _misspelled(service: Service, entry: ConfEntry) -> Iterator[Diagnostic]:
    name = name_meant(entry)
    if name in COMMON:
        sections = {spelling.section for spelling in BY_NAME[name].spellings}
        name = name if normal(entry.section) in sections else None
    if name is not None:
        option = BY_NAME[name]
        right = option.spelling(service.major)
        if right is not None:
            yield _no_option(entry, *_activation(service, entry, option, right))
    elif normal(entry.section) == "pci" and is_card_object(entry):
        # Its name is near to none, but its value is one for cards.
        is_alias = re.search("[\"']name[\"']", entry.value[:4096])
        option = BY_NAME["alias" if is_alias else "device_spec"]
        yield _no_option(entry, f"Write {option.spelling(service.major)}.")


def _no_option(entry: ConfEntry, fix: str, edits: Iterable[TextEdit] = ()) -> Diagnostic:
    message = f"nova has no option {entry.name}, and ignores it without a message"
    return entry_diagnostic("WC214", entry, message, fix, edits)


def _is_near(entry: ConfEntry) -> bool:
    """Whether a name that other sections have too is meant for cards, by section or value."""
    is_neighbor = normal(entry.section) in ("DEFAULT", "filter_scheduler")
    return entry.name == "alias" and (is_neighbor or is_card_object(entry))


def check_both(service: Service) -> Iterator[Diagnostic]:
    """An option that is set under its right name and under an old one."""
    for option in OPTIONS:
        right = option.spelling(service.major)
        if right is not None:
            several = option.kind == "multi"
            yield from (_both_count if several else _one_counts)(service, option, right)


def _both_count(service: Service, option: Option, right: Spelling) -> Iterator[Diagnostic]:
    """Of an option that may be repeated the values under both names count, in an odd order.

    oslo.config, cfg.py, `_Namespace._get_file_value`: it goes by names first, then by lines.
    """
    entries = service.conf.effective(option, service.major).entries
    old = [
        entry for entry in entries
        if (normal(entry.section), entry.name) != (right.section, right.name)
    ]  # fmt: skip
    if old and len({(normal(entry.section), entry.name) for entry in entries}) > 1:
        yield entry_diagnostic(
            "WC216", old[0],
            f"{right} is set as well: nova reads the values under the old name first, wherever "
            "they are in the file",
            f"Write all of them as {right}, in the order in which nova should use them.",
        )  # fmt: skip


def _one_counts(service: Service, option: Option, right: Spelling) -> Iterator[Diagnostic]:
    entries = service.conf.effective(option, service.major).entries
    for spelling in option.spellings if entries else ():
        is_old = spelling.state(service.major) == "deprecated"
        for entry in service.conf.find(spelling.section, spelling.name) if is_old else ():
            if entry not in entries:
                yield entry_diagnostic(
                    "WC216", entry,
                    f"{right} is set as well, and nova uses that one",
                    "Delete this line.",
                )  # fmt: skip
