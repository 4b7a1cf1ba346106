"""The writer `virt-customize`: libguestfs starts the image's own system in a small virtual machine.

Source: virt-customize(1). Its operations are carried out in the order of the command line; a
command that fails ends it with a status other than 0.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import RunError
from wholecard.guest.image.image_tools import PACKAGES, found, run_tool
from wholecard.guest.image.package_tools import GuestChange, command_text, guest_changes
from wholecard.guest.image.recipe import Recipe, RunInGuest, WriteGuestFile
from wholecard.guest.image.writer import Say, Target, WriteError

PROGRAM = "virt-customize"
KVM = Path("/dev/kvm")
# A driver's module is compiled in it; without KVM one of 242 CPU seconds takes most of an hour.
_TIMEOUT = 4 * 3600.0
_MEMORY_MIB = 2048
_BEGINS = re.compile(
    r"\[ *\d+\.\d\] ((?!Uploading|Making directory|Changing perm|Running: chown).*)"
)
_SCRIPT = re.compile(r"Running: \S*/wholecard-[^/]*/(\d{4})")
_MOST_SHOWN = 100
_MOST_LINES = 30


@dataclass(frozen=True)
class VirtCustomize:
    """See the module. `kvm` is the device without which it is not usable in practice."""

    kvm: Path = KVM
    name: str = PROGRAM
    target: Target = Target.IMAGE

    def unusable(self) -> str:
        """Why this machine cannot use it; empty where it can."""
        if found(PROGRAM) is None:
            return f"{PROGRAM} is not installed; its package is {PACKAGES[PROGRAM]}."
        if not os.access(self.kvm, os.R_OK | os.W_OK):
            return f"{self.kvm} cannot be opened, and without KVM a driver's build takes hours."
        return ""

    def write(self, recipe: Recipe, target: Path, say: Say) -> None:
        """Carry out the recipe in the raw image `target`. Raises WriteError."""
        changes = guest_changes(recipe)
        with tempfile.TemporaryDirectory(prefix="wholecard-") as folder:
            progress = _Progress(changes, say)
            words = arguments(target, changes, put_files(Path(folder), changes))
            try:
                run_tool(PROGRAM, *words, timeout=_TIMEOUT, watch_output=progress.take)
            except RunError as error:
                raise WriteError(
                    f"{PROGRAM} did not carry out the recipe: {progress.last}",
                    _details(error),
                    "Correct the recipe and build again: the base and the growth are taken from "
                    "the cache.",
                ) from error


class _Progress:
    """What virt-customize does now, from what it prints: `[  12.3] Running: /tmp/…/0005`."""

    def __init__(self, changes: Sequence[GuestChange], say: Say) -> None:
        self._changes, self._say = changes, say
        self.last = "it did not begin"

    def take(self, line: str) -> None:
        """Tell of each command that begins, with its reason, and of the rest in its own words."""
        match = _BEGINS.match(line)
        if match is None or not line.endswith("\n"):
            return
        text = match[1].strip()
        script = _SCRIPT.fullmatch(text)
        if script is not None and int(script[1]) < len(self._changes):
            number = int(script[1])
            change = self._changes[number]
            what = change.argv[0] if isinstance(change, RunInGuest) else change.path
            text = f"step {number + 1} of {len(self._changes)}, {what}: {change.reason}"
        self.last = text[:_MOST_SHOWN]
        self._say(self.last)


def _details(error: RunError) -> str:
    """What it says, and the end of what the command printed, which is on standard output.

    Not the command line: it has a hundred words, of which none says what failed.
    """
    if error.result is None:
        return error.details
    lines = error.result.stdout.splitlines()[-_MOST_LINES:]
    return "\n".join([*lines, error.result.stderr.strip()[-2000:]]).strip()


def put_files(folder: Path, changes: Sequence[GuestChange]) -> tuple[Path, ...]:
    """Each change as a file in `folder`, named after its number: a content, or a script.

    A command line is no place for either, for everybody on the machine can read it.
    """
    paths = []
    for number, change in enumerate(changes):
        path = folder / f"{number:04}"
        if isinstance(change, WriteGuestFile):
            path.write_bytes(change.content)
        else:
            path.write_text(f"#!/bin/sh\n{command_text(change)}\n")
        paths.append(path)
    return tuple(paths)


def arguments(image: Path, changes: Sequence[GuestChange], files: Sequence[Path]) -> list[str]:
    """The arguments for a raw image; `files` are those of `put_files`."""
    argv = ["--format", "raw", "--memsize", str(_MEMORY_MIB), "-a", str(image)]
    for change, file in zip(changes, files, strict=True):
        if isinstance(change, RunInGuest):
            argv += ["--run", str(file)]
            continue
        # Of an uploaded file owner and permissions are those that it has here.
        argv += ["--mkdir", posixpath.dirname(change.path), "--upload", f"{file}:{change.path}"]
        owner = RunInGuest(("chown", "0:0", change.path), "")
        argv += ["--run-command", command_text(owner)]
        argv += ["--chmod", f"{change.mode:04o}:{change.path}"]
    # It gives an image without a machine id one, which all servers would share (machine-id(5)).
    argv += ["--truncate", "/etc/machine-id"]
    # Where the image has SELinux, new files get their labels; elsewhere it does nothing.
    return [*argv, "--selinux-relabel"]
