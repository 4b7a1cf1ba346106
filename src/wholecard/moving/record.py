"""What a move is, as records: what is planned, what happened, what was proved.

Seconds are measured by us unless a field says otherwise. `None` is not known.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wholecard.audit.record import Disagreement
from wholecard.audit.report import AuditReport
from wholecard.cloud.client.server_details import ServerDetails
from wholecard.cloud.client.server_moves import ActionEvent
from wholecard.cloud.client.servers import StateSeconds
from wholecard.core import Finding, Severity
from wholecard.core.units import MIB


class Method(enum.StrEnum):
    """How a server is moved."""

    LIVE = "live"
    COLD = "cold"
    EVACUATE = "evacuate"


class End(enum.StrEnum):
    """What becomes of a cold migration that is in VERIFY_RESIZE."""

    CONFIRM = "confirm"
    REVERT = "revert"
    # It is left in VERIFY_RESIZE, where it holds its cards on both hosts.
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class HeldCard:
    """What a server holds of one of nova's providers of devices, by its allocation in Placement.

    `address` is in the provider's name, empty for a mediated device's. `live_migratable` is its
    provider's trait HW_PCI_LIVE_MIGRATABLE, `one_time_use` HW_PCI_ONE_TIME_USE.
    """

    provider: str
    provider_uuid: str
    root: str
    resource_class: str
    amount: int
    address: str = ""
    live_migratable: bool = False
    one_time_use: bool = False


@dataclass(frozen=True)
class Holdings:
    """All that a server holds in Placement: its cards, and the sums by resource class.

    `hosts` are the names of the root providers. `read` is false where Placement did not show it.
    """

    cards: tuple[HeldCard, ...] = ()
    amounts: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    read: bool = True

    @property
    def card_amounts(self) -> dict[str, int]:
        """How many devices by resource class."""
        return _amounts(self.cards)

    def on(self, host: str) -> dict[str, int]:
        """The same of one host, by its root provider's name."""
        return _amounts(card for card in self.cards if card.root == host)


def _amounts(cards: Iterable[HeldCard]) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for card in cards:
        name = card.resource_class
        amounts[name] = amounts.get(name, 0) + card.amount
    return dict(sorted(amounts.items()))


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """Whether nova would migrate the server live: `possible` is None where that is not known.

    `fix` is what would have to change, empty where nothing has to or nothing can.
    """

    possible: bool | None
    why: str
    source: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """A host that could take the server. `host` is nova-compute's name, `node` the hypervisor's.

    `answer` is explain's: yes, no or unknown; `why` the first check that fails, with its `rule`, or
    what was not checked. `free` is how many of the server's devices it has free in Placement, None
    where Placement does not count them.
    """

    host: str
    node: str
    answer: str
    why: str = ""
    rule: str = ""
    free: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a move needs, before it begins.

    `disk_gb` is the flavor's disk on the host, at most so much is copied; `used_gb` what a person
    says is used of it. `bandwidth` is MiB/s, an assumption. `shutdown` is how long nova waits for
    the guest, in seconds, and `shutdown_source` who says so; 0 for a server that does not run.
    `memory_mb` is what is copied of the guest's memory, at least, while it runs; `pause` how long
    its guest is expected to pause at the end, in seconds, and `pause_source` why: both of a live
    migration only.
    """

    method: Method
    disk_gb: int
    used_gb: float | None
    bandwidth: float
    shutdown: int
    shutdown_source: str
    memory_mb: int = 0
    pause: float | None = None
    pause_source: str = ""

    @property
    def copy_seconds(self) -> float:
        """For disk and memory at that bandwidth: of the disk the used part where it is known."""
        if self.method is Method.EVACUATE:
            return 0.0
        disk = self.disk_gb if self.used_gb is None else self.used_gb
        return (disk * 1024 + self.memory_mb) / self.bandwidth

    @property
    def longest(self) -> float:
        """The shutdown and the copy; nova's own work and the guest's boot come on top."""
        return self.copy_seconds + self.shutdown

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; bandwidth in bytes/s as well."""
        return {
            "method": self.method, "disk_gb": self.disk_gb, "used_gb": self.used_gb,
            "bandwidth_mib_s": self.bandwidth, "bandwidth_bytes_s": int(self.bandwidth * MIB),
            "copy_seconds": round(self.copy_seconds, 1), "shutdown_seconds": self.shutdown,
            "shutdown_source": self.shutdown_source, "longest_seconds": round(self.longest, 1),
            "memory_mib": self.memory_mb, "pause_seconds": self.pause,
            "pause_source": self.pause_source,
        }  # fmt: skip


