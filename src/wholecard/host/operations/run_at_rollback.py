"""A tool that runs at rollback alone, when everything else has been given back.

Hooks of update-initramfs copy kernels, images and command lines to where no backup reaches: EFI
partitions that are mounted for a moment, flash memory. At rollback these copies are made again,
from the former files. The action is the first of its plan, so that a run which is killed at any
later point makes them again too.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, ClassVar

from wholecard.core import Step
from wholecard.host.operations.operation import HostContext, HostOperation
from wholecard.host.operations.run_tool import TOOL_TIMEOUT, start
from wholecard.transaction.json_fields import texts


@dataclass(frozen=True)
class RunAtRollback(HostOperation):
    """Run `argv` when the actions after this one are undone; applied, it does nothing.

    `timeout` is in seconds. The tool may run several times, where a rollback is interrupted.
    """

    kind: ClassVar[str] = "run-at-rollback"
    is_undone_last: ClassVar[bool] = True

    argv: tuple[str, ...]
    timeout: float = TOOL_TIMEOUT

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunAtRollback:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        return cls(texts(data["argv"]), float(data["timeout"]))

    def to_json(self) -> dict[str, Any]:
        """`{"op": "run-at-rollback", "argv": [...], "timeout"}`."""
        return {**super().to_json(), "argv": list(self.argv)}

    def describe(self) -> str:
        """The command as a person would type it, and when it runs."""
        return f"$ {shlex.join(self.argv)}   # at rollback, after the former files are restored"

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- nothing
        """Nothing."""
        return {}

    def is_late(self, context: HostContext, step: Step) -> bool:  # noqa: ARG002 -- always
        """Yes: it needs what the other actions give back."""
        return True

    def undo(self, context: HostContext, step: Step) -> None:  # noqa: ARG002 -- from any state
        """Run the tool. Raises RunError."""
        start(context, self.argv, self.timeout)
