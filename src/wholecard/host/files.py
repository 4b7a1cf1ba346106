"""Files changed so that a crash at any point leaves the old one or the new one, never half."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20


def under(root: Path, path: str) -> Path:
    """Where the absolute `path` of a host stands below `root`."""
    return root / path.lstrip("/")


def digest(path: Path) -> str | None:
    """The SHA-256 of a plain file in hex, None where there is none."""
    try:
        with path.open("rb") as stream:
            sum_ = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                sum_.update(chunk)
            return sum_.hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def expand(root: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """The plain files below `root` that match absolute globs, as absolute paths, sorted."""
    found = {
        "/" + str(place.relative_to(root))
        for pattern in patterns
        for place in root.glob(pattern.lstrip("/"))
        if place.is_file() and not place.is_symlink() and not _is_scratch(place)
    }
    return tuple(sorted(found))


def scratch(path: Path) -> Path:
    """The neighbour that a file is written to first; a killed run leaves at most this one.

    The name begins with a dot, so that run-parts and shell globs pass over it.
    """
    return path.with_name(f".{path.name}.wholecard-new")


def _is_scratch(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".wholecard-new")


def write_atomically(path: Path, data: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    """Put `data` at `path`. `owner` is user and group id; None leaves it to the process."""
    with _open_scratch(path) as stream:
        stream.write(data)
        _settle(stream, mode, owner)
    _move_into_place(path)


def copy_atomically(source: Path, path: Path, mode: int, owner: tuple[int, int] | None) -> None:
    """Put a copy of `source` at `path`, as `write_atomically` does."""
    with source.open("rb") as original, _open_scratch(path) as stream:
        shutil.copyfileobj(original, stream, _CHUNK)
        _settle(stream, mode, owner)
    _move_into_place(path)


def _open_scratch(path: Path) -> BinaryIO:
    # What a killed run left may be read-only, or somebody's link: it is replaced, not opened.
    scratch(path).unlink(missing_ok=True)
    return scratch(path).open("xb")


def _settle(stream: BinaryIO, mode: int, owner: tuple[int, int] | None) -> None:
    stream.flush()
    status = os.fstat(stream.fileno())
    if owner is not None and owner != (status.st_uid, status.st_gid):
        os.fchown(stream.fileno(), *owner)
    # After chown, which clears the set-id bits.
    os.fchmod(stream.fileno(), mode)
    os.fsync(stream.fileno())


def _move_into_place(path: Path) -> None:
    scratch(path).replace(path)
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a file that may be there."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(path: Path) -> None:
    """Make a directory and what is missing above it, and make the names last."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for directory in reversed(missing):
        if not directory.exists():
            directory.mkdir(mode=0o755)
            sync_directory(directory.parent)
