"""What is known of cards' health and of who has them, as records.

Times are naive UTC, as nova has them. `None` is "not read".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wholecard.cloud.placement.card_state import CardState
from wholecard.cloud.placement.provider_tree import was_used_once
from wholecard.core import Finding
from wholecard.host.facts.card_health import CardHealth, HostHealth


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """One host's answer, or why there is none. `findings` are those of its cards."""

    host: str
    health: HostHealth | None = None
    findings: tuple[Finding, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FunctionInventory:
    """What Placement has of one function, summed over its provider's classes.

    `host` is the hypervisor's name; `holders` are the consumers: servers and migrations.
    """

    host: str
    address: str
    total: int
    reserved: int
    used: int
    one_time_use: bool = False
    holders: tuple[str, ...] = ()

    @property
    def is_dirty(self) -> bool:
        """Used once, and not given back."""
        return self.one_time_use and was_used_once(self.total, self.reserved, self.used)

    @property
    def is_offered(self) -> bool:
        """Whether Placement gives it to the next server."""
        return self.used < self.total - self.reserved


@dataclass(frozen=True, slots=True)
class CloudServer:
    """A server of nova's; `domain` is libvirt's name of it, `cards` what its flavor asks for.

    `launched_at` is None where it never ran, `terminated_at` where it is not deleted.
    """

    id: str
    project: str
    host: str
    domain: str
    cards: int
    launched_at: datetime | None = None
    terminated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CloudCards:
    """What the cloud knows of cards: Placement's providers, nova's servers that have some.

    `finished` are servers that were deleted since the time that was asked for. `now` is when it
    was read.
    """

    providers: tuple[FunctionInventory, ...]
    servers: Mapping[str, CloudServer]
    finished: tuple[CloudServer, ...] = ()
    now: datetime | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CardRow:
    """One card of a host: what it is now, and whose. `server` and `project` are ids."""

    host: str
    card: CardHealth
    state: CardState
    server: str = ""
    project: str = ""
    offered: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """A row for a person's table and a program."""
        return {
            "host": self.host,
            "card": self.card.slot,
            "model": self.card.model or self.card.ids,
            "state": self.state.value,
            "server": self.server,
            "project": self.project,
        }


@dataclass(frozen=True)
class HealthReport:
    """The answer: hosts, their cards, all findings, and card-seconds of each project.

    `card_seconds` is None where no cloud was read; `usage_since` is where its counting begins.
    `cloud_error` says why the cloud did not answer.
    """

    hosts: tuple[HostAnswer, ...]
    cards: tuple[CardRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    card_seconds: Mapping[str, float] | None = None
    usage_since: datetime | None = None
    cloud_error: str = ""
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What `health --json` prints; `hosts` is what `--since` reads again."""
        since = self.usage_since
        return {
            "cards": [row.to_json() for row in self.cards],
            "findings": [finding.to_json() for finding in self.findings],
            "card_seconds": None if self.card_seconds is None else dict(self.card_seconds),
            "usage_since": since.isoformat() if since else None,
            "cloud_error": self.cloud_error,
            "hosts": {
                answer.host: {
                    "error": answer.error,
                    "health": answer.health.to_json() if answer.health else None,
                }
                for answer in self.hosts
            },
        }
