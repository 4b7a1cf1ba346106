"""The names of options: gone, old, not there yet, in another section, spelled wrong, unread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wholecard.nova.conf.conf_file import ConfEntry, normal
from wholecard.nova.desired.tuning import tuning
from wholecard.nova.lint.broken_values import broken, broken_lines
from wholecard.nova.lint.checks.ignored_options import objection, text_of
from wholecard.nova.lint.diagnostic import ERROR, WARNING, Diagnostic, TextEdit, cut, remark
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
    if state == "not-yet" and _came_by_a_fix(service, spelling):
        return
    right = option.spelling(service.major)
    is_alone = state != "right" and _is_alone(service, option)
    if state in ("gone", "not-yet"):
        fix, mend = _counting(service, entry, option, right)
        mend = mend if is_alone else ()
    else:
        mend = moved(entry, right) if is_alone else ()
    if state == "gone":
        yield remark(
            "WC210", ERROR, entry,
            f"nova reads {spelling} no longer since {series(spelling.gone or 0)}, and says nothing",
            fix or "Delete it.", mend,
        )  # fmt: skip
    elif state == "not-yet":
        yield remark(
            "WC212", ERROR, entry,
            f"nova knows {spelling} from {series(spelling.since)} on: {service.release} passes "
            "over it and says nothing",
            fix or "Delete it, or upgrade.", mend,
        )  # fmt: skip
    elif state == "deprecated":
        yield remark(
            "WC211", WARNING, entry,
            f"{spelling} is a deprecated name since {series(spelling.deprecated or 0)}",
            f"Write {right}." if right else "",
            mend,
        )  # fmt: skip
    if state in ("right", "deprecated") and not service.reads(option.name):
        readers = [role for role in sorted(option.roles) if option.is_read_by(role, service.major)]
        yield remark(
            "WC215", WARNING, entry,
            f"nova-{service.role} does not read {spelling}; {_list(readers)} "
            f"{'does' if len(readers) == 1 else 'do'}",
            f"Write it into the configuration of {_list(readers)}, and delete it here.",
        )  # fmt: skip


def _counting(
    service: Service, entry: ConfEntry, option: Option, right: Spelling | None
) -> tuple[str, tuple[TextEdit, ...]]:
    """What to do so that an option counts which nova passes over, and the mend if it is certain."""
    if right is None:
        return "", ()
    why = objection(service, option, right, text_of(entry))
    if not why:
        return f"Write {right}.", moved(entry, right)
    return f"Write {right} by hand, for then it begins to count: {cut(why, 300)}.", ()


def _came_by_a_fix(service: Service, spelling: Spelling) -> bool:
    """Whether a later version of this release may have it, as the tuning says."""
    if service.role not in (None, "placement"):
        return False
    settings = tuning("placement", service.major, 16, 16)
    return (spelling.section, spelling.name) in {(each.section, each.name) for each in settings}


def _is_alone(service: Service, option: Option) -> bool:
    """Whether one name of an option is used: with two, a new name changes which value counts."""
    used = [each for each in option.spellings if service.conf.find(each.section, each.name)]
    return len(used) == 1


def _list(roles: Sequence[str]) -> str:
    names = ["placement" if role == "placement" else f"nova-{role}" for role in roles]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _of_unknown(service: Service, entry: ConfEntry) -> Iterator[Diagnostic]:
    if section_meant(entry.section):
        # Said of the section.
        return
    option = BY_NAME.get(entry.name)
    if option and (entry.name not in COMMON or _is_near(entry)):
        right = option.spelling(service.major)
        if right is None or (right.section, right.name) == (entry.section, entry.name):
            return
        yield remark(
            "WC213", ERROR, entry,
            f"nova does not look for {entry.name} in [{cut(entry.section, 40)}], and says nothing",
            *_counting(service, entry, option, right),
        )  # fmt: skip
        return
    if option or entry.name in COMMON:
        return
    name = name_meant(entry)
    if name in COMMON and normal(entry.section) not in _sections(name):
        name = None
    if name is None:
        if normal(entry.section) == "pci" and is_card_object(entry):
            yield _of_nobody(service, entry)
        return
    option = BY_NAME[name]
    right = option.spelling(service.major)
    if right is not None:
        fix, mend = _counting(service, entry, option, right)
        yield remark("WC214", ERROR, entry, _NO_OPTION.format(entry.name), fix, mend)


_NO_OPTION = "nova has no option {}, and passes over it in silence"


def _of_nobody(service: Service, entry: ConfEntry) -> Diagnostic:
    """An option of no name that nova has, whose value is an object as those for cards."""
    name = "alias" if re.search("[\"']name[\"']", entry.value[:4096]) else "device_spec"
    right = BY_NAME[name].spelling(service.major)
    return remark("WC214", ERROR, entry, _NO_OPTION.format(entry.name), f"Write {right}.")


def _sections(name: str) -> set[str]:
    return {spelling.section for spelling in BY_NAME[name].spellings}


def _is_near(entry: ConfEntry) -> bool:
    """A name that others use too is in the wrong section only beside its own, or with its value."""
    is_beside = normal(entry.section) in ("DEFAULT", "filter_scheduler")
    return entry.name == "alias" and (is_beside or is_card_object(entry))


def check_both(service: Service) -> Iterator[Diagnostic]:
    """An option that stands there under its right name and under an old one."""
    for option in OPTIONS:
        entries = service.conf.effective(option, service.major).entries
        names = {(normal(each.section), each.name) for each in entries}
        right = option.spelling(service.major)
        if right is None:
            continue
        if option.kind == "multi":
            old = [e for e in entries if (normal(e.section), e.name) != (right.section, right.name)]
            if len(names) > 1 and old:
                yield remark(
                    "WC216", WARNING, old[0],
                    f"{right} is set as well: nova takes the values under the old name first, "
                    "wherever they stand in the file",
                    f"Write all of them as {right}, in the order in which they shall count.",
                )  # fmt: skip
            continue
        for spelling in option.spellings:
            if spelling.state(service.major) != "deprecated" or not entries:
                continue
            for entry in service.conf.find(spelling.section, spelling.name):
                if entry not in entries:
                    yield remark(
                        "WC216", WARNING, entry,
                        f"{right} is set as well, and is what nova takes",
                        "Delete this line.",
                    )  # fmt: skip
