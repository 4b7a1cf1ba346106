"""The names of options: gone, old, not there yet, in another section, spelled wrong, unread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.nova.conf_file import ConfFile, Entry, normal
from wholecard.nova.lint.remark import ERROR, WARNING, Edit, Remark, cut, remark
from wholecard.nova.lint.service import Service
from wholecard.nova.names import Names
from wholecard.nova.options import OPTIONS, Option, Spelling, find
from wholecard.nova.tuning import tuning
from wholecard.site.releases import RELEASES

_BY_NAME: dict[str, Option] = {
    spelling.name: option for option in OPTIONS for spelling in option.spellings
}
_NEAR = Names(_BY_NAME)
# Names that other sections of nova have too, with a meaning of their own.
_COMMON = frozenset({"max_attempts", *(name for name in _BY_NAME if "_" not in name)})


_SECTIONS = frozenset(spelling.section for option in OPTIONS for spelling in option.spellings)
_NEAR_SECTIONS = Names(_SECTIONS)


def section_meant(name: str) -> str | None:
    """The section that a wrong name means most probably, None for one that is right or far."""
    return None if normal(name) in _SECTIONS else _NEAR_SECTIONS.near(name)


def series(major: int) -> str:
    """A nova version as its release is called."""
    return next((each.series for each in RELEASES if each.nova == major), str(major))


def check_names(service: Service) -> Iterator[Remark]:
    """Every option whose name is, or nearly is, one of ours."""
    for entry in service.conf.entries:
        known = find(normal(entry.section), entry.name)
        if known:
            yield from _of_known(service, entry, *known)
        else:
            yield from _of_unknown(service, entry)


def _of_known(
    service: Service, entry: Entry, option: Option, spelling: Spelling
) -> Iterator[Remark]:
    state = spelling.state(service.major)
    if state == "not-yet" and _came_by_a_fix(service, spelling):
        return
    right = option.spelling(service.major)
    mend = _moved(entry, right) if state != "right" and _is_alone(service, option) else ()
    if state == "gone":
        yield remark(
            "WC210", ERROR, entry,
            f"nova reads {spelling} no longer since {series(spelling.gone or 0)}, and says nothing",
            f"Write {right}." if right else "Delete it.",
            mend,
        )  # fmt: skip
    elif state == "not-yet":
        yield remark(
            "WC212", ERROR, entry,
            f"nova knows {spelling} from {series(spelling.since)} on: {service.release} passes "
            "over it and says nothing",
            f"Write {right}." if right else "Delete it, or upgrade.",
            mend,
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


def _of_unknown(service: Service, entry: Entry) -> Iterator[Remark]:
    if section_meant(entry.section):
        # Said of the section.
        return
    option = _BY_NAME.get(entry.name)
    if option and (entry.name not in _COMMON or _is_near(entry)):
        right = option.spelling(service.major)
        if right is None or (right.section, right.name) == (entry.section, entry.name):
            return
        yield remark(
            "WC213", ERROR, entry,
            f"nova does not look for {entry.name} in [{cut(entry.section, 40)}], and says nothing",
            f"Write {right}.", _moved(entry, right),
        )  # fmt: skip
        return
    if option or entry.name in _COMMON:
        return
    name = _NEAR.near(entry.name) or _NEAR.near(entry.name.removeprefix("pci_"))
    if name is None or (name in _COMMON and normal(entry.section) not in _sections(name)):
        return
    right = _BY_NAME[name].spelling(service.major)
    if right is None:
        return
    yield remark(
        "WC214", ERROR, entry,
        f"nova has no option {entry.name}, and passes over it in silence",
        f"Write {right}.", _moved(entry, right),
    )  # fmt: skip


def _sections(name: str) -> set[str]:
    return {spelling.section for spelling in _BY_NAME[name].spellings}


def _is_near(entry: Entry) -> bool:
    """A name that others use too is in the wrong section only beside its own."""
    return entry.name == "alias" and normal(entry.section) in ("DEFAULT", "filter_scheduler")


def is_ours(entry: Entry) -> bool:
    """Whether an entry's name is, or is near to, one of our options, so that it can be shown."""
    return entry.name in _BY_NAME or bool(
        _NEAR.near(entry.name) or _NEAR.near(entry.name.removeprefix("pci_"))
    )


def check_both(service: Service) -> Iterator[Remark]:
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


def _moved(entry: Entry, right: Spelling | None) -> tuple[Edit, ...]:
    """The edits by which an entry gets its right name, and stands in its right section."""
    if right is None:
        return ()
    file, start = entry.file, entry.file.line_starts[entry.line - 1]
    begin = start + (1 if entry.line == 1 and file.text.startswith("\ufeff") else 0)
    if normal(entry.section) == right.section:
        return (Edit(file, begin, begin + len(entry.name), right.name),)
    last = entry.line - 1 + entry.count
    end = file.line_starts[last] if last < len(file.line_starts) else len(file.text)
    lines = file.text[begin + len(entry.name) : end]
    target = section_end(file, right.section)
    where, text = target or (len(file.text), f"{NEW_SECTION}{right.section}]\n")
    line = f"{text}{right.name}{lines}" + ("" if lines.endswith(("\n", "\r")) else "\n")
    return Edit(file, begin, end, ""), Edit(file, where, where, line)


# How a text begins that adds a section at the end of a file.
NEW_SECTION = "\n["


def section_end(file: ConfFile, section: str) -> tuple[int, str] | None:
    """Where a line can be added to a section: behind its last entry, else behind its header.

    With the text that has to come before it; None where the file has no such section.
    """
    last = file.section_ends.get(normal(section))
    if last is None:
        return None
    if last < len(file.line_starts):
        return file.line_starts[last], ""
    return len(file.text), "\n"
