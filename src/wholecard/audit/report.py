"""What an audit answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wholecard.audit.record import Disagreement, View
from wholecard.core import Finding, Severity
from wholecard.core.finding import UNDECIDED, exit_status
from wholecard.core.units import counted

_NAMES = {
    View.SYSFS: "sysfs",
    View.LIBVIRT: "libvirt",
    View.NOVA: "nova's database",
    View.PLACEMENT: "Placement",
}
_HOW = {
    View.SYSFS: "Use --ssh (try ssh HOST true), or --facts HOST=FILE (inspect --save FILE there).",
    View.LIBVIRT: "Use --ssh (try ssh HOST true), with an account that may read libvirt's domains.",
    View.NOVA: "Use --databases FILE with an account that may read.",
    View.PLACEMENT: "Use --cloud with an administrator, or Placement in --databases FILE.",
}


@dataclass(frozen=True)
class AuditReport:
    """The disagreements of one audit, and what was read.

    `hosts` are how many were compared, `devices` how many of nova's rows. `unread` are the views
    that were not read at all, or not on every host: why, and on how many hosts. `notes` are
    sentences for a person. `in_flight` disagree while nova changes something, and do not count.
    """

    hosts: int
    devices: int
    disagreements: tuple[Disagreement, ...] = ()
    unread: Mapping[View, tuple[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    in_flight: tuple[Disagreement, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The disagreements, what is in flight (WC551) and what was not read (WC550)."""
        return (
            *(row.finding() for row in self.disagreements),
            *(_in_flight(row) for row in self.in_flight),
            *(_unread(view, *why) for view, why in self.unread.items()),
        )

    @property
    def exit_status(self) -> int:
        """1 with a disagreement, 0 where all four views were read and agree, else UNDECIDED.

        As `explain` does: what was not read may disagree, and what is in flight may end well or
        not. A script takes such an audit neither for a sound cloud nor for a damaged one.
        """
        if exit_status(row.finding() for row in self.disagreements):
            return 1
        return UNDECIDED if self.unread or self.in_flight else 0

    @property
    def views_text(self) -> str:
        """`sysfs, libvirt, nova, placement`: the views that were read on every host."""
        read = [view.value for view in View if view not in self.unread]
        return ", ".join(read) if read else "none"

    def to_json(self) -> dict[str, Any]:
        """The published form; `findings` are rows with `facts`, and `pending` where in flight."""
        return {
            "hosts": self.hosts,
            "devices": self.devices,
            "seconds": round(self.seconds, 2),
            "unread": {
                view.value: {"reason": reason, "hosts": hosts}
                for view, (reason, hosts) in self.unread.items()
            },
            "notes": list(self.notes),
            "findings": [
                *(_row(row, row.finding()) for row in self.disagreements),
                *(_row(row, _in_flight(row)) for row in self.in_flight),
                *(_unread_row(_unread(view, *why)) for view, why in self.unread.items()),
            ],
        }


def _in_flight(row: Disagreement) -> Finding:
    message = f"{row.message} In progress: {row.pending}." if row.pending else row.message
    fix = f"Audit again when it is done; it would be {row.rule}."
    return Finding("WC551", row.subject, Severity.NOTE, message, fix)


def _unread(view: View, reason: str, hosts: int) -> Finding:
    where = f"on {counted(hosts, 'host')}" if hosts else "at all"
    message = f"{_NAMES[view]} was not read {where}: {reason}"
    return Finding("WC550", view.value, Severity.WARNING, message, _HOW[view])


def _row(row: Disagreement, finding: Finding) -> dict[str, Any]:
    return {
        **finding.to_json(),
        "host": row.host,
        "address": row.address,
        "server": row.server,
        "views": {view.value: text for view, text in row.says.items()},
        "facts": dict(row.facts),
        "pending": row.pending,
    }


def _unread_row(finding: Finding) -> dict[str, Any]:
    empty = {"host": "", "address": "", "server": "", "views": {}, "facts": {}, "pending": ""}
    return {**finding.to_json(), **empty}
