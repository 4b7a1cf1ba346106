"""Whether there is room for the backups and for what is to be written, before anything is."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from wholecard.core import Plan, WholecardError
from wholecard.core.units import size_text
from wholecard.host.operations.registry import operation_of
from wholecard.transaction.atomic_files import size_of, under

# The journal's own files, and what the file system needs to keep names.
_MARGIN = 1 << 20
_INODES = 64


def refuse_without_room(root: Path, plan: Plan, store: Path) -> None:
    """Raises WholecardError, with numbers, where a file system is too full for the plan.

    On the journal's file system every file that will be changed has to fit once more; beside it
    each operation says what it needs. `store` is a directory that exists.
    """
    needs: dict[int, int] = defaultdict(int)
    folders: dict[int, Path] = {}
    operations = [operation_of(action) for action in plan.actions]
    backups = sum(
        size_of(under(root, path)) for operation in operations for path in operation.targets(root)
    )
    spaces = [space for operation in operations for space in operation.space(root)]
    for folder, size in ((store, _MARGIN + backups), *spaces):
        device = folder.stat().st_dev
        folders.setdefault(device, folder)
        needs[device] += size
    for device, folder in folders.items():
        _refuse(folder, needs[device])


def _refuse(folder: Path, need: int) -> None:
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < need:
        raise WholecardError(
            f"not enough free space on the file system of {folder}",
            f"{size_text(need)} are needed for backups and new files, {size_text(free)} are free.",
            "Free some space there (for example, remove old kernels) and run the command again. "
            "Nothing was changed.",
        )
    # btrfs counts no inodes and says 0.
    if status.f_files and status.f_favail < _INODES:
        raise WholecardError(
            f"not enough free inodes on the file system of {folder}",
            f"{_INODES} are needed for backups and new files, {status.f_favail} are free.",
            "Remove files there and run the command again. Nothing was changed.",
        )
