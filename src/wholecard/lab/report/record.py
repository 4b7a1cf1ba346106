"""What a demo leaves: the stations of the way with what was seen there, the servers, the steps."""

from __future__ import annotations

import dataclasses
import enum
import json
from dataclasses import dataclass, field
from typing import Any

from wholecard.core import Finding
from wholecard.lab.base.steps import Step

# What `explain` says where all cards are given.
TAKEN = "WC318"


@dataclass(frozen=True)
class Station:
    """One station of the way of a card, and what was really seen there while the server stood."""

    key: str  # api, amqp, scheduler, compute, kvm, vfio, card
    name: str
    seen: tuple[str, ...]


@dataclass(frozen=True)
class ProofRow:
    """One function that a server's guest was to have: where it lies on the host and in the guest.

    `host_address`, `guest_address`, `driver` are empty where it was not seen.
    """

    name: str
    ids: str
    host_address: str
    guest_address: str
    driver: str
    bars: str


@dataclass(frozen=True)
class ServerRecord:
    """One server: what was asked, how it went, what its guest reported."""

    name: str
    flavor: str
    asked: str
    status: str
    host: str
    fault: str
    seconds_to_active: float
    seconds_to_proof: float | None
    refusal_expected: bool
    rows: tuple[ProofRow, ...]
    findings: tuple[Finding, ...]

    @property
    def as_it_should_be(self) -> bool:
        """Whether it ended as it was to end: proved, or refused where no card was left.

        WC403 is told and counts as an answer: nova chooses the functions of a server one by one
        and cannot keep those of a card together, so the proof alone knows.
        """
        if self.refusal_expected:
            # WC318: the cards are there, and others have them.
            told = [each.rule for each in self.findings]
            return self.status == "ERROR" and "No valid host" in self.fault and told == [TAKEN]
        return self.status == "ACTIVE" and all(each.rule == "WC403" for each in self.findings)


@dataclass
class DemoRecord:
    """Everything that the report shows and `benchmarks/results/` keeps."""

    started: str
    machine: str
    layout: str
    accelerator: str
    accelerator_why: str
    rootless: bool
    warm: bool
    versions: dict[str, str] = field(default_factory=dict)
    stations: list[Station] = field(default_factory=list)
    servers: list[ServerRecord] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    seconds_to_proof: float = 0.0
    seconds: float = 0.0
    memory_bytes: dict[str, int] = field(default_factory=dict)

    def numbers(self) -> dict[str, Any]:
        """The figures alone, without evidence: for `benchmarks/results/`."""
        return {
            "started": self.started, "machine": self.machine, "layout": self.layout,
            "accelerator": self.accelerator, "warm": self.warm,
            "seconds_to_proof": round(self.seconds_to_proof, 1), "seconds": round(self.seconds, 1),
            "memory_mib": {name: size >> 20 for name, size in self.memory_bytes.items()},
            "versions": self.versions,
            "steps": [
                {"title": step.title, "started": round(step.started, 1),
                 "seconds": round(step.seconds or 0.0, 1)} for step in self.steps
            ],
        }  # fmt: skip

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, default=_plain)


def _plain(value: object) -> str:
    """What JSON has no word for: a finding's severity by its value."""
    return str(value.value if isinstance(value, enum.Enum) else value)
