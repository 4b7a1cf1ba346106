"""What an audit answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wholecard.audit.record import Disagreement, View
from wholecard.core import Finding


@dataclass(frozen=True)
class AuditReport:
    """The disagreements of one audit, and what was read.

    `hosts` are how many were compared, `devices` how many of nova's rows. `unread` are the views
    that were not read at all, or not on every host: why, and on how many hosts. `notes` are
    sentences for a person.
    """

    hosts: int
    devices: int
    disagreements: tuple[Disagreement, ...] = ()
    unread: Mapping[View, tuple[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The disagreements as findings, in the order of hosts and addresses."""
        return tuple(row.finding() for row in self.disagreements)
