"""What a rendered file would change for a service, option by option, and what to restart. Pure.

The files of a service are read as nova reads them. The new text replaces our file among them;
without one it comes last, as a drop-in does.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import Release
from wholecard.nova.conf.oslo_values import Values, read_values
from wholecard.nova.options import OPTIONS, Role, by_name
from wholecard.nova.render.changed_devices import device_warnings
from wholecard.nova.render.drop_in_file import service
from wholecard.nova.render.managed_files import is_ours
from wholecard.nova.render.option_change import OptionChange, as_json, parsed


@dataclass(frozen=True)
class Restart:
    """Services that are restarted together, and the reason for their place in the order."""

    services: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """`{"services", "reason"}`."""
        return {"services": list(self.services), "reason": self.reason}


@dataclass(frozen=True)
class Diff:
    """What would change for a service: effective values, our file's text, restarts in order.

    `warnings` are conflicts with other files, and devices that must not be in use any more.
    """

    role: Role
    service: str
    changes: tuple[OptionChange, ...]
    text: str
    restarts: tuple[Restart, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        changes = [change.to_json() for change in self.changes]
        restarts = [restart.to_json() for restart in self.restarts]
        return {"role": self.role, "changes": changes, "diff": self.text, "restarts": restarts,
                "warnings": list(self.warnings)}  # fmt: skip


def diff(role: Role, files: Sequence[Path], new: str, release: Release) -> Diff:
    """What the text `new` would change for a service that reads these files, in their order.

    Raises WholecardError where a file cannot be read, UsageError where it would turn off what
    nova-compute cannot turn off.
    """
    ours = _our_file(files)
    others = [file for file in files if file != ours]
    old = read_values(files, release.nova)
    # oslo.config reads only files, so the new text has to be one.
    with tempfile.TemporaryDirectory(prefix="wholecard-") as folder:
        new_file = Path(folder) / "new.conf"
        new_file.write_text(new)
        replaced = [new_file if file == ours else file for file in files]
        after = read_values(replaced if ours else [*files, new_file], release.nova)
        rendered = read_values([new_file], release.nova)
    changes = tuple(_changes(role, old, after, release))
    _refuse_to_stop_reporting(changes)
    before = _text(ours).splitlines(keepends=True) if ours else []
    lines = difflib.unified_diff(
        before, new.splitlines(keepends=True), str(ours or "/dev/null"), "rendered"
    )
    restarts = _restarts(role, changes, release)
    conflicts = _conflicts(read_values(others, release.nova), rendered, release)
    warnings = (*conflicts, *device_warnings(changes, after, release))
    return Diff(role, service(role, release), changes, "".join(lines), restarts, warnings)


def _our_file(files: Sequence[Path]) -> Path | None:
    # Reading each one first gives the error that names the file and says what to do.
    ours = [file for file in files if _text(file) is not None and is_ours(file)]
    if len(ours) > 1:
        raise UsageError(
            f"Wholecard has written two of the files: {ours[0]} and {ours[1]}",
            "nova would use the repeated options of both.",
            "Remove one of them.",
        )
    return ours[0] if ours else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise WholecardError(
            f"cannot read {file}",
            error.strerror or "",
            "Name the files that the service itself reads, in their order.",
        ) from error


def _changes(role: Role, old: Values, new: Values, release: Release) -> Iterable[OptionChange]:
    for option in dict.fromkeys((*OPTIONS, *old, *new)):
        if option.is_read_by(role, release.nova):
            before, after = old.get(option, ()), new.get(option, ())
            if parsed(option, before) != parsed(option, after):
                yield OptionChange(option, str(option.spelling(release.nova)), before, after)


def _refuse_to_stop_reporting(changes: Iterable[OptionChange]) -> None:
    for change in changes:
        option = change.option
        if option.name == "report_in_placement" and parsed(option, change.old) == [True]:
            raise UsageError(
                "report_in_placement cannot be turned off again on a host",
                "nova-compute would find its cards in Placement and stop "
                "(nova/compute/pci_placement_translator.py).",
                "Leave nova.report_in_placement on in the site file.",
            )


def _restarts(role: Role, changes: Sequence[OptionChange], release: Release) -> tuple[Restart, ...]:
    """The services in the order in which they must be restarted."""
    if not changes:
        return ()
    own = Restart((service(role, release),), "it reads its configuration only when it starts")
    switched = by_name("pci_in_placement")
    turned_on = any(
        change.option == switched and parsed(switched, change.new) == [True] for change in changes
    )
    if not turned_on or role == "compute":
        return (own,)
    return (
        Restart(
            ("nova-compute",),
            "every compute must report its cards (report_in_placement) before nova looks for them "
            "in Placement; continue when Placement has the providers of every host",
        ),
        Restart(
            ("nova-api", "nova-scheduler", "nova-conductor"),
            "they need the same pci_in_placement: install the files of all three, then restart "
            "them together",
        ),
    )


def _conflicts(others: Values, rendered: Values, release: Release) -> Iterable[str]:
    """Repeated options that other files set too: nova adds their values to ours."""
    for option, values in rendered.items():
        other_values = others.get(option, ())
        if option.kind != "multi" or not other_values or option.name == "available_filters":
            continue
        name = option.spelling(release.nova)
        if option.name == "alias":
            both = sorted(_alias_names(values) & _alias_names(other_values))
            if both:
                yield (
                    f"{name}: {', '.join(both)} is in another file too; nova would have two "
                    "aliases of one name. Remove it from the other file"
                )
        else:
            yield (
                f"{name}: another file has {len(other_values)} more, and nova uses all of them. "
                "Remove from the other file what the site file has"
            )


def _alias_names(values: Iterable[str]) -> set[str]:
    aliases = map(as_json, values)
    return {str(alias.get("name")) for alias in aliases if isinstance(alias, Mapping)}


def as_text(diff: Diff) -> str:
    """The difference for a person: values, the file, warnings, then what to restart."""
    if not diff.changes and not diff.warnings and not diff.text:
        return f"{diff.service}: nothing would change.\n"
    lines = [line for change in diff.changes for line in _change_lines(change)]
    if not diff.changes:
        lines.append("No value would change.")
    lines += ["", *diff.text.splitlines()] if diff.text else []
    lines += [f"warning: {warning}" for warning in diff.warnings]
    return "\n".join([*lines, *_restart_lines(diff), ""])


def _restart_lines(diff: Diff) -> list[str]:
    rows = [f"{', '.join(restart.services)}: {restart.reason}" for restart in diff.restarts]
    numbered = [f"  {number}. {row}" for number, row in enumerate(rows, 1)]
    return ["", "Restart, in this order:", *numbered] if numbered else []


def _change_lines(change: OptionChange) -> list[str]:
    removed = [f"  - {value}" for value in change.old if value not in change.new]
    added = [f"  + {value}" for value in change.new if value not in change.old]
    return [change.name, *removed, *added]
