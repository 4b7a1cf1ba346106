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
from wholecard.core import Plan
from wholecard.transaction.json_fields import read_plan

Operations = Mapping[str, type[CloudOperation]]

_CLASSES: tuple[type[CloudOperation], ...] = (
    *(CreateFlavor, SetExtraSpecs, GiveFlavor, UploadImage, SetImageProperties),
    *(CreateAggregate, SetAggregateMetadata, AddHosts, CreateTrait, SetHostTraits),
    *(SetQuota, RegisterLimit, SetLimit),
)
OPERATIONS: Operations = {operation.kind: operation for operation in _CLASSES}


def plan_from_json(data: dict[str, Any], operations: Operations = OPERATIONS) -> Plan:
    """The inverse of `Plan.to_json` for a cloud's plan. Raises as `read_plan` does."""
    adapters = {kind: TypeAdapter(operation) for kind, operation in operations.items()}
    return read_plan(data, {kind: each.validate_python for kind, each in adapters.items()})
