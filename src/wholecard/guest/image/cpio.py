"""A cpio archive as the kernel unpacks it: format newc, the same bytes for the same entries.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class CpioEntry:
    """One file, directory or symbolic link: `path` without a leading slash, `mode` with its type.

    `data` is a file's content or a link's target.
    """

    path: str
    mode: int
    data: bytes = b""


def file(path: str, data: bytes, permissions: int = 0o644) -> CpioEntry:
    """A regular file."""
    return CpioEntry(path, stat.S_IFREG | permissions, data)


def directory(path: str, permissions: int = 0o755) -> CpioEntry:
    """A directory."""
    return CpioEntry(path, stat.S_IFDIR | permissions)


def symlink(path: str, target: str) -> CpioEntry:
    """A symbolic link."""
    return CpioEntry(path, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Sequence[CpioEntry]) -> bytes:
    """The archive of these entries, in their order, owned by root and dated 1970.

    Missing parent directories are added before their entries: the kernel creates none by itself.
    Raises ValueError for a path that is absolute, has `..` or occurs twice, and for content of
    4 GiB or more.
    """
    records = [_record(entry, inode) for inode, entry in enumerate(_with_parents(entries), 1)]
    return b"".join([*records, _record(CpioEntry(_TRAILER, 0), 0)])


def _with_parents(entries: Iterable[CpioEntry]) -> list[CpioEntry]:
    complete: dict[str, CpioEntry] = {}
    named: set[str] = set()
    for entry in entries:
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts or str(path) != entry.path or path.name == "":
            raise ValueError(f"not a path for an archive: {entry.path!r}")
        if entry.path in named or entry.path == _TRAILER or "\0" in entry.path:
            raise ValueError(f"the path occurs twice or is reserved: {entry.path!r}")
        named.add(entry.path)
        for parent in reversed(path.parents[:-1]):
            complete.setdefault(str(parent), directory(str(parent)))
        complete[entry.path] = entry
    return list(complete.values())


def _record(entry: CpioEntry, inode: int) -> bytes:
    if len(entry.data) >= 1 << 32:
        raise ValueError(f"too large for newc: {entry.path}")
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    size = len(entry.data)
    fields = (inode, entry.mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(name), 0)
    header = _MAGIC + b"".join(b"%08x" % value for value in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
