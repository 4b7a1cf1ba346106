"""What a repair answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from wholecard.audit.report import AuditReport
from wholecard.core import Action, Plan
from wholecard.core.finding import UNDECIDED
from wholecard.repair.operations.allocations import AllocationChange
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.reserved import ReservedChange
from wholecard.repair.operations.restart import RestartService
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

    `refused` are actions that were taken out by their guards; `notes` say what the audit could not
    read; it `is_undecided` where that is so, or something is in progress. `before_start` has by
    host the providers of which something has to be freed before its nova-compute can start.
    """

    plan: Plan
    steps: tuple[ManualStep, ...] = ()
    rules: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    is_undecided: bool = False
    before_start: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """1 where something is to be done; else UNDECIDED where that is not sure."""
        to_do = self.plan.actions or self.refused or any(not step.waits for step in self.steps)
        if to_do:
            return 1
        return UNDECIDED if self.is_undecided else 0

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells whose databases it writes."""
        changes = [action.do for action in self.plan.actions]
        rows = [change for change in changes if isinstance(change, DatabaseRowChange)]
        return tuple(sorted({change.cell for change in rows}))

    def without(self, refused: Mapping[Action, Refusal]) -> RepairPlan:
        """The plan without these actions, and without restarts that need one of them."""
        kept = frozenset(chain.from_iterable(freed_providers(action.do) for action in refused))
        restarts = {
            action: Refusal(
                f"{action.kind} {action.subject}",
                f"nova-compute on {action.do.host} would not start again: what has to be freed in "
                "Placement first was refused",
            )
            for action in self.plan.actions if isinstance(action.do, RestartService)
            and self.before_start.get(action.do.host, frozenset()) & kept
        }  # fmt: skip
        out = {**refused, **restarts}
        left = tuple(action for action in self.plan.actions if action not in out)
        more = (*self.refused, *out.values())
        return replace(self, plan=replace(self.plan, actions=left), refused=more)

    def to_json(self) -> dict[str, Any]:
        """`{"actions", "steps", "refused", "rules", "notes"}`, each of them a list."""
        return {
            "actions": self.plan.to_json()["actions"],
            "steps": [step.to_json() for step in self.steps],
            "refused": [row.to_json() for row in self.refused],
            "rules": list(self.rules),
            "notes": list(self.notes),
        }


def freed_providers(change: object) -> Iterable[str]:
    """The providers, by uuid, of which a change frees something."""
    if isinstance(change, ReservedChange):
        yield change.provider
    elif isinstance(change, AllocationChange):
        yield from (row.provider for each in change.changes for row in each.removed)


@dataclass(frozen=True)
class RepairReport:
    """What apply did: what it finished of an earlier run, its plan, its outcome, what remains.

    `remaining` is the audit that was made after it, None where nothing was changed.
    """

    planned: RepairPlan
    outcome: Outcome = field(default_factory=Outcome)
    finished: Outcome | None = None
    remaining: AuditReport | None = None

    @property
    def exit_status(self) -> int:
        """1 where findings remain or a guard refused; as the audit's otherwise."""
        if self.planned.refused:
            return 1
        if self.remaining is not None:
            return self.remaining.exit_status
        return self.planned.exit_status

    def to_json(self) -> dict[str, Any]:
        """What `Outcome` and `RepairPlan` have, and `remaining` as findings."""
        findings = self.remaining.findings if self.remaining else ()
        return {
            **self.outcome.to_json(),
            **self.planned.to_json(),
            "notes": [*self.planned.notes, *self.outcome.notes],
            "finished": None if self.finished is None else self.finished.to_json(),
            "remaining": [finding.to_json() for finding in findings],
        }
