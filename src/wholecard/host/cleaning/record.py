"""What the cleaning of a card did and saw, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wholecard.core import Finding

# The end of a cleaning. `busy`: nothing was done, for somebody still has the card. `not cleared`:
# the card works and shows memory of before. `out`: it cannot be reset, or does not work any more.
CLEAN, BUSY, NOT_CLEARED, OUT = "clean", "busy", "not cleared", "out"


@dataclass(frozen=True)
class CleanStep:
    """One change: what was done, and how it was undone or why it needs no undo."""

    what: str
    undo: str

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class FunctionState:
    """What a function says of itself at one moment.

    `alive` is whether its configuration space answers, `command` its command register, `power`
    `D0` to `D3hot`, empty without the capability. `bars` are the base address registers, in hex.
    `errors` are AER's totals (`correctable`, `nonfatal`, `fatal`), empty where the kernel does not
    count them. Link speeds are in GT/s, widths in lanes.
    """

    address: str
    alive: bool
    command: int = 0
    power: str = ""
    bars: str = ""
    link_speed: float | None = None
    link_width: int | None = None
    link_speed_max: float | None = None
    link_width_max: int | None = None
    errors: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {**self.__dict__, "errors": dict(self.errors)}


@dataclass(frozen=True)
class MemoryLook:
    """What was seen of the memory behind one BAR.

    Numbers are of pages of 4 KiB, those with `bytes` or `size` are of bytes. `constant` pages have
    one word all over, `data` pages anything else, `noise` pages what looks random. `kept` are those
    whose content is not zero and the same before and after the reset. `visible` is whether what was
    read is memory; `why` says why it is not. `overwritten_bytes` were set to zero.
    """

    address: str
    bar: int
    size: int
    looked_at_bytes: int = 0
    zero: int = 0
    constant: int = 0
    data: int = 0
    noise: int = 0
    kept: int = 0
    visible: bool = False
    why: str = ""
    overwritten_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class CleanReport:
    """A cleaning: `verdict` is one of the words above; `seconds` how long it took.

    `method` is how the card was reset (`flr`, `bus`, ...), empty where it was not.
    """

    slot: str
    functions: tuple[str, ...]
    verdict: str
    method: str = ""
    why_method: str = ""
    steps: tuple[CleanStep, ...] = ()
    before: tuple[FunctionState, ...] = ()
    after: tuple[FunctionState, ...] = ()
    memory: tuple[MemoryLook, ...] = ()
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The fields, records as objects."""
        return {
            "slot": self.slot,
            "functions": list(self.functions),
            "verdict": self.verdict,
            "method": self.method,
            "why_method": self.why_method,
            "steps": [step.to_json() for step in self.steps],
            "before": [state.to_json() for state in self.before],
            "after": [state.to_json() for state in self.after],
            "memory": [look.to_json() for look in self.memory],
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }
