"""Run a tool of the host's, such as update-grub."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.host.operations.bind_driver import in_root
from wholecard.transaction import syscalls

# update-initramfs takes a minute on an emulated processor, and there may be several kernels.
TOOL_TIMEOUT = 900.0


@dataclass(frozen=True)
class RunTool:
    """Run `argv`, whose results are the files that match `outputs` (absolute paths or globs).

    `timeout` is in seconds; then the tool and all that it started is killed. Undone, the outputs
    are put back. Where they are no longer what the tool left, `again` is run instead, on the
    former files; empty is `argv` itself, which is right for a tool that makes its outputs anew
    from files, and wrong for one that edits them.
    """

    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    timeout: float = TOOL_TIMEOUT
    again: tuple[str, ...] = ()

    def describe(self) -> str:
        """The command as a person would type it, and what it makes."""
        return f"$ {shlex.join(self.argv)}   # makes {' '.join(self.outputs)}"

    def to_json(self) -> dict[str, Any]:
        """`{"op": "run-tool", "argv": [...], "outputs": [...], "timeout", "again": [...]}`."""
        return {
            "op": "run-tool",
            "argv": list(self.argv),
            "outputs": list(self.outputs),
            "timeout": self.timeout,
            "again": list(self.again),
        }

    def run(self, root: Path, keep: tuple[int, ...] = ()) -> None:
        """Run it on the host, or under another root with chroot. Raises RunError."""
        syscalls.start(in_root(root, self.argv), self.timeout, keep)

    def run_again(self, root: Path, keep: tuple[int, ...] = ()) -> None:
        """Run what undoes it on outputs that have changed since. Raises RunError."""
        syscalls.start(in_root(root, self.again or self.argv), self.timeout, keep)
