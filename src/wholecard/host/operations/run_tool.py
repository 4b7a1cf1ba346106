"""Run a tool of the host's, such as update-grub."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from wholecard.core import Step, WholecardError
from wholecard.host.kernel_args.command_line import for_kernel
from wholecard.host.operations import operation
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import (
    expand,
    leads_nowhere,
    size_of,
    state_of,
    sync_files,
    under,
)
from wholecard.transaction.json_fields import absolute_paths, texts
from wholecard.transaction.os_errors import why

# update-initramfs takes a minute on an emulated processor, and there may be several kernels.
TOOL_TIMEOUT = 900.0

# Of the tools that run here these alone change the kernel's arguments; others carry files on.
_KERNEL_ARGS_TOOLS = ("grubby", "kernelstub")


# GRUB's command that loads a kernel: its arguments are behind the image.
_LINUX = re.compile(r"^[ \t]*linux(?:16|efi)?[ \t]+\S+(.*)$", re.MULTILINE)


# A boot loader entry's arguments: the Boot Loader Specification, "Type #1".
_OPTIONS = re.compile(r"^options[ \t]+(.*)$", re.MULTILINE)


def _kernel_lines(root: Path, path: str) -> list[str]:
    """The arguments of each kernel in a menu, as far as the file is one."""
    pattern = {"grub.cfg": _LINUX, "conf": _OPTIONS}.get(
        path.rpartition(".")[2] if "/loader/entries/" in path else path.rpartition("/")[2]
    )
    target = under(root, path)
    if pattern is None or not target.is_file():
        return []
    return pattern.findall(target.read_bytes().decode(errors="replace"))


def _not_shown(line: str, wanted: Sequence[str]) -> list[str]:
    """Which of the arguments a kernel's line lacks; a value may be one in a list."""
    words = for_kernel(line.split())
    pairs = [word.partition("=") for word in words]
    return [
        word
        for word in wanted
        for name, _, value in [word.partition("=")]
        if word not in words and not any(n == name and value in v.split(",") for n, _, v in pairs)
    ]


@dataclass(frozen=True)
class RunTool(HostOperation):
    """Run `argv`, whose results are the files that match `outputs` (absolute paths or globs).

    `timeout` is in seconds; then the tool and all that it started is killed. Undone, the outputs
    are put back. Where they are no longer what the tool left, `again` is run instead, on the
    former files; empty is `argv` itself, which is right for a tool that rebuilds its outputs from
    files, and wrong for one that edits them. `shows` are kernel arguments that the menu must have
    afterwards: outputs named grub.cfg, and boot loader entries. `copies` are what the tool's hooks
    copy of its outputs: they are put back too, but other tools may change them without making it
    run again.
    """

    kind: ClassVar[str] = "run-tool"

    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    timeout: float = TOOL_TIMEOUT
    again: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunTool:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        if not data["argv"]:
            raise ValueError("no tool")
        return cls(
            texts(data["argv"]),
            absolute_paths(data["outputs"]),
            float(data["timeout"]),
            texts(data["again"]),
            texts(data["shows"]),
            absolute_paths(data["copies"]),
        )

    def to_json(self) -> dict[str, Any]:
        """`{"op": "run-tool", "argv": [...], "outputs", "timeout", "again", ...}`."""
        lists = ("argv", "outputs", "again", "shows", "copies")
        return {**super().to_json(), **{name: list(getattr(self, name)) for name in lists}}

    def describe_briefly(self) -> str:
        """The command as a person would type it."""
        return f"$ {shlex.join(self.argv)}"

    def describe(self) -> str:
        """The command as a person would type it, and what it makes."""
        copies = f", and its hooks {' '.join(self.copies)}" if self.copies else ""
        outputs = f"   # makes {' '.join(self.outputs)}{copies}" if self.outputs else ""
        return f"$ {shlex.join(self.argv)}{outputs}"

    @property
    def sets_kernel_args(self) -> bool:
        """Whether the tool edits boot loader entries itself."""
        return self.argv[0].endswith(_KERNEL_ARGS_TOOLS)

    def targets(self, root: Path) -> tuple[str, ...]:
        """The outputs and copies that exist."""
        return tuple(dict.fromkeys(expand(root, (*self.outputs, *self.copies))))

    def _is_copy(self, path: str) -> bool:
        return any(PurePosixPath(path).match(pattern) for pattern in self.copies)

    @property
    def creates(self) -> tuple[str, ...]:
        """The outputs that are named outright: the tool makes their directories."""
        return tuple(path for path in self.outputs if not set(path) & set("*?["))

    def space(self, root: Path) -> Iterator[tuple[Path, int]]:
        """The largest output once more, for tools write the new one beside it."""
        outputs = [under(root, path) for path in self.targets(root)]
        for largest in sorted(outputs, key=size_of)[-1:]:
            yield largest.parent, size_of(largest)

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Run it; the log keeps as `after` the states of its outputs. Raises RunError.

        Few tools sync what they write, and `done` is never to be there without it.
        """
        start(context, self.argv, self.timeout)
        root = context.root
        sync_files(root, self.targets(root))
        self._refuse_other_menu(root)
        return {"after": {path: state_of(under(root, path)) for path in self.targets(root)}}

    def _refuse_other_menu(self, root: Path) -> None:
        """Raises WholecardError where the menu has kernels, and none of them gets the arguments."""
        lines = [line for path in expand(root, self.outputs) for line in _kernel_lines(root, path)]
        lacking = [_not_shown(line, self.shows) for line in lines]
        if lines and all(lacking):
            raise WholecardError(
                f"{self.argv[0]} made a menu without {' '.join(lacking[0])}",
                f"One of its kernels gets: {lines[0].strip()}",
                "Look for the setting that takes the arguments out, for GRUB with grep -r CMDLINE "
                "/etc/default/grub /etc/default/grub.d, or run rollback.",
            )

    def is_late(self, context: HostContext, step: Step) -> bool:
        """Whether its outputs are no longer what it left, so that it must run again."""
        outputs = expand(context.root, self.outputs)
        former = context.backup.targets.get(step.number, ())
        if step.done is None:
            # Killed inside the tool: what it had begun (initrd.img-*.new) goes; another new file
            # is somebody else's, for example a new kernel's image with our hook in it.
            return any(path not in former and not path.endswith(".new") for path in outputs)
        return not all(self._is_ours(context, path, step.done) for path in outputs)

    def undo(self, context: HostContext, step: Step) -> str | None:
        """Put the outputs back; where others changed them, rebuild them from the former files."""
        former = context.backup.targets.get(step.number, ())
        if not step.late:
            self._put_outputs_back(context, step, former)
            return None
        untouched = [
            path for path in former if step.done is None or self._is_ours(context, path, step.done)
        ]
        start(context, self.again or self.argv, self.timeout)
        sync_files(context.root, self.targets(context.root))
        for path in untouched:
            context.backup.put_back(context.root, path)
        return f"{step.action.subject} ran again, because its outputs have changed since"

    def _put_outputs_back(self, context: HostContext, step: Step, former: Iterable[str]) -> None:
        for path in sorted({*former, *self.targets(context.root)}):
            # A copy that has changed since is of an image which somebody else made.
            others = step.done is not None and self._is_copy(path)
            if not others or self._is_ours(context, path, step.done or {}):
                context.backup.put_back(context.root, path)

    def _is_ours(self, context: HostContext, path: str, done: Mapping[str, Any]) -> bool:
        """Whether an output is as the tool left it, or as an interrupted rollback put it back."""
        if leads_nowhere(context.root, path):
            # Nobody boots from a link that leads nowhere: it is put back, not made again.
            return True
        left = done.get("after", {}).get(path)
        target = under(context.root, path)
        return state_of(target) in (left, context.backup.file(path).state)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:
        """Each output beside what the tool left."""
        left: dict[str, str | None] = done.get("after", {})
        for path in sorted({*left, *expand(root, self.outputs)}):
            if self._is_copy(path):
                continue
            try:
                state = state_of(under(root, path))
            except (OSError, WholecardError) as error:
                yield Drift("output", path, operation.UNREADABLE, why(error))
                continue
            if state == left.get(path):
                yield Drift("output", path, operation.AS_APPLIED)
            elif state is None:
                yield Drift("output", path, operation.GONE)
            else:
                yield Drift("output", path, operation.CHANGED if path in left else operation.NEW)


def start(context: HostContext, argv: Sequence[str], timeout: float) -> None:
    """Run a program on the host, or with chroot in another tree. Raises RunError."""
    root = context.root
    inside = argv if root == Path("/") else ("chroot", str(root), *argv)
    syscalls.start(inside, timeout, (context.descriptor,))
