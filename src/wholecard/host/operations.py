"""The ways in which a host is changed: a file written, a tool run, a driver bound."""

from __future__ import annotations

import difflib
import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union

from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host.driver import BindDriver, LoadModule, in_root
from wholecard.pci import Address
from wholecard.transaction import syscalls

# update-initramfs takes a minute on an emulated processor, and there may be several kernels.
TOOL_TIMEOUT = 900.0


@dataclass(frozen=True)
class WriteFile:
    """Write `content` to `path` with permission bits `mode`.

    `before` is the text that stood there when the plan was made, None for no file; applying is
    refused where something else stands there by then. A `private` file may hold passwords: its
    text is shown nowhere, and the journal's copy is for its owner alone.
    """

    path: str
    content: str
    mode: int
    before: str | None = None
    before_mode: int | None = None
    private: bool = False

    @property
    def expect_sha256(self) -> str | None:
        """The digest of what must stand there before, None for no file."""
        return None if self.before is None else text_digest(self.before)

    def describe(self) -> str:
        """A unified diff, with the permission bits where they change."""
        if self.private:
            return f"{self.path} is written anew; its text may hold passwords and is not shown"
        lines = []
        if self.before is None or self.mode != self.before_mode:
            lines.append(f"mode {self.mode:04o}")
        lines.append(diff(self.before, self.content, self.path))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`{"op": "write-file", ...}` with the fields and `expect_sha256`."""
        fields = {**self.__dict__, "expect_sha256": self.expect_sha256}
        if not self.private:
            del fields["private"]
        return {"op": "write-file", **fields}


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


HostOperation = Union[WriteFile, RunTool, LoadModule, BindDriver]


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
    if isinstance(action.do, (WriteFile, RunTool, LoadModule, BindDriver)):
        return action.do
    raise WholecardError(f"{action.kind} {action.subject} is not a change of a host")


def plan_from_json(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.to_json` for a host's plan.

    Raises WholecardError for an operation that this release does not know, and ValueError,
    TypeError or KeyError for what is no plan.
    """
    actions = (
        Action(
            kind=_text(entry["kind"]),
            subject=_text(entry["subject"]),
            reason=_text(entry["reason"]),
            do=_operation(dict(entry["do"])),
            undo=_text(entry["undo"]),
        )
        for entry in data["actions"]
    )
    return Plan(tuple(actions), _is(data["reboot_needed"], bool))


def _operation(data: dict[str, Any]) -> HostOperation:
    op = data.pop("op")
    if op == "write-file":
        data.pop("expect_sha256")
        _path(data["path"])
        encode(_text(data["content"]))
        _is(data["mode"], int)
        _is(data["before"] or "", str)
        _is(data["before_mode"] or 0, int)
        _is(data.get("private", False), bool)
        return WriteFile(**data)
    if op == "run-tool":
        return RunTool(
            _texts(data["argv"]),
            tuple(_path(pattern) for pattern in _texts(data["outputs"])),
            float(data.get("timeout", TOOL_TIMEOUT)),
            _texts(data.get("again", [])),
        )
    if op == "load-module":
        return LoadModule(_text(data["module"]))
    if op == "bind-driver":
        for key in ("address", "driver", "vendor", "device"):
            _text(data[key])
        for key in ("former_driver", "former_override"):
            _is(data[key] or "", str)
        return BindDriver(**{**data, "address": _address(data["address"])})
    raise WholecardError(
        f"unknown operation {op!r}", resolution="Use the release of Wholecard that wrote it."
    )


_T = TypeVar("_T")


def _is(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _text(value: Any) -> str:
    return _is(value, str)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in _is(values, list))


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except UsageError as error:
        raise ValueError(error.brief) from error


def _path(value: Any) -> str:
    path = _text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is no absolute path")
    return path
