"""What the hand-over knows of a card between two tenants, as records."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wholecard.core import Finding
from wholecard.core.rules import RULES


class CardState(enum.StrEnum):
    """Where a card is on its way from one tenant to the next.

    WAITING: it is to be cleaned, and could not be yet. CLEANING: its host is at it, or was when
    the hand-over ended. CLEAN: cleaned, and not yet given back. GIVEN_BACK: nova may give it again.
    NOT_CLEARED (the reset left its memory as it was) and OUT: it stays reserved until an operator
    decides. KEPT: an operator keeps it out. `wholecard health` calls a card `dirty` in all of these
    but GIVEN_BACK.
    """

    WAITING = "waiting"
    CLEANING = "cleaning"
    CLEAN = "clean"
    GIVEN_BACK = "given back"
    NOT_CLEARED = "not cleared"
    OUT = "out"
    KEPT = "kept"


# These are not cleaned again until an operator says so.
STAYING = frozenset({CardState.NOT_CLEARED, CardState.OUT, CardState.KEPT})


@dataclass(frozen=True)
class CardRecord:
    """One card as the hand-over has it on disk.

    `host` is the hypervisor's host name, `provider` the uuid of the card's resource provider.
    `generation` is the provider's when its cleaning began: a card is given back only as that use
    of it left it. `rule` and `reason` say why it is where it is; `fix` what to do. `since` is a
    time in UTC as ISO 8601 has it; `tries` how often its cleaning was begun since it was used.
    `seen` is what the last cleaning saw, in short.
    """

    host: str
    address: str
    provider: str
    state: CardState
    generation: int = 0
    rule: str = ""
    reason: str = ""
    fix: str = ""
    since: str = ""
    tries: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """`gpu-01 0000:88:00.0`."""
        return f"{self.host} {self.address}"

    def finding(self) -> Finding | None:
        """Why the card is not given back; None for one that is, or is on its way."""
        if not self.rule or self.state in (CardState.GIVEN_BACK, CardState.CLEAN):
            return None
        return Finding(self.rule, self.name, RULES[self.rule].severity, self.reason, self.fix)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {**self.__dict__, "state": self.state.value, "seen": dict(self.seen)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CardRecord:
        """The inverse of `to_json`. Raises TypeError, ValueError or KeyError."""
        record = cls(**{**data, "state": CardState(data["state"])})
        if record.rule and record.rule not in RULES:
            raise ValueError(f"no such rule: {record.rule}")
        return record


@dataclass(frozen=True)
class Counters:
    """What a hand-over has done since its state began, for the exporter.

    `notifications` are those that named an end of a server's use, `rounds` looks at Placement,
    `conflicts` refusals with 409, `failures` rounds or cleanings that broke.
    """

    rounds: int = 0
    notifications: int = 0
    cleanings: int = 0
    given_back: int = 0
    not_cleared: int = 0
    out: int = 0
    conflicts: int = 0
    failures: int = 0
    seconds_cleaning: float = 0.0

    def plus(self, **more: float) -> Counters:
        """The counters with these added."""
        return replace(self, **{name: getattr(self, name) + count for name, count in more.items()})


@dataclass(frozen=True)
class HandoverStatus:
    """The cards that the hand-over knows, by host and address, and what it has done."""

    cards: tuple[CardRecord, ...] = ()
    counters: Counters = Counters()
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A finding for each card that is not given back."""
        return tuple(each for each in (card.finding() for card in self.cards) if each is not None)

    def to_json(self) -> dict[str, Any]:
        """`{"cards", "counters", "findings", "notes"}`."""
        return {
            "cards": [card.to_json() for card in self.cards],
            "counters": dict(self.counters.__dict__),
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }
