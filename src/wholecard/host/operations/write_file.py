"""Write a file."""

from __future__ import annotations

import difflib
import hashlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step, WholecardError
from wholecard.core.marks import WRITTEN
from wholecard.core.secrets import redacted
from wholecard.core.units import counted
from wholecard.host.operations import operation
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.transaction import atomic_files
from wholecard.transaction.atomic_files import state_of, traits_of, under
from wholecard.transaction.json_fields import absolute_path, optional, text, typed
from wholecard.transaction.os_errors import why

# Where kernel arguments are kept; what changes there works from the next boot on alone.
_KERNEL_ARGS = ("/etc/default/grub", "/etc/kernel/cmdline", "/boot/loader", "/etc/sysconfig/grub")


@dataclass(frozen=True)
class WriteFile(HostOperation):
    """Write `content` to `path` with permission bits `mode`.

    `before` is the text that was there when the plan was made, None for no file; applying is
    refused where something else is there by then. A `private` file may hold passwords: its text is
    shown nowhere. The journal's copy of that, and of a file that not everybody may read, is for its
    owner alone.
    """

    kind: ClassVar[str] = "write-file"

    path: str
    content: str
    mode: int
    before: str | None = None
    before_mode: int | None = None
    private: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> WriteFile:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        encode(text(data["content"]))
        return cls(
            absolute_path(data["path"]),
            data["content"],
            typed(data["mode"], int),
            optional(data["before"], str),
            optional(data["before_mode"], int),
            typed(data.get("private", False), bool),
        )

    def to_json(self) -> dict[str, Any]:
        """`{"op": "write-file", ...}` with the fields and `expect_sha256`."""
        fields = {**super().to_json(), "expect_sha256": self.expect_sha256}
        if not self.private:
            del fields["private"]
        return fields

    @property
    def expect_sha256(self) -> str | None:
        """The digest of what must be there before, None for no file."""
        return None if self.before is None else text_digest(self.before)

    def describe(self) -> str:
        """A unified diff, with the permission bits where they change."""
        if self.private:
            return f"{self.path} is written again; its text may contain passwords and is not shown"
        lines = []
        if self.before is None or self.mode != self.before_mode:
            lines.append(f"mode {self.mode:04o}")
        lines.append(diff(self.before, self.content, self.path))
        return "\n".join(lines)

    def describe_briefly(self) -> str:
        """As `describe`, but of a new script of ours its size: its text is always the same."""
        is_script = self.before is None and self.mode & stat.S_IXUSR and WRITTEN in self.content
        if not is_script or self.private:
            return self.describe()
        lines = counted(self.content.count("\n"), "line")
        return f"mode {self.mode:04o}, Wholecard's own script, {lines} (--full)"

    @property
    def is_private(self) -> bool:
        """Whether its text may hold passwords: what not everybody may read now, or then."""
        modes = (self.mode, self.before_mode if self.before is not None else None)
        return self.private or any(mode is not None and not mode & stat.S_IROTH for mode in modes)

    @property
    def sets_kernel_args(self) -> bool:
        """Whether the file holds the kernel's arguments."""
        return self.path.startswith(_KERNEL_ARGS)

    def targets(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002 -- it may not exist yet
        """The file, whether it exists or not."""
        return (self.path,)

    @property
    def writes(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def space(self, root: Path) -> Iterator[tuple[Path, int]]:
        """The new file beside the old one."""
        folder = under(root, self.path).parent
        while not folder.is_dir():
            folder = folder.parent
        yield folder, len(encode(self.content))

    @property
    def state_before(self) -> State:
        """The file's digest when the plan was made."""
        return {self.path: self.expect_sha256}

    @property
    def state_after(self) -> State:
        """The digest of the content."""
        return {self.path: text_digest(self.content)}

    def look(self, context: HostContext) -> State:
        """The file as `state_of` says it."""
        return {self.path: state_of(under(context.root, self.path))}

    def difference(self, context: HostContext, state: State, expected: Sequence[State]) -> str:
        """How the file differs from the text that was expected there, as a diff."""
        if self.private:
            return "Its text may contain passwords and is not shown."
        if _is_special(state[self.path]):
            return f"{self.path} is not a regular file: {state[self.path]}"
        text = self.content if expected[0] == self.state_after else self.before
        target = under(context.root, self.path)
        return diff(text, _text(target) if target.is_file() else None, self.path)

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Write it unless it is written; the log keeps its digest as `after`, and its `mode`.

        A file system without permission bits (VFAT) shows another mode than was asked for.
        """
        target = under(context.root, self.path)
        if step.present != self.state_after or stat.S_IMODE(target.stat().st_mode) != self.mode:
            atomic_files.make_directories(target.parent)
            replaced = traits_of(target) if target.exists() else None
            atomic_files.write_atomically(target, encode(self.content), self.mode, replaced)
        return {"after": self.state_after, "mode": stat.S_IMODE(target.stat().st_mode)}

    def undo(self, context: HostContext, step: Step) -> None:  # noqa: ARG002 -- from any state
        """Put the former file back."""
        atomic_files.remove(atomic_files.scratch(under(context.root, self.path)))
        context.backup.put_back(context.root, self.path)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:
        """The file beside what was written."""
        try:
            yield Drift("file", self.path, *self._drift(under(root, self.path), done))
        except (OSError, WholecardError) as error:
            yield Drift("file", self.path, operation.UNREADABLE, why(error))

    def _drift(self, target: Path, done: Mapping[str, Any]) -> tuple[str, str]:
        """Its state and the detail. Raises OSError."""
        state = state_of(target)
        if state is None:
            return operation.GONE, ""
        if _is_special(state):
            return operation.EDITED, f"not a regular file: {state}"
        if state != text_digest(self.content):
            return operation.EDITED, diff(self.content, _text(target), self.path)
        mode, expected = stat.S_IMODE(target.lstat().st_mode), done.get("mode", self.mode)
        if mode != expected:
            return operation.EDITED, f"mode {mode:04o}, not {expected:04o}"
        return operation.AS_APPLIED, ""


def text_digest(text: str) -> str:
    """The SHA-256 of a text as it is written to a file, in hex."""
    return hashlib.sha256(encode(text)).hexdigest()


def encode(text: str) -> bytes:
    """A text as bytes; what was no UTF-8 when it was read comes out as it was."""
    return text.encode("utf-8", "surrogateescape")


def diff(before: str | None, after: str | None, path: str) -> str:
    """A unified diff of two texts of the file `path`, without secrets; None is no file."""
    lines = difflib.unified_diff(
        redacted(before or "").splitlines(),
        redacted(after or "").splitlines(),
        "/dev/null" if before is None else path,
        "/dev/null" if after is None else path,
        n=2,
        lineterm="",
    )
    return "\n".join(lines)


def _text(target: Path) -> str:
    return target.read_bytes().decode("utf-8", "surrogateescape")


def _is_special(state: str | None) -> bool:
    """Whether `state_of` says a link, a pipe or a device."""
    return state is not None and (state.startswith("-> ") or state == "special")
