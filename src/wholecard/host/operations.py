"""The two ways in which a host is changed: a file written, a tool run."""

from __future__ import annotations

import difflib
import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from wholecard.core import Action, Plan, WholecardError, run

# update-initramfs takes a minute on an emulated processor, and there may be several kernels.
TOOL_TIMEOUT = 900.0


@dataclass(frozen=True)
class WriteFile:
    """Write `content` to `path` with permission bits `mode`.

    `before` is the text that stood there when the plan was made, None for no file; applying is
    refused where something else stands there by then.
    """

    path: str
    content: str
    mode: int
    before: str | None = None
    before_mode: int | None = None

    @property
    def expect_sha256(self) -> str | None:
        """The digest of what must stand there before, None for no file."""
        return None if self.before is None else text_digest(self.before)

    def describe(self) -> str:
        """A unified diff, with the permission bits where they change."""
        lines = []
        if self.before is None or self.mode != self.before_mode:
            lines.append(f"mode {self.mode:04o}")
        lines.append(diff(self.before, self.content, self.path))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`{"op": "write-file", ...}` with the fields and `expect_sha256`."""
        return {"op": "write-file", **self.__dict__, "expect_sha256": self.expect_sha256}


@dataclass(frozen=True)
class RunTool:
    """Run `argv`, whose results are the files that match `outputs` (absolute paths or globs).

    `again` takes it back where its outputs have changed since and cannot be put back; without
    one the tool runs again, on the former files.
    """

    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    again: tuple[str, ...] = ()

    def describe(self) -> str:
        """The command as a person would type it, and what it makes."""
        return f"$ {shlex.join(self.argv)}   # makes {' '.join(self.outputs)}"

    def to_json(self) -> dict[str, Any]:
        """`{"op": "run-tool", "argv": [...], "outputs": [...]}`."""
        data: dict[str, Any] = {
            "op": "run-tool",
            "argv": list(self.argv),
            "outputs": list(self.outputs),
        }
        return {**data, "again": list(self.again)} if self.again else data

    def run(self, root: Path) -> None:
        """Run it on the host, or under another root with chroot. Raises RunError."""
        _run_in(root, self.argv)

    def run_again(self, root: Path) -> None:
        """Take it back by a tool, as `run` does."""
        _run_in(root, self.again or self.argv)


def _run_in(root: Path, argv: tuple[str, ...]) -> None:
    command = argv if root == Path("/") else ("chroot", str(root), *argv)
    run(command, timeout=TOOL_TIMEOUT, env={"LC_ALL": "C"})


HostOperation = Union[WriteFile, RunTool]


def text_digest(text: str) -> str:
    """The SHA-256 of a text as it is written to a file, in hex."""
    return hashlib.sha256(encode(text)).hexdigest()


def encode(text: str) -> bytes:
    """A text as bytes; what was no UTF-8 when it was read comes out as it was."""
    return text.encode("utf-8", "surrogateescape")


def diff(before: str | None, after: str | None, path: str) -> str:
    """A unified diff of two texts of the file `path`; None is no file."""
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else path,
        "/dev/null" if after is None else path,
        n=2,
        lineterm="",
    )
    return "\n".join(lines)


def operation_of(action: Action) -> HostOperation:
    """The action's operation, which in a host's plan is one of ours. Raises WholecardError."""
    if isinstance(action.do, (WriteFile, RunTool)):
        return action.do
    raise WholecardError(f"{action.kind} {action.subject} is not a change of a host")


def plan_from_json(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.to_json` for a host's plan. Raises WholecardError for other kinds."""
    actions = (
        Action(
            kind=entry["kind"],
            subject=entry["subject"],
            reason=entry["reason"],
            do=_operation(dict(entry["do"])),
            undo=entry["undo"],
        )
        for entry in data["actions"]
    )
    return Plan(tuple(actions), data["reboot_needed"])


def _operation(data: dict[str, Any]) -> HostOperation:
    op = data.pop("op")
    if op == "write-file":
        data.pop("expect_sha256")
        return WriteFile(**data)
    if op == "run-tool":
        return RunTool(tuple(data["argv"]), tuple(data["outputs"]), tuple(data.get("again", ())))
    raise WholecardError(
        f"unknown operation {op!r}", resolution="Use the release of Wholecard that wrote it."
    )
