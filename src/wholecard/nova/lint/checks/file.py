"""The files themselves: what nova cannot read, or reads differently than it seems."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from wholecard.core import Severity
from wholecard.core.near_names import squeezed
from wholecard.core.position import Position
from wholecard.nova.conf.conf_file import ConfEntry, ConfFile, Header, Problem, normal
from wholecard.nova.lint.broken_values import SYNTAX, broken, broken_lines
from wholecard.nova.lint.checks.ignored_options import objection, text_of, wrong_type
from wholecard.nova.lint.checks.value_shapes import in_one_line, wrapped_line
from wholecard.nova.lint.diagnostic import (
    Diagnostic,
    Spot,
    TextEdit,
    entry_diagnostic,
    file_diagnostic,
)
from wholecard.nova.lint.option_spelling import section_meant
from wholecard.nova.lint.service import MOST_VALUES, Service
from wholecard.nova.lint.types_of_mdevs import options_of_types
from wholecard.nova.options import MEANT_TO_BE_REPLACED, OPTIONS, by_name, find

_INDENTED = re.compile(r"\s+([A-Za-z_][\w.-]*)\s*[=:]")
_PERCENT = re.compile(r"%\((\w+)\)s")

_FIXES = {
    "assignment": "Write NAME = VALUE, or begin the line with #.",
    "name": "Write the option's name before the sign.",
    "continuation": "Remove the indentation, or put the line below the value that it continues.",
    "bracket": "Write [NAME] alone on the line.",
    "section": "Write the section's name between the brackets.",
    "no-section": "Write [DEFAULT], or the section it belongs to, on a line above.",
    "encoding": "Store the file as UTF-8: iconv -f LATIN1 -t UTF-8",
    "mark": "Store the file as UTF-8 without a byte order mark.",
    "large": "Name the file that the service reads.",
}  # fmt: skip
_RULES = {"encoding": "WC202", "mark": "WC202", "large": "WC203"}


def check_format(service: Service) -> Iterator[Diagnostic]:
    """Lines at which oslo.config stops, so that the service does not start."""
    # `device_spec.check_json` reports lines that belong to a value above them.
    above = broken_lines(broken(service))
    for file in service.conf.files:
        template = next((one for one in file.problems if _is_template(file, one)), None)
        if template is not None:
            yield file_diagnostic(
                "WC201", file, template.position,
                "the file is a template, not the file that the service reads",
                "Run lint on the file that is made from it.",
            )  # fmt: skip
            continue
        for problem in file.problems:
            if problem.kind not in SYNTAX or (file.path, problem.position.line) not in above:
                yield _of_problem(file, problem)


def _of_problem(file: ConfFile, problem: Problem) -> Diagnostic:
    """What oslo.config stops at, by its kind."""
    if problem.kind == "assignment" and (wrapped := _wrapped(file, problem)):
        return wrapped
    return file_diagnostic(
        _RULES.get(problem.kind, "WC201"), file, problem.position, problem.text,
        _FIXES[problem.kind], [TextEdit(file, 0, 1, "")] if problem.kind == "mark" else (),
    )  # fmt: skip


def _wrapped(file: ConfFile, problem: Problem) -> Diagnostic | None:
    """A line of a list that was wrapped and not indented."""
    line = problem.position.line
    last = bisect_right(file.entries, line, key=lambda entry: entry.line) - 1
    above = file.entries[last] if last >= 0 else None
    text = file.lines[line - 1]
    # Only other lines of the list may be between.
    between = file.lines[above.line - 1 + above.count : line - 1] if above else []
    if not all(wrapped_line(above, one) for one in [*between, text]):
        return None
    start = file.offset(problem.position)
    before = between[-1] if between else above.value if above else ""
    joins = before.rstrip().endswith(",") or text.lstrip().startswith(",")
    return file_diagnostic(
        "WC201", file, problem.position,
        f"{problem.text}: it looks like the rest of {above.name if above else 'a list'}, and only "
        "an indented line continues a value",
        "Indent the line, with a comma between the names.",
        [TextEdit(file, start, start, "    ")] if joins else (),
    )  # fmt: skip


def _is_template(file: ConfFile, problem: Problem) -> bool:
    """Whether nova would stop at a line of Jinja or of Go's templates."""
    if problem.kind not in ("assignment", "continuation"):
        return False
    return file.lines[problem.position.line - 1].strip().startswith(("{%", "{{"))


def check_amount(service: Service) -> Iterator[Diagnostic]:
    """Values so long or so many that no person wrote them."""
    for option in (by_name("device_spec"), by_name("alias")):
        for entry in service.overlong(option):
            yield entry_diagnostic(
                "WC203", entry,
                f"values of more than 64 KiB, and what follows the {MOST_VALUES}th, are not "
                "checked",
                "Check whether a template was repeated.", severity=Severity.WARNING,
            )  # fmt: skip


def check_sections(service: Service) -> Iterator[Diagnostic]:
    """Sections of which nova reads nothing, because their name is not quite right."""
    for file in service.conf.files:
        for header in file.headers:
            name, position = header.section, Position(header.line, 1)
            right = section_meant(name)
            if right is None:
                continue
            is_same = squeezed(name) == squeezed(right)
            why = _objection(service, file, header, right) if is_same else ""
            start = file.offset(position) + 1
            edits = [TextEdit(file, start, start + len(name), right)] if is_same and not why else []
            yield file_diagnostic(
                "WC204", file, position,
                f"nova does not read the section [{name}], nor any option in it",
                f"Write [{right}]{_by_hand(why)}.", edits,
            )  # fmt: skip


