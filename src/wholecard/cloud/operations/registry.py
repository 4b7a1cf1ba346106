"""Every kind of change of a cloud by its name in a journal, and plans read back from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from wholecard.cloud.operations.aggregates import AddHosts, CreateAggregate, SetAggregateMetadata
from wholecard.cloud.operations.flavors import CreateFlavor, GiveFlavor, SetExtraSpecs
from wholecard.cloud.operations.images import SetImageProperties, UploadImage
from wholecard.cloud.operations.operation import CloudOperation
from wholecard.cloud.operations.quotas import RegisterLimit, SetLimit, SetQuota
from wholecard.cloud.operations.traits import CreateTrait, SetHostTraits
from wholecard.core import Action, Plan, WholecardError

Kinds = Mapping[str, type[Any]]

KINDS: Kinds = {
    kind.op: kind
    for kind in (
        *(CreateFlavor, SetExtraSpecs, GiveFlavor, UploadImage, SetImageProperties),
        *(CreateAggregate, SetAggregateMetadata, AddHosts, CreateTrait, SetHostTraits),
        *(SetQuota, RegisterLimit, SetLimit),
    )
}


def change_of(action: Action) -> CloudOperation:
    """The action's operation, which in a cloud's plan is a change. Raises WholecardError."""
    if isinstance(action.do, CloudOperation):
        return action.do
    raise WholecardError(f"{action.kind} {action.subject} is not a change of a cloud")


def plan_from_json(data: dict[str, Any], kinds: Kinds = KINDS) -> Plan:
    """The inverse of `Plan.to_json` for a cloud's plan.

    Raises WholecardError for an operation that this release does not know, and ValueError,
    TypeError or KeyError for what is no plan.
    """
    text = TypeAdapter(str).validate_python
    actions = (
        Action(
            kind=text(row["kind"]),
            subject=text(row["subject"]),
            reason=text(row["reason"]),
            do=_change(dict(row["do"]), kinds),
            undo=text(row["undo"]),
        )
        for row in data["actions"]
    )
    return Plan(tuple(actions))


def _change(data: dict[str, Any], kinds: Kinds) -> CloudOperation:
    op = data.pop("op")
    if op not in kinds:
        raise WholecardError(
            f"unknown operation {op!r}", resolution="Use the release of Wholecard that wrote it."
        )
    made: CloudOperation = TypeAdapter(kinds[op]).validate_python(data)
    return made
