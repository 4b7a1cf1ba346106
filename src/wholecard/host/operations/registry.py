"""Every operation on a host by its name in a journal, and plans read back from there.

A new kind of operation is a file beside this one and a line in `OPERATIONS`.
"""

from __future__ import annotations

from typing import Any

from wholecard.core import Action, Plan, WholecardError
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.host.operations.bind_vf import BindVf
from wholecard.host.operations.install_agent import InstallAgent
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.make_vfs import MakeVfs
from wholecard.host.operations.mix_sizes import MixSizes
from wholecard.host.operations.operation import HostOperation
from wholecard.host.operations.run_at_rollback import RunAtRollback
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.set_mig import SetMig
from wholecard.host.operations.set_scheduling import SetScheduling
from wholecard.host.operations.set_vgpu_type import SetVgpuType
from wholecard.host.operations.start_mdev import StartMdev
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction.json_fields import read_plan

# What makes the parts of a card, and is lost when the host goes down.
OF_SLICES: tuple[type[HostOperation], ...] = (
    MakeVfs, SetVgpuType, BindVf, SetScheduling, StartMdev, SetMig, MixSizes,
)  # fmt: skip
# Of those, and what they need at the same time: lost when the host goes down too.
RUNTIME: tuple[type[HostOperation], ...] = (*OF_SLICES, LoadModule)
_CLASSES: tuple[type[HostOperation], ...] = (
    WriteFile, RunTool, RunAtRollback, LoadModule, BindDriver, InstallAgent, *OF_SLICES,
)  # fmt: skip
OPERATIONS = {operation.kind: operation for operation in _CLASSES}


def operation_of(action: Action) -> HostOperation:
    """The action's operation, which in a host's plan is a host's. Raises WholecardError."""
    if isinstance(action.do, HostOperation):
        return action.do
    raise WholecardError(f"{action.kind} {action.subject} is not a change of a host")


def plan_from_json(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.to_json` for a host's plan. Raises as `read_plan` does."""
    return read_plan(data, {kind: operation.from_json for kind, operation in OPERATIONS.items()})
