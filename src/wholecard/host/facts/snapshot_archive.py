"""Unpacking an archive from an untrusted source.

Accepted are folders, files and links that stay inside, each once, up to a limit; everything else
is an error. A link's target has `..` only at its beginning: then it cannot lead outside, whatever
other links it goes through.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

from wholecard.core import UsageError

# A host of 5,000 functions has 110,000 members and 60 MB.
LIMIT = 512 << 20
MOST_MEMBERS = 1_000_000
# A function behind twenty bridges has some 30 steps; a path name has 4096 bytes.
MOST_STEPS = 64
# tarfile holds a header's text whole, several times; a path's has some kB.
MOST_HEADER = 1 << 20

LAST = "wholecard-snapshot"
_AGAIN = "Have it made again with: inspect --save FILE.tar.gz"


_BROKEN = (
    tarfile.TarError, zlib.error, LZMAError, EOFError, OSError, ValueError, RecursionError,
)  # fmt: skip


class _Bounded:
    """A stream that ends in an error once more than `LIMIT` bytes were unpacked from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = LIMIT

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"more than {LIMIT >> 20} MiB")
        return data


class _Member(tarfile.TarInfo):
    """A member whose headers are looked at before they are read: our own archives need few."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The one step between a header's block and what reads it (tarfile.py, "Low-level").
        if self.type == tarfile.XGLTYPE:
            raise ValueError("it has a header for all members")
        if self.type in _HEADERS and self.size > MOST_HEADER:
            raise ValueError(f"a header of {self.size >> 20} MiB")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


# With the text of a long name, or the other fields of the next member.
_HEADERS = (
    tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip


def members_into(root: Path, stream: IO[bytes], name: str) -> None:
    """Unpack a tar stream into the empty folder `root`. Raises UsageError, naming `name`."""
    bounded: Any = _Bounded(stream)
    try:
        with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_Member) as archive:
            _unpack(root, archive)
    except RecursionError as error:
        # Headers of headers, which tarfile reads by calling itself.
        raise UsageError(
            f"{name} is not a complete snapshot", "headers without end", _AGAIN
        ) from error
    except (tarfile.TarError, zlib.error, LZMAError, EOFError, OSError, ValueError) as error:
        raise UsageError(f"{name} is not a complete snapshot", str(error), _AGAIN) from error


def _unpack(root: Path, archive: tarfile.TarFile) -> None:
    seen: dict[str, bool] = {}
    folders = {""}
    last = ""
    for member in archive:
        # tarfile keeps every member it has read.
        kept: list[tarfile.TarInfo] = vars(archive)["members"]
        kept.clear()
        if len(seen) >= MOST_MEMBERS:
            raise ValueError(f"more than {MOST_MEMBERS} members")
        if last:
            raise ValueError("there is a member after the last one")
        path = _checked(member.name, seen)
        if path == LAST:
            last = _content(archive, member).decode(errors="replace")
            continue
        seen[path] = True
        _folders(root, os.path.dirname(path), folders)
        if member.isdir():
            _folders(root, path, folders)
        elif member.issym():
            os.symlink(_checked_target(path, member.linkname), root / path)
        elif member.issparse():
            # Zeros that are not in the stream, so that no limit counts them.
            raise ValueError(f"{path} is a sparse file")
        elif member.isreg():
            _write(root / path, _content(archive, member), member.mode)
        else:
            raise ValueError(f"{path} is neither file nor folder nor symbolic link")
    if last.split() != ["1", str(len(seen))]:
        raise ValueError("its end is missing, or another release made it")


def _checked(name: str, seen: dict[str, bool]) -> str:
    steps = name.split("/")
    if name.startswith("/") or "\0" in name or {"", ".", ".."} & set(steps):
        raise ValueError(f"a member is named {name[:200]!r}")
    if len(steps) > MOST_STEPS:
        raise ValueError(f"a member is {len(steps)} folders deep")
    if name in seen:
        raise ValueError(f"two members are named {name!r}")
    return name


def _checked_target(path: str, target: str) -> str:
    steps = target.rstrip("/").split("/")
    up = len(steps) - len([step for step in steps if step != ".."])
    if (
        target.startswith("/")
        or "\0" in target
        or "" in steps
        or ".." in steps[up:]
        or up > path.count("/")
    ):
        raise ValueError(f"{path} is a link that leaves the snapshot: {target!r}")
    return target


def _folders(root: Path, path: str, existing: set[str]) -> None:
    """Make the folders of `path`; none of them may be a link, which mkdir does not follow."""
    if path not in existing:
        _folders(root, os.path.dirname(path), existing)
        # Raises FileExistsError where a file or link of that name came before.
        os.mkdir(root / path)
        existing.add(path)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LIMIT:
        raise ValueError(f"{member.name} is too large")
    stream = archive.extractfile(member)
    data = stream.read() if stream else b""
    if len(data) != member.size:
        raise ValueError(f"{member.name} is cut off")
    return data


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        # We must be able to read and remove it, whatever its mode was on the host.
        os.fchmod(file, (mode & 0o777) | 0o400)
        os.write(file, data) if len(data) < 4096 else _write_all(file, data)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
