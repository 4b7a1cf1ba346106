"""Whether there is room for the backups and for what is to be written, before anything is."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from wholecard.core import Plan, WholecardError
from wholecard.core.units import size_text
from wholecard.host.operations.registry import operation_of
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile, encode
from wholecard.transaction.atomic_files import expand, under

# The journal's own files, and what the file system needs to keep names.
_MARGIN = 1 << 20
_INODES = 64


def refuse_without_room(root: Path, plan: Plan, store: Path) -> None:
    """Raises WholecardError, with numbers, where a file system is too full for the plan.

    On the journal's file system every file that will be touched has to fit once more; on each
    target's the new file beside the old one; on a tool's the largest of its outputs once more, for
    tools write the new one beside it. `store` is a directory that is there.
    """
    need: dict[int, int] = defaultdict(int)
    places: dict[int, Path] = {}

    def add(place: Path, size: int) -> None:
        device = place.stat().st_dev
        places.setdefault(device, place)
        need[device] += size

    add(store, _MARGIN)
    for action in plan.actions:
        operation = operation_of(action)
        if isinstance(operation, WriteFile):
            target = under(root, operation.path)
            add(store, _size(target))
            add(_standing(target.parent), len(encode(operation.content)))
        elif isinstance(operation, RunTool):
            outputs = [under(root, path) for path in expand(root, operation.outputs)]
            add(store, sum(_size(place) for place in outputs))
            for largest in sorted(outputs, key=_size)[-1:]:
                add(largest.parent, _size(largest))
    for device, place in places.items():
        _refuse(place, need[device])


def _refuse(place: Path, need: int) -> None:
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    if free < need:
        raise WholecardError(
            f"not enough room on the file system of {place}",
            f"{size_text(need)} are needed for backups and new files, {size_text(free)} are free.",
            "Make room there (old kernels?) and run it again. Nothing was touched.",
        )
    # btrfs counts no inodes and says 0.
    if status.f_files and status.f_favail < _INODES:
        raise WholecardError(
            f"no inodes left on the file system of {place}",
            f"{_INODES} are needed for backups and new files, {status.f_favail} are free.",
            "Remove files there and run it again. Nothing was touched.",
        )


def _size(place: Path) -> int:
    try:
        return place.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _standing(place: Path) -> Path:
    """The directory, or the nearest above it that is there."""
    while not place.is_dir():
        place = place.parent
    return place
