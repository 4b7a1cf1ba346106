"""Every repair by its name in a journal, and plans read back from there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from wholecard.core import Plan
from wholecard.repair.operations.allocations import AllocationChange
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.operation import RepairOperation
from wholecard.repair.operations.provider import ProviderRemoval
from wholecard.repair.operations.provider_parent import ProviderParentChange
from wholecard.repair.operations.reserved import ReservedChange
from wholecard.repair.operations.resize import ResizeDecision
from wholecard.repair.operations.restart import RestartService
from wholecard.transaction.json_fields import read_plan

# In the order in which a plan has them: what frees something first, nova-compute at the end.
CLASSES: tuple[type[RepairOperation], ...] = (
    ResizeDecision,
    DatabaseRowChange,
    AllocationChange,
    ReservedChange,
    ProviderParentChange,
    ProviderRemoval,
    RestartService,
)
OPERATIONS: Mapping[str, type[RepairOperation]] = {each.kind: each for each in CLASSES}


def plan_from_json(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.to_json` for a repair. Raises as `read_plan` does."""
    return read_plan(data, {kind: _adapter(kind).validate_python for kind in OPERATIONS})


@cache
def _adapter(kind: str) -> TypeAdapter[RepairOperation]:
    # Building one takes longer than reading a journal with it.
    return TypeAdapter(OPERATIONS[kind])
