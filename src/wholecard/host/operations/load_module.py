"""Load a kernel module in the running kernel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.host.operations.bind_driver import in_root
from wholecard.transaction import syscalls

_LOAD_TIMEOUT = 60.0


@dataclass(frozen=True)
class LoadModule:
    """Load a kernel module. It is not unloaded again: others may use it by then."""

    module: str

    def describe(self) -> str:
        """The command as a person would type it."""
        return f"$ modprobe {self.module}"

    def to_json(self) -> dict[str, Any]:
        """`{"op": "load-module", "module"}`."""
        return {"op": "load-module", **self.__dict__}

    def run(self, root: Path, keep: tuple[int, ...] = ()) -> None:
        """Load it; one that is loaded stays so. Raises RunError."""
        syscalls.start(in_root(root, ("modprobe", self.module)), _LOAD_TIMEOUT, keep)
