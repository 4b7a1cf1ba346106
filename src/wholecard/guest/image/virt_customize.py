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
_BEGINS = re.compile(r"\[ *\d+\.\d\] ((?!Uploading|Making directory|Changing perm).*)")
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
        say(f"{len(changes)} steps in the image with {PROGRAM}")
        with tempfile.TemporaryDirectory(prefix="wholecard-") as folder:
            words = arguments(target, changes, put_files(Path(folder), changes))
            try:
                run_tool(
                    PROGRAM, *words, timeout=_TIMEOUT, watch_output=lambda line: _tell(line, say)
                )
            except RunError as error:
                raise WriteError(
                    f"{PROGRAM} did not carry out the recipe",
                    _details(error),
                    "The output's last lines name the step. Correct the recipe and build again: "
                    "the base and the growth are taken from the cache.",
                ) from error


def _tell(line: str, say: Say) -> None:
    """Each operation that begins: `[  12.3] Running: apt-get update`."""
    match = _BEGINS.match(line)
    if match and line.endswith("\n"):
        say(match[1].strip()[:_MOST_SHOWN])


def _details(error: RunError) -> str:
    """What failed, and the end of what the command printed, which is on standard output."""
    output = error.result.stdout.strip() if error.result is not None else ""
    lines = output.splitlines()[-_MOST_LINES:]
    return "\n".join([error.details, *(line for line in lines if line not in error.details)])


def put_files(folder: Path, changes: Sequence[GuestChange]) -> tuple[Path, ...]:
    """Each file's content as a file in `folder`, in the order of the changes."""
    paths = []
    for number, change in enumerate(changes):
        if isinstance(change, WriteGuestFile):
            path = folder / f"{number:04}"
            path.write_bytes(change.content)
            path.chmod(change.mode)
            paths.append(path)
    return tuple(paths)


def arguments(image: Path, changes: Sequence[GuestChange], files: Sequence[Path]) -> list[str]:
    """The arguments for a raw image; `files` has the path of each file's content."""
    argv = ["--format", "raw", "--memsize", str(_MEMORY_MIB), "-a", str(image)]
    contents = iter(files)
    for change in changes:
        if isinstance(change, RunInGuest):
            argv += ["--run-command", command_text(change)]
            continue
        # Of an uploaded file owner and permissions are those that it has here.
        argv += ["--mkdir", posixpath.dirname(change.path)]
        argv += ["--upload", f"{next(contents)}:{change.path}"]
        owner = RunInGuest(("chown", "0:0", change.path), "")
        argv += ["--run-command", command_text(owner)]
        argv += ["--chmod", f"{change.mode:04o}:{change.path}"]
    # It gives an image without a machine id one, which all servers would share (machine-id(5)).
    argv += ["--truncate", "/etc/machine-id"]
    # Where the image has SELinux, new files get their labels; elsewhere it does nothing.
    return [*argv, "--selinux-relabel"]
