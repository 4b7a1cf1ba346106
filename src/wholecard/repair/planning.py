"""Disagreements become a plan: one action for each thing that is to be changed.

Two findings of the same row, consumer, provider or host become one action, so that whichever of
them is repaired first, the same is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from wholecard.audit import fact_names as names
from wholecard.audit.record import Disagreement
from wholecard.core import Action, Plan
from wholecard.repair.operations.allocations import AllocationChange
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.provider import ProviderRemoval
from wholecard.repair.operations.provider_parent import ProviderParentChange
from wholecard.repair.operations.registry import CLASSES
from wholecard.repair.operations.reserved import ReservedChange
from wholecard.repair.operations.resize import ResizeDecision
from wholecard.repair.record import RepairPlan, freed_providers
from wholecard.repair.remedies.case import ManualStep, Placement, RepairCase, RepairOptions
from wholecard.repair.remedies.nova_itself import restart, wait
from wholecard.repair.remedies.placement import joined
from wholecard.repair.remedies.registry import REPAIRS


@dataclass(frozen=True)
class RepairFilter:
    """Which disagreements are repaired; empty means all."""

    rules: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()

    def accepts(self, row: Disagreement) -> bool:
        """Whether it is one of these."""
        return (
            (not self.rules or row.rule in self.rules)
            and (not self.hosts or row.host in self.hosts)
            and (not self.servers or row.server in self.servers)
        )


def plan_repair(
    disagreements: Iterable[Disagreement],
    placement: Placement,
    options: RepairOptions,
    now: datetime,
    only: RepairFilter = RepairFilter(),
) -> RepairPlan:
    """The plan for the disagreements that the filter accepts. Raises CloudError.

    `now` is naive UTC; rows that are changed get it as `updated_at`.
    """
    listed = sorted(disagreements, key=lambda row: row.key)
    stamp = now.replace(microsecond=0).isoformat()
    cases = [case for case in _cases(listed, placement, options, stamp)
             if only.accepts(case.disagreement)]  # fmt: skip
    failing = [row for row in listed if row.facts.get(names.START_FAILS)]
    given = [*_decisions(options), *_answered(cases, failing)]
    merged = _merged([each for each in given if isinstance(each, Action)], placement)
    steps = _told_once(each for each in given if isinstance(each, ManualStep))
    rules = dict.fromkeys(case.disagreement.rule for case in cases)
    return RepairPlan(Plan(tuple(merged)), steps, tuple(rules), before_start=_before(failing))


def _cases(
    listed: Sequence[Disagreement], placement: Placement, options: RepairOptions, stamp: str
) -> Iterator[RepairCase]:
    """Each disagreement that has a repair, with the other rules of the same device."""
    beside: dict[tuple[str, str], set[str]] = {}
    for row in listed:
        beside.setdefault((row.host, row.address), set()).add(row.rule)
    for row in listed:
        if row.rule in REPAIRS:
            others = frozenset(beside[row.host, row.address] - {row.rule})
            yield RepairCase(row, options, placement, stamp, others)


def _answered(
    cases: Sequence[RepairCase], failing: Iterable[Disagreement]
) -> list[Action | ManualStep]:
    """What the remedies answer; no restart of a nova-compute that would not start again."""
    answers = [_answers(case) for case in cases]
    blocked = _blocked(failing, chain.from_iterable(answers))
    again = [
        _answers(replace(case, first=blocked[case.host])) if case.host in blocked else answer
        for case, answer in zip(cases, answers, strict=True)
    ]
    return list(chain.from_iterable(again))


def _before(failing: Iterable[Disagreement]) -> dict[str, frozenset[str]]:
    """By host the providers that keep its nova-compute from starting."""
    before: dict[str, frozenset[str]] = {}
    for row in failing:
        before[row.host] = before.get(row.host, frozenset()) | {row.facts[names.PROVIDER]}
    return before


def _blocked(
    failing: Iterable[Disagreement], answers: Iterable[Action | ManualStep]
) -> dict[str, Disagreement]:
    """By host what keeps its nova-compute from starting, and is not repaired by these answers."""
    changes = (answer.do for answer in answers if isinstance(answer, Action))
    freed = set(chain.from_iterable(map(freed_providers, changes)))
    blocked: dict[str, Disagreement] = {}
    # What is missing (WC523) nova-compute writes itself, once what is too much has gone.
    for row in sorted(failing, key=lambda row: row.rule == "WC523"):
        if row.facts[names.PROVIDER] not in freed:
            blocked.setdefault(row.host, row)
    return blocked


def _decisions(options: RepairOptions) -> list[Action]:
    """The resizes that the operator decides."""
    decided = [(server, True) for server in options.confirm]
    decided += [(server, False) for server in options.revert - options.confirm]
    return [
        Action(
            ResizeDecision.kind, f"of server {server}",
            f"the operator decided to {'confirm' if confirm else 'revert'} it",
            ResizeDecision(server, confirm), "nova cannot undo it",
        )
        for server, confirm in sorted(decided)
    ]  # fmt: skip


def _answers(case: RepairCase) -> list[Action | ManualStep]:
    """The answer of the first remedy that has one, and what has to follow it."""
    for remedy in (wait, *REPAIRS[case.disagreement.rule].remedies):
        answer = remedy(case)
        if answer is None:
            continue
        if isinstance(answer, Action) and isinstance(answer.do, DatabaseRowChange):
            return _with_restart(case, answer)
        return [answer]
    return []


def _with_restart(case: RepairCase, change: Action) -> list[Action | ManualStep]:
    """A change of a row, and the restart: a running nova-compute has the former row in memory."""
    if not case.compute_is_up:
        return [change]
    if case.first:
        return [restart(case)]
    if case.options.restart_compute:
        return [change, restart(case)]
    return [
        change,
        case.by_hand(
            "Restart nova-compute on {host} right after the repair, or let repair do it: "
            "--restart-compute.",
            "It has the former row in memory, and acts by that until it is restarted.",
        ),
    ]


def _merged(actions: Sequence[Action], placement: Placement) -> list[Action]:
    """One action for each thing, in the order of their kinds."""
    order = {operation.kind: number for number, operation in enumerate(CLASSES)}
    groups: dict[tuple[str, ...], list[Action]] = {}
    for action in actions:
        if not isinstance(action.do, AllocationChange):
            groups.setdefault(_object(action), []).append(action)
    merged = [_one(group) for group in groups.values()]
    for group in _by_consumer(actions):
        consumers = {uuid: placement.consumer(uuid) for uuid in _consumers(group)}
        merged.append(joined(group, consumers))
    return sorted(merged, key=lambda action: (order[action.kind], action.subject))


def _by_consumer(actions: Sequence[Action]) -> list[list[Action]]:
    """Changes of allocations in groups that have no consumer in common."""
    groups: list[list[Action]] = []
    for action in actions:
        if not isinstance(action.do, AllocationChange):
            continue
        together = [group for group in groups if _consumers(group) & _consumers([action])]
        groups = [group for group in groups if group not in together]
        groups.append([*chain.from_iterable(together), action])
    return groups


def _consumers(actions: Iterable[Action]) -> set[str]:
    changes = (action.do for action in actions)
    return {
        each.consumer
        for change in changes if isinstance(change, AllocationChange)
        for each in change.changes
    }  # fmt: skip


def _object(action: Action) -> tuple[str, ...]:
    """What is changed: two actions on the same are one."""
    change = action.do
    if isinstance(change, DatabaseRowChange):
        return change.kind, change.cell, str(change.row_id)
    if isinstance(change, ReservedChange):
        return change.kind, change.provider, change.resource_class
    if isinstance(change, (ProviderRemoval, ProviderParentChange)):
        return "provider", change.provider
    return action.kind, action.subject


def _one(actions: list[Action]) -> Action:
    """The first by its rule; the reasons of those that would do the same are its own too.

    Another change of the same object is left to the next audit, which sees it after this one.
    """
    first = actions[0]
    same = [action for action in actions if action.do == first.do]
    return replace(first, reason="; ".join(dict.fromkeys(action.reason for action in same)))


def _told_once(steps: Iterable[ManualStep]) -> tuple[ManualStep, ...]:
    """Of the same step for the same host and the same server one is enough: with its rules."""
    groups: dict[tuple[str, str], list[ManualStep]] = {}
    for step in steps:
        groups.setdefault((step.text, step.reason), []).append(step)
    return tuple(
        replace(
            group[0],
            rule=", ".join(dict.fromkeys(step.rule for step in group)),
            subject=", ".join(dict.fromkeys(step.subject for step in group)),
        )
        for group in groups.values()
    )
