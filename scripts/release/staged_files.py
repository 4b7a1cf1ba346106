"""What the packages for a host install: the agent, manual page, completion, the licence."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from completions import bash_script, fish_script, zsh_script
from man_page import host_page

from wholecard import __version__
from wholecard.host.agent.zipapp import agent_bytes

REPOSITORY = Path(__file__).parents[2]
NAME = "wholecard-host"
SUMMARY = "Prepare a KVM host to give whole GPUs to OpenStack servers"
DESCRIPTION = """\
Reads which GPUs a host has and what prevents passthrough of them, plans every change as a diff,
applies it through a journal, verifies it after the reboot and restores every byte at rollback.
It needs Python 3.9 or later and nothing else. Removing the package does not undo what was
applied: run wholecard-host rollback first."""
# A package's own Python, not the first one on somebody's PATH.
_SHEBANG = b"#!/usr/bin/python3\n"


def stage(root: Path, epoch: int, zsh: str) -> list[Path]:
    """Put the files of the package below `root`; their paths in it. All get the time `epoch`.

    `zsh` is the folder below /usr/share/zsh in which this distribution's zsh looks for functions.
    """
    agent = _SHEBANG + agent_bytes().split(b"\n", 1)[1]
    page = gzip.compress(host_page(epoch).encode(), mtime=0)
    licence = (REPOSITORY / "LICENSE").read_bytes()
    files = {
        f"usr/bin/{NAME}": (agent, 0o755),
        f"usr/share/man/man8/{NAME}.8.gz": (page, 0o644),
        f"usr/share/doc/{NAME}/copyright": (licence, 0o644),
        f"usr/share/bash-completion/completions/{NAME}": (bash_script().encode(), 0o644),
        f"usr/share/zsh/{zsh}/_{NAME}": (zsh_script().encode(), 0o644),
        f"usr/share/fish/vendor_completions.d/{NAME}.fish": (fish_script().encode(), 0o644),
    }
    for path, (content, mode) in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode)
    for folder in (path for path in root.rglob("*") if path.is_dir()):
        folder.chmod(0o755)
    set_times(root, epoch)
    return [Path(path) for path in files]


def set_times(root: Path, epoch: int) -> None:
    """Give everything below `root` that is newer than `epoch` that time, folders last."""
    for folder, names, files in os.walk(root, topdown=False):
        for name in [*files, *names]:
            place = Path(folder, name)
            if place.lstat().st_mtime > epoch:
                os.utime(place, (epoch, epoch), follow_symlinks=False)
    os.utime(root, (epoch, epoch))


def version() -> str:
    """The version of everything that is built."""
    return __version__
