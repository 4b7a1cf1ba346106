"""The files themselves: what nova cannot read, or reads otherwise than it looks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from wholecard.core.near_names import squeezed
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile, Header, Position, Problem, normal
from wholecard.nova.lint.broken_values import SYNTAX, broken, broken_lines
from wholecard.nova.lint.checks.ignored_options import objection, text_of, wrong_type
from wholecard.nova.lint.diagnostic import (
    ERROR,
    NOTE,
    WARNING,
    Diagnostic,
    Spot,
    TextEdit,
    file_remark,
    remark,
)
from wholecard.nova.lint.option_spelling import section_meant
from wholecard.nova.lint.service import MOST_VALUES, Service
from wholecard.nova.options import OPTIONS, find

_INDENTED = re.compile(r"\s+([A-Za-z_][\w.-]*)\s*[=:]")
_PERCENT = re.compile(r"%\((\w+)\)s")

_MENDS = {
    "assignment": "Write NAME = VALUE, or begin the line with #.",
    "name": "Write the option's name before the sign.",
    "continuation": "Take the blanks off its beginning, or write it below the value it goes on.",
    "bracket": "Write [NAME] alone on the line.",
    "section": "Write the section's name between the brackets.",
    "no-section": "Write [DEFAULT], or the section that it belongs to, on a line above.",
    "encoding": "Store the file as UTF-8: iconv -f LATIN1 -t UTF-8",
    "mark": "Store the file as UTF-8 without a byte order mark.",
    "large": "Name the file that the service reads.",
}  # fmt: skip
_RULES = {"encoding": "WC202", "mark": "WC202", "large": "WC203"}


def check_format(service: Service) -> Iterator[Diagnostic]:
    """What oslo.config stops at when the service starts."""
    # Of lines that belong to a value above them `check_spec.check_json` tells, and that nova stops.
    above = broken_lines(broken(service))
    for file in service.conf.files:
        template = next((each for each in file.problems if _is_template(file, each)), None)
        if template is not None:
            yield file_remark(
                "WC201", ERROR, file, template.place,
                "the file is a template, and not what the service reads",
                "Lint what is made of it.",
            )  # fmt: skip
            continue
        for problem in file.problems:
            if problem.kind not in SYNTAX or (file.path, problem.place.line) not in above:
                yield _problem(file, problem)


def _is_template(file: ConfFile, problem: Problem) -> bool:
    """Whether nova would stop at a line of Jinja or of Go's templates."""
    if problem.kind not in ("assignment", "continuation"):
        return False
    return file.lines[problem.place.line - 1].strip().startswith(("{%", "{{"))


def _problem(file: ConfFile, problem: Problem) -> Diagnostic:
    rule = _RULES.get(problem.kind, "WC201")
    mend = [TextEdit(file, 0, 1, "")] if problem.kind == "mark" else []
    return file_remark(rule, ERROR, file, problem.place, problem.text, _MENDS[problem.kind], mend)


def check_amount(service: Service) -> Iterator[Diagnostic]:
    """Values so long or so many that nobody wrote them."""
    for option in OPTIONS:
        if option.name in ("device_spec", "alias"):
            for entry in service.overlong(option):
                yield remark(
                    "WC203", WARNING, entry,
                    f"values of more than 64 KiB, and what follows the {MOST_VALUES}th, are not "
                    "examined",
                    "Look whether a template was repeated.",
                )  # fmt: skip


def check_sections(service: Service) -> Iterator[Diagnostic]:
    """Sections of which nova reads nothing, because their name is not quite right."""
    for file in service.conf.files:
        for header in file.headers:
            name = header.section
            right = section_meant(name)
            if right is None:
                continue
            place = Position(header.line, 1)
            start = file.offset(place)
            same = squeezed(name) == squeezed(right)
            why = _objection(service, file, header, right) if same else ""
            mend = (
                [TextEdit(file, start + 1, start + 1 + len(name), right)]
                if same and not why
                else []
            )
            by_hand = f" by hand, for then what stands there begins to count: {why}" if why else ""
            yield file_remark(
                "WC204", ERROR, file, place,
                f"nova does not read the section [{name}], and so nothing that stands in it",
                f"Write [{right}]{by_hand}.", mend,
            )  # fmt: skip


