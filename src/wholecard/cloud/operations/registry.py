"""Every operation on a cloud by its name in a journal, and plans read back from there.

A new kind of operation is a file beside this one and a line in `OPERATIONS`.
"""

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

Operations = Mapping[str, type[CloudOperation]]

_CLASSES: tuple[type[CloudOperation], ...] = (
    *(CreateFlavor, SetExtraSpecs, GiveFlavor, UploadImage, SetImageProperties),
    *(CreateAggregate, SetAggregateMetadata, AddHosts, CreateTrait, SetHostTraits),
    *(SetQuota, RegisterLimit, SetLimit),
)
OPERATIONS: Operations = {operation.kind: operation for operation in _CLASSES}


def plan_from_json(data: dict[str, Any], operations: Operations = OPERATIONS) -> Plan:
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
            do=_operation(row["do"], operations),
            undo=text(row["undo"]),
        )
        for row in data["actions"]
    )
    return Plan(tuple(actions))


def _operation(data: dict[str, Any], operations: Operations) -> CloudOperation:
    fields = {key: value for key, value in data.items() if key != "op"}
    if data["op"] not in operations:
        raise WholecardError(
            f"unknown operation {data['op']!r}",
            resolution="Use the release of Wholecard that wrote it.",
        )
    operation: CloudOperation = TypeAdapter(operations[data["op"]]).validate_python(fields)
    return operation
