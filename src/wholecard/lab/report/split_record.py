"""What the demo of slices leaves: who got one, who was refused, and each live move."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from wholecard.lab.base.steps import LabStep


@dataclass(frozen=True)
class SliceServer:
    """One server that asked for a slice: how it ended, where, and who said no."""

    name: str
    status: str
    host: str
    fault: str
    refusal_expected: bool

    @property
    def as_it_should_be(self) -> bool:
        """Whether it got its slice, or was refused where none was left."""
        if self.refusal_expected:
            return self.status == "ERROR" and "No valid host" in self.fault
        return self.status == "ACTIVE"


@dataclass(frozen=True)
class LiveMove:
    """One live move. Seconds: `said` and `pause` are of the guest's pause, before and after.

    `pause` is None where libvirt did not tell. `before` and `after` are the guest's steps around
    the move, `lost` how many of its steps did not find all well, `same_boot` whether the guest is
    the same.
    """

    server: str
    source: str
    target: str
    why: str
    seconds: float
    said: float | None
    pause: float | None
    before: int
    after: int
    lost: int
    same_boot: bool

    @property
    def is_good(self) -> bool:
        """Whether the guest did not notice."""
        return self.same_boot and self.lost == 0 and self.after > self.before


@dataclass
class SplitRecord:
    """Everything that the page shows. `audits` are moments and the rules that were found."""

    started: str
    machine: str
    accelerator: str = ""
    accelerator_why: str = ""
    servers: list[SliceServer] = field(default_factory=list)
    moves: list[LiveMove] = field(default_factory=list)
    audits: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    steps: list[LabStep] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> tuple[str, ...]:
        """A sentence for each thing that is not as it should be."""
        lines = [f"step failed: {step.title}" for step in self.steps if step.failed]
        lines += [f"{one.name}: it is {one.status}" for one in self.servers
                  if not one.as_it_should_be]  # fmt: skip
        lines += [f"{move.server} to {move.target}: its guest lost something" for move in self.moves
                  if not move.is_good]  # fmt: skip
        lines += [f"audit {moment}: {', '.join(rules)}" for moment, rules in self.audits if rules]
        return tuple(lines) if lines or self.moves else ("no server was moved",)

    def numbers(self) -> dict[str, Any]:
        """The figures alone, without evidence."""
        return {
            "started": self.started, "machine": self.machine, "accelerator": self.accelerator,
            "seconds": round(self.seconds, 1), "servers": [asdict(one) for one in self.servers],
            "moves": [asdict(move) for move in self.moves],
            "audits": {moment: list(rules) for moment, rules in self.audits},
        }  # fmt: skip
