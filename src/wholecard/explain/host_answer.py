"""The results of one host's checks, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from wholecard.explain.check_result import CheckResult, State, first_failed

Answer = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class HostAnswer:
    """The results of one host's checks.

    `for_cards` is false for a host of which it is known that it has no card, or that nova uses
    none of them.
    """

    name: str
    checks: tuple[CheckResult, ...]
    for_cards: bool = True

    @cached_property
    def failed(self) -> CheckResult | None:
        """The first check that failed."""
        return first_failed(self.checks)

    @cached_property
    def unknown(self) -> tuple[CheckResult, ...]:
        """The checks without the facts that they need."""
        return tuple(result for result in self.checks if result.state == "unknown")

    @cached_property
    def unknown_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(result.name for result in self.unknown)

    @cached_property
    def states(self) -> tuple[tuple[str, State], ...]:
        """Each check's name and how it ended."""
        return tuple((result.name, result.state) for result in self.checks)

    @cached_property
    def answer(self) -> Answer:
        """Whether the host would take the server."""
        if self.failed:
            return "no"
        return "unknown" if self.unknown else "yes"

    def having(self, rule: str) -> tuple[CheckResult, ...]:
        """The results with this rule."""
        return tuple(result for result in self.checks if result.rule == rule)