def _objection(service: Service, file: ConfFile, header: Header, right: str) -> str:
    """Why the options below a header may not simply begin to count; empty where they may."""
    first = bisect_right(file.entries, header.line, key=lambda each: each.line)
    for entry in file.entries[first : first + MOST_VALUES]:
        if entry.section != header.section:
            break
        known = find(right, entry.name)
        if known and known[1].state(service.major) in ("right", "deprecated"):
            why = objection(service, *known, text_of(entry))
            if why:
                return f"{entry.name}: {why}"
    return ""


def check_swallowed(service: Service) -> Iterator[Diagnostic]:
    """Lines that begin with a blank and so continue a value, though they look like options."""
    for entry in service.conf.entries:
        if entry.count == 1:
            continue
        for number, line in enumerate(entry.lines[1:], 1):
            match = _INDENTED.match(line)
            known = find(normal(entry.section), match[1]) if match else None
            if match and known:
                why = objection(service, *known, line[match.end(1) :])
                yield _swallowed(entry, number, match, why)


def _swallowed(entry: ConfEntry, number: int, match: re.Match[str], why: str) -> Diagnostic:
    blanks = match.start(1)
    place = Position(entry.line + number, blanks + 1)
    by_hand = f" by hand, for then it begins to count: {why}" if why else ""
    start = entry.file.offset(Position(place.line, 1))
    return file_remark(
        "WC205", ERROR, entry.file, place,
        f"{match[1]} begins with a blank, so nova takes the line for a part of the value above it",
        f"Take the blanks off the line's beginning{by_hand}.",
        [] if why else [TextEdit(entry.file, start, start + blanks, "")],
    )  # fmt: skip


def check_twice(service: Service) -> Iterator[Diagnostic]:
    """Options that take one value and are set twice in one file."""
    for file in service.conf.files:
        for section, names in file.sections.items():
            for name, entries in names.items():
                known = find(section, name)
                if known is None or known[0].kind == "multi" or len(entries) < 2:
                    continue
                last = entries[-1]
                for entry in entries[:-1]:
                    yield remark(
                        "WC206", WARNING, entry,
                        f"nova takes the {name} of line {last.line} and forgets this one",
                        "Put all of it on one line, and delete the other.",
                    )  # fmt: skip


def check_types(service: Service) -> Iterator[Diagnostic]:
    """Booleans and numbers that are none."""
    for option in OPTIONS:
        effective = service.effective(option.name)
        for entry in effective.entries:
            wrong = wrong_type(option, entry.value)
            if wrong and "$" not in entry.value:
                yield remark(
                    "WC207", ERROR, Spot(entry, 0, len(entry.value.split("\n")[0])),
                    f"{entry.name} has to be {wrong}: the service does not start",
                    "Write true or false." if option.kind == "boolean" else f"Write {wrong}.",
                )  # fmt: skip


def check_dollars(service: Service) -> Iterator[Diagnostic]:
    """`$name` in a value, which oslo.config replaces, or cannot."""
    for option in OPTIONS:
        for entry in service.effective(option.name).entries[:MOST_VALUES]:
            if "$" not in entry.value:
                continue
            text = service.conf.substituted(entry)
            for name, offset in text.unknown:
                yield remark(
                    "WC208", ERROR, Spot(entry, offset, len(name) + 1),
                    f"nova replaces ${name} by the option of that name, and the files set none: "
                    "where nova has no such option either, the service does not start",
                    "Write $$ for a dollar sign.",
                )  # fmt: skip
            if not text.unknown and text.text != entry.value.replace("$$", "$"):
                yield remark(
                    "WC208", NOTE, Spot(entry, entry.value.index("$"), 1),
                    "nova replaces $NAME in this value by another option's value",
                    "Write $$ for a dollar sign.",
                )  # fmt: skip


def check_percents(service: Service) -> Iterator[Diagnostic]:
    """`%(name)s`, which Python's own configuration files replace and oslo.config does not."""
    for option in OPTIONS:
        for entry in service.effective(option.name).entries[:MOST_VALUES]:
            match = _PERCENT.search(entry.value)
            if match:
                yield remark(
                    "WC209", ERROR, Spot(entry, match.start(), len(match[0])),
                    f"nova does not replace {match[0]}: it stands in the value as it is",
                    f"Write ${match[1]} for the option of that name, or the value itself.",
                )  # fmt: skip