def _by_hand(why: str) -> str:
    """What a fix says where an option would begin to count and `why` is against that."""
    return f" by hand, because it then takes effect: {why}" if why else ""


def _objection(service: Service, file: ConfFile, header: Header, right: str) -> str:
    """Why the options below a header may not simply begin to count; empty where they may."""
    first = bisect_right(file.entries, header.line, key=lambda entry: entry.line)
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
    """Indented lines that look like options, and to oslo.config continue a value."""
    for entry in service.conf.entries:
        for number, line in enumerate(entry.lines[1:], entry.line + 1):
            match = _INDENTED.match(line)
            known = find(normal(entry.section), match[1]) if match else None
            if match and known:
                why = objection(service, *known, line[match.end(1) :])
                start = entry.file.offset(Position(number, 1))
                yield file_diagnostic(
                    "WC205", entry.file, Position(number, match.start(1) + 1),
                    f"{match[1]} is indented, so nova reads the line as a part of the value above "
                    "it",
                    f"Remove the indentation{_by_hand(why)}.",
                    [] if why else [TextEdit(entry.file, start, start + match.start(1), "")],
                )  # fmt: skip
        yield from _on_one_line(service, entry)


def _on_one_line(service: Service, entry: ConfEntry) -> Iterator[Diagnostic]:
    """An option that follows another on its line, and is a part of that one's value to nova."""
    for match in in_one_line(entry):
        known = find(normal(entry.section), match[1])
        if known and match[1] != entry.name:
            blanks = match.start(1) - match.start()
            spot = Spot(entry, match.start(), blanks)
            why = objection(service, *known, f"= {entry.value[match.end() :]}")
            yield file_diagnostic(
                "WC205", entry.file, entry.position(match.start(1)),
                f"{match[1]} is on the line of {entry.name}, so nova reads it as a part of that "
                "value",
                f"Write it on a line of its own{_by_hand(why)}.",
                [] if why else [spot.edit("\n")],
            )  # fmt: skip
            return


def check_twice(service: Service) -> Iterator[Diagnostic]:
    """Options that take one value and are set twice in one file."""
    for file in service.conf.files:
        for section, names in file.sections.items():
            for name, entries in names.items():
                known = find(section, name)
                # Values add up only for MultiOpt (oslo.config, cfg.py); of others the last counts.
                if known is None or known[0].kind == "multi" or len(entries) < 2:
                    continue
                last = entries[-1]
                for entry in entries[:-1]:
                    yield entry_diagnostic(
                        "WC206", entry,
                        f"nova uses the {name} of line {last.line} and ignores this one",
                        "Put all values on one line, and delete the other line.",
                    )  # fmt: skip


def check_types(service: Service) -> Iterator[Diagnostic]:
    """Booleans and numbers that oslo.config cannot read."""
    for option in (*OPTIONS, *options_of_types(service)):
        for entry in service.conf.effective(option, service.major).entries:
            wrong = wrong_type(option, entry.value)
            if wrong and "$" not in entry.value:
                yield entry_diagnostic(
                    "WC207", Spot(entry, 0, len(entry.value.split("\n")[0])),
                    f"{entry.name} must be {wrong}: the service does not start",
                    "Write true or false." if option.kind == "boolean" else f"Write {wrong}.",
                )  # fmt: skip


_DOLLAR = re.compile(r"\$\{?(\w*)")


def check_dollars(service: Service) -> Iterator[Diagnostic]:
    """`$name` in a value, which oslo.config replaces, or cannot."""
    for option in OPTIONS:
        for entry in service.effective(option.name).entries[:MOST_VALUES]:
            if "$" not in entry.value:
                continue
            text = service.conf.substituted(entry)
            named = set(_DOLLAR.findall(entry.value))
            if option.kind == "text" and named <= MEANT_TO_BE_REPLACED:
                continue
            for name, offset in text.unknown:
                yield entry_diagnostic(
                    "WC208", Spot(entry, offset, len(name) + 1),
                    f"nova replaces ${name} by the option of that name, and no file sets it: if "
                    "nova has no such option either, the service does not start",
                    f"Write the value that a template should have put for ${name}, or $$ for "
                    "a dollar sign.",
                )  # fmt: skip
            if not text.unknown and text.text != entry.value.replace("$$", "$"):
                yield entry_diagnostic(
                    "WC208", Spot(entry, entry.value.index("$"), 1),
                    "nova replaces $NAME in this value by another option's value",
                    "Write $$ for a dollar sign.", severity=Severity.NOTE,
                )  # fmt: skip


def check_percents(service: Service) -> Iterator[Diagnostic]:
    """`%(name)s`, which Python's own configuration files replace and oslo.config does not."""
    for option in OPTIONS:
        for entry in service.effective(option.name).entries[:MOST_VALUES]:
            match = _PERCENT.search(entry.value)
            if match:
                yield entry_diagnostic(
                    "WC209", Spot(entry, match.start(), len(match[0])),
                    f"nova does not replace {match[0]}: it stays in the value as it is",
                    f"Write ${match[1]} for the option of that name, or the value itself.",
                )  # fmt: skip