@dataclass(frozen=True)
class MovePlan:
    """How one server would be moved. `destination` is None where no host can take it.

    `blocked` says why it cannot be moved at all, empty where it can; `rule` is the finding's code.
    """

    server: ServerDetails
    holdings: Holdings
    live: LiveAnswer
    method: Method
    destinations: tuple[Destination, ...]
    destination: Destination | None
    estimate: Estimate
    blocked: str = ""
    fix: str = ""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        server, to = self.server, self.destination
        return {
            "server": server.id, "name": server.name, "status": server.state, "host": server.host,
            "flavor": server.flavor, "cards": [card_json(card) for card in self.holdings.cards],
            "method": self.method, "destination": to.host if to else None,
            "live": {"possible": self.live.possible, "why": self.live.why,
                     "source": self.live.source, "fix": self.live.fix},
            "estimate": self.estimate.to_json(),
            "destinations": [destination_json(each) for each in self.destinations],
            "blocked": self.blocked, "notes": list(self.notes),
            "findings": [finding.to_json() for finding in self.findings],
        }  # fmt: skip


@dataclass(frozen=True)
class MoveReport:
    """One server's move, and what was found of it afterwards.

    `ended` is `confirmed`, `reverted`, `verify` (left in VERIFY_RESIZE), `moved` (live),
    `evacuated` or `failed`. `phases` are the states in which the server was seen; `events` are
    nova's own record of the request. `pause` is how long the guest stood still in a live
    migration, by libvirt, None where it was not read. `unproved` are sentences: what nobody looked
    at.
    """

    plan: MovePlan
    ended: str
    phases: tuple[StateSeconds, ...] = ()
    events: tuple[ActionEvent, ...] = ()
    server: ServerDetails | None = None
    holdings: Holdings = field(default_factory=Holdings)
    findings: tuple[Finding, ...] = ()
    unproved: tuple[str, ...] = ()
    before: AuditReport | None = None
    after: AuditReport | None = None
    error: str = ""
    pause: float | None = None

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """What the audit found after the move, and not before it."""
        return new_disagreements(self.before, self.after)

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Its own, and what the audit found anew."""
        return (*self.findings, *(row.finding() for row in self.disagreements))

    @property
    def is_good(self) -> bool:
        """Whether it ended as asked and nothing is wrong."""
        bad = any(finding.severity is not Severity.NOTE for finding in self.all_findings)
        return self.ended != "failed" and not bad

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        server = self.server
        return {
            "plan": self.plan.to_json(), "ended": self.ended, "error": self.error,
            "seconds": round(self.seconds, 1), "pause_seconds": self.pause,
            "phases": [{"state": each.state, "seconds": round(each.seconds, 1)}
                       for each in self.phases],
            "events": [{"event": each.event, "host": each.host, "result": each.result,
                        "seconds": each.seconds, "error": each.error} for each in self.events],
            "status": server.state if server else None, "host": server.host if server else None,
            "cards": [card_json(card) for card in self.holdings.cards],
            "findings": [finding.to_json() for finding in self.all_findings],
            "unproved": list(self.unproved),
            "audit": {"before": _audit_json(self.before), "after": _audit_json(self.after)},
        }  # fmt: skip


def new_disagreements(
    before: AuditReport | None, after: AuditReport | None
) -> tuple[Disagreement, ...]:
    """What an audit found after a move, and not before it; nothing where only one was made."""
    if before is None or after is None:
        return ()
    known = {row.key for row in before.disagreements}
    return tuple(row for row in after.disagreements if row.key not in known)


def card_json(card: HeldCard) -> dict[str, Any]:
    """`{"provider", "address", "resource_class", "amount"}`."""
    return {"provider": card.provider, "address": card.address or None,
            "resource_class": card.resource_class, "amount": card.amount}  # fmt: skip


def destination_json(to: Destination) -> dict[str, Any]:
    """The fields under their names."""
    return {"host": to.host, "answer": to.answer, "rule": to.rule, "why": to.why, "free": to.free}


def _audit_json(report: AuditReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "hosts": report.hosts, "devices": report.devices,
        "unread": {view: why for view, (why, _) in report.unread.items()},
        "findings": [finding.to_json() for finding in report.findings],
    }  # fmt: skip
