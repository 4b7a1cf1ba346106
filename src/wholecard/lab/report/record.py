"""What a demo leaves: the stations of the way and what was seen there, the servers, the steps."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from wholecard.core import Finding
from wholecard.lab.base.steps import LabStep

# What `explain` says where servers have all the cards.
TAKEN = "WC318"


@dataclass(frozen=True)
class Station:
    """One station of the way of a card, and what was seen there while the server ran."""

    key: str  # api, amqp, scheduler, compute, kvm, vfio, card
    name: str
    seen: tuple[str, ...]


@dataclass(frozen=True)
class ProofRow:
    """One function that a server's guest must have: its addresses on the host and in the guest.

    `host_address`, `guest_address` and `driver` are empty where it was not seen.
    """

    name: str
    ids: str
    host_address: str
    guest_address: str
    driver: str
    bars: str


@dataclass(frozen=True)
class ServerRecord:
    """One server: what was asked for, its end, what its guest reported.

    `lines` are what else the guest reported: who counts the cards, the benchmark.
    """

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
    lines: tuple[str, ...] = ()

    @property
    def as_it_should_be(self) -> bool:
        """Whether it ended as it should: proved, or refused where no card was left."""
        rules = [finding.rule for finding in self.findings]
        if self.refusal_expected:
            return self.status == "ERROR" and "No valid host" in self.fault and rules == [TAKEN]
        return self.status == "ACTIVE" and not rules


@dataclass(frozen=True)
class MoveMoment:
    """A moment of a server's move: what an audit said, and whose the cards are in nova.

    `held` has a line for each host and status of nova's rows: `gpu-01: 2 allocated`.
    """

    moment: str
    audit: str
    held: tuple[str, ...]


@dataclass
class DemoRecord:
    """Everything that the report shows and `benchmarks/results/` keeps."""

    started: str
    machine: str
    topology: str
    accelerator: str
    accelerator_why: str
    rootless: bool
    warm: bool
    versions: dict[str, str] = field(default_factory=dict)
    stations: list[Station] = field(default_factory=list)
    servers: list[ServerRecord] = field(default_factory=list)
    moves: list[MoveMoment] = field(default_factory=list)
    steps: list[LabStep] = field(default_factory=list)
    seconds_to_proof: float = 0.0
    seconds: float = 0.0
    memory_bytes: dict[str, int] = field(default_factory=dict)

    def numbers(self) -> dict[str, Any]:
        """The figures alone, without evidence: for `benchmarks/results/`."""
        return {
            "started": self.started, "machine": self.machine, "topology": self.topology,
            "accelerator": self.accelerator, "warm": self.warm,
            "seconds_to_proof": round(self.seconds_to_proof, 1), "seconds": round(self.seconds, 1),
            "memory_mib": {name: size >> 20 for name, size in self.memory_bytes.items()},
            "versions": self.versions,
            "moves": [{"moment": row.moment, "held": list(row.held)} for row in self.moves],
            "steps": [
                {"title": step.title, "started": round(step.started, 1),
                 "seconds": round(step.seconds or 0.0, 1)} for step in self.steps
            ],
        }  # fmt: skip

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(asdict(self), indent=1, default=_plain)


def _plain(value: object) -> str:
    """What JSON has no type for: an enumeration by its value."""
    return str(value.value if isinstance(value, enum.Enum) else value)
