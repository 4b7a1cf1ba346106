"""What a rendered file would change where it goes, option by option, and what to restart. Pure.

The files of a service are read as nova reads them. A file of ours among them is the one that the
new text takes the place of; without one the new text comes last, as a drop-in does.
"""

from __future__ import annotations

import difflib
import itertools
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import Release
from wholecard.nova.conf.oslo_values import Values, read_values
from wholecard.nova.known_bugs import by_bug
from wholecard.nova.options import OPTIONS, Option, Role, by_name
from wholecard.nova.render.drop_in_file import service
from wholecard.nova.render.managed_files import is_ours


@dataclass(frozen=True)
class OptionChange:
    """An option's values before and after, under its name in the release. Empty: not set."""

    option: Option
    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"option", "old", "new"}`."""
        return {"option": self.name, "old": list(self.old), "new": list(self.new)}


@dataclass(frozen=True)
class Restart:
    """Services that are restarted together, and why at this place in the order."""

    services: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """`{"services", "reason"}`."""
        return {"services": list(self.services), "reason": self.reason}


@dataclass(frozen=True)
class Diff:
    """What would change for a service: effective values, our file's text, restarts in order.

    `warnings` are what stands in other files and is in the way, and what may no longer be in use.
    """

    role: Role
    service: str
    changes: tuple[OptionChange, ...]
    text: str
    restarts: tuple[Restart, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "role": self.role,
            "changes": [each.to_json() for each in self.changes],
            "diff": self.text,
            "restarts": [each.to_json() for each in self.restarts],
            "warnings": list(self.warnings),
        }


def diff(role: Role, files: Sequence[Path], new: str, of: Release) -> Diff:
    """What the text `new` would change for a service that reads these files, in their order.

    Raises WholecardError where a file cannot be read, UsageError where it would take back what
    nova-compute cannot take back.
    """
    ours = [file for file in files if _is_ours(file)]
    if len(ours) > 1:
        raise UsageError(
            f"two files of Wholecard's: {ours[0]} and {ours[1]}",
            "nova would add up their repeated options.",
            "Take one of them away.",
        )
    others = [file for file in files if file not in ours]
    old = read_values(files, of.nova)
    with tempfile.TemporaryDirectory(prefix="wholecard-") as folder:
        fresh = Path(folder) / "new.conf"
        fresh.write_text(new)
        after = read_values([fresh if file in ours else file for file in files], of.nova)
        if not ours:
            after = read_values([*files, fresh], of.nova)
        mine = read_values([fresh], of.nova)
    changes = tuple(_changes(role, old, after, of))
    _refuse_taking_back(changes)
    where = ours[0] if ours else None
    return Diff(
        role,
        service(role, of),
        changes,
        _unified(_text(where) if where else "", new, str(where) if where else "/dev/null"),
        _restarts(role, changes, of),
        (*_warnings(read_values(others, of.nova), mine, of), *_taken_out(changes, after, of)),
    )


def _is_ours(file: Path) -> bool:
    _text(file)
    return is_ours(file)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise WholecardError(
            f"cannot read {file}",
            error.strerror or "",
            "Name the files that the service itself reads, in their order.",
        ) from error


def _changes(role: Role, old: Values, new: Values, of: Release) -> Iterable[OptionChange]:
    for option in OPTIONS:
        if option.is_read_by(role, of.nova):
            before, after = old.get(option, ()), new.get(option, ())
            if _meant(option, before) != _meant(option, after):
                yield OptionChange(option, str(option.spelling(of.nova)), before, after)


def _meant(option: Option, values: tuple[str, ...]) -> object:
    """Values as nova takes them: JSON without its spelling, truth values as one word."""
    if option.kind == "multi":
        return [_parsed(value) for value in values]
    if option.kind == "boolean":
        return [value.strip().lower() in ("true", "1", "on", "yes") for value in values]
    return list(values)


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _refuse_taking_back(changes: Iterable[OptionChange]) -> None:
    for each in changes:
        if each.option.name == "report_in_placement" and _meant(each.option, each.old) == [True]:
            raise UsageError(
                "report_in_placement cannot be turned off again on a host",
                "nova-compute finds its cards in Placement and stops: "
                "nova/compute/pci_placement_translator.py.",
                "Leave nova.report_in_placement on in the site file.",
            )


def _unified(old: str, new: str, name: str) -> str:
    return "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), name, "rendered"
        )
    )


def _restarts(role: Role, changes: Sequence[OptionChange], of: Release) -> tuple[Restart, ...]:
    """The services in the order in which they have to come up again."""
    if not changes:
        return ()
    own = Restart((service(role, of),), "it reads its configuration at start alone")
    switched = by_name("pci_in_placement")
    goes_on = any(
        each.option == switched and _meant(switched, each.new) == [True] for each in changes
    )
    if not goes_on or role == "compute":
        return (own,)
    return (
        Restart(
            ("nova-compute",),
            "every compute has to report its cards (report_in_placement) before they are looked "
            "for in Placement; go on when every host's providers are there",
        ),
        Restart(
            ("nova-api", "nova-scheduler", "nova-conductor"),
            "they must agree on pci_in_placement: give all three their files, then restart them "
            "together",
        ),
    )


def _warnings(others: Values, mine: Values, of: Release) -> Iterable[str]:
    """Repeated options that stand elsewhere too: nova adds them up with ours."""
    for option, values in mine.items():
        there = others.get(option, ())
        if option.kind != "multi" or not there or option.name == "available_filters":
            continue
        name = option.spelling(of.nova)
        if option.name == "alias":
            both = sorted(_names(values) & _names(there))
            if both:
                yield (
                    f"{name}: {', '.join(both)} stands in another file too; nova would have two "
                    "aliases of one name: take it out there"
                )
        else:
            yield (
                f"{name}: another file has {len(there)} more; nova gives what any of them "
                "matches: take out there what the site says"
            )


# What of a device_spec says which devices it gives; the rest says what is known of them.
_MATCHING = frozenset({"vendor_id", "product_id", "address", "devname"})


def _taken_out(changes: Iterable[OptionChange], after: Values, of: Release) -> Iterable[str]:
    """What device_spec gives no longer, before a server holds it: later there is less to be done.

    nova, nova/pci/manager.py, `_set_hvdevs`: from Stein on it keeps a device that is held, with a
    warning each minute, until the server is gone.
    """
    for each in changes:
        if each.option.name != "device_spec":
            continue
        left = list(_given(each.new))
        gone = [one for one in _given(each.old) if not any(_covers(two, one) for two in left)]
        if not gone:
            continue
        yield (
            f"{each.name}: {'; '.join(map(json.dumps, gone))} "
            f"{'goes' if len(gone) == 1 else 'go'}: no server may hold a device that is given no "
            "longer. Empty those cards of servers before nova-compute is restarted"
        )
        reports = after.get(by_name("report_in_placement"), ())
        bugs = [1633120, 2115729]
        if _meant(by_name("report_in_placement"), reports) == [True]:
            bugs.insert(1, 2115905)
        for fault in map(by_bug, bugs):
            if fault.is_in(of.nova):
                yield (
                    f"{each.name}: nova of {of} has the bug {fault.bug} ({fault.link}): "
                    f"{fault.what}. {fault.do}"
                )


def _given(specs: Iterable[str]) -> Iterable[object]:
    """The objects of device_spec: a value is one, or a list of them."""
    for value in map(_parsed, specs):
        yield from value if isinstance(value, list) else (value,)


def _covers(one: object, other: object) -> bool:
    """Whether a device_spec gives all that another gives, as far as their words tell."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one == other
    return all(
        key in other and _folded(one[key]) == _folded(other[key])
        for key in _MATCHING & one.keys()
        if one[key] != "*"
    )


def _folded(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _names(aliases: Iterable[str]) -> set[str]:
    parsed = (_parsed(each) for each in aliases)
    return {str(each.get("name")) for each in parsed if isinstance(each, Mapping)}


def as_text(found: Diff) -> str:
    """The difference for a person: values, the file, warnings, then what to restart."""
    if not found.changes and not found.warnings and not found.text:
        return f"{found.service}: nothing would change.\n"
    lines: list[str] = []
    for each in found.changes:
        lines.append(each.name)
        lines += [f"  - {value}" for value in each.old if value not in each.new]
        lines += [f"  + {value}" for value in each.new if value not in each.old]
    if not found.changes:
        lines.append("No value would change.")
    lines += ["", *found.text.splitlines()] if found.text else []
    lines += [f"warning: {each}" for each in found.warnings]
    if found.restarts:
        lines += ["", "Restart, in this order:"]
        lines += [
            f"  {number}. {', '.join(each.services)}: {each.reason}"
            for number, each in zip(itertools.count(1), found.restarts, strict=False)
        ]
    return "\n".join([*lines, ""])
