"""Load a kernel module in the running kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from wholecard.core import Step
from wholecard.core.module_names import is_module_name
from wholecard.host.operations.operation import HostContext, HostOperation
from wholecard.host.operations.run_tool import start
from wholecard.transaction.json_fields import text

_LOAD_TIMEOUT = 60.0


@dataclass(frozen=True)
class LoadModule(HostOperation):
    """Load a kernel module. It is not unloaded again: others may use it by then."""

    kind: ClassVar[str] = "load-module"

    module: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LoadModule:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        module = text(data["module"])
        if not is_module_name(module):
            raise ValueError(f"{module!r} is not the name of a kernel module")
        return cls(module)

    def describe(self) -> str:
        """The command as a person would type it."""
        return f"$ modprobe {self.module}"

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Load it; one that is loaded stays so. Raises RunError."""
        start(context, ("modprobe", self.module), _LOAD_TIMEOUT)
        return {}

    def undo(self, context: HostContext, step: Step) -> str:  # noqa: ARG002 -- nothing to undo
        """Leave it."""
        return f"module {self.module} stays loaded until the host is rebooted"
