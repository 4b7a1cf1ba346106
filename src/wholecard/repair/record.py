"""What a repair answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wholecard.audit.report import AuditReport
from wholecard.core import Action, Plan
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.remedies.case import ManualStep
from wholecard.transaction.engine import Outcome


@dataclass(frozen=True)
class Refusal:
    """An action that a guard keeps from being done, and why."""

    action: str
    brief: str
    details: str = ""
    resolution: str = ""

    def to_json(self) -> dict[str, str]:
        """The fields."""
        return {**self.__dict__}


@dataclass(frozen=True)
class RepairPlan:
    """The actions, what is left to a person, and the rules whose findings they are for.

    `refused` are actions that were taken out by their guards.
    """

    plan: Plan
    steps: tuple[ManualStep, ...] = ()
    rules: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells whose databases it writes."""
        changes = [action.do for action in self.plan.actions]
        rows = [change for change in changes if isinstance(change, DatabaseRowChange)]
        return tuple(sorted({change.cell for change in rows}))

    def without(self, refused: Mapping[Action, Refusal]) -> RepairPlan:
        """The plan without these actions."""
        left = tuple(action for action in self.plan.actions if action not in refused)
        more = (*self.refused, *refused.values())
        return replace(self, plan=replace(self.plan, actions=left), refused=more)

    def to_json(self) -> dict[str, Any]:
        """`{"actions": [...], "steps": [...], "refused": [...], "rules": [...]}`."""
        return {
            "actions": self.plan.to_json()["actions"],
            "steps": [step.to_json() for step in self.steps],
            "refused": [row.to_json() for row in self.refused],
            "rules": list(self.rules),
        }


@dataclass(frozen=True)
class RepairReport:
    """What apply did: what it finished of an earlier run, its plan, its outcome, what remains.

    `remaining` is the audit that was made after it, None where nothing was changed.
    """

    planned: RepairPlan
    outcome: Outcome = field(default_factory=Outcome)
    finished: Outcome | None = None
    remaining: AuditReport | None = None

    def to_json(self) -> dict[str, Any]:
        """What `Outcome` and `RepairPlan` have, and `remaining` as findings."""
        findings = self.remaining.findings if self.remaining else ()
        return {
            **self.planned.to_json(),
            **self.outcome.to_json(),
            "finished": None if self.finished is None else self.finished.to_json(),
            "remaining": [finding.to_json() for finding in findings],
        }
