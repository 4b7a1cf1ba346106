"""Every call that changes a host: one function each, and one changing system call in each.

The other modules decide; what they decided reaches the disk, sysfs or another program here and
nowhere else. So the points at which a run can be killed or a call can fail can be counted, and
each of them can be tested.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wholecard.core import run

# Only the creator can read a new file until it has its own permission bits.
NEW_MODE = 0o600

# Nothing is written through somebody else's link, and no tool inherits a file by accident.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Nothing waits for the reader of somebody's pipe.
_APPEND = _NEW & ~os.O_EXCL | os.O_APPEND | os.O_NONBLOCK
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class _ExactMode:
    """What is created has the mode that was asked for, whatever the umask of who calls.

    The umask is the process's: of two threads at once the second would keep the first one's 0.
    """

    _alone = threading.Lock()

    def __enter__(self) -> None:
        self._alone.acquire()
        try:
            self._mask = os.umask(0)
        except BaseException:
            self._alone.release()
            raise

    def __exit__(self, *_: object) -> None:
        os.umask(self._mask)
        self._alone.release()


def create(path: Path) -> int:
    """Create a file that must not exist, readable by its owner alone, and open it to write."""
    # Another mode than this one is how a file system without modes (VFAT) is known.
    with _ExactMode():
        return os.open(path, _NEW, NEW_MODE)


def open_to_append(path: Path) -> int:
    """Open a file to write at its end; it is created where it is missing."""
    with _ExactMode():
        return os.open(path, _APPEND, 0o644)


def open_lock(path: Path) -> int:
    """Open the file that is locked; it is created where it is missing and never removed."""
    with _ExactMode():
        return os.open(path, _LOCK, 0o644)


def write(descriptor: int, data: bytes) -> int:
    """Write what fits and return how many bytes that were."""
    return os.write(descriptor, data)


def write_at_start(descriptor: int, data: bytes) -> int:
    """Write over the beginning of a file."""
    return os.pwrite(descriptor, data, 0)


def truncate(descriptor: int, size: int) -> None:
    """Cut a file off."""
    os.ftruncate(descriptor, size)


def fsync(descriptor: int) -> None:
    """Make a file's content, or a directory's names, last."""
    os.fsync(descriptor)


def chown(descriptor: int, uid: int, gid: int) -> None:
    """Give an open file to an owner."""
    os.fchown(descriptor, uid, gid)


def chmod(descriptor: int, mode: int) -> None:
    """Set an open file's permission bits."""
    os.fchmod(descriptor, mode)


def set_attribute(descriptor: int, name: str, value: bytes) -> None:
    """Set an extended attribute of an open file."""
    os.setxattr(descriptor, name, value)


def set_times(descriptor: int, nanoseconds: int) -> None:
    """Set when an open file was read and changed last."""
    os.utime(descriptor, ns=(nanoseconds, nanoseconds))


def rename(source: Path, target: Path) -> None:
    """Give a file another name in the same file system, over what has that name."""
    source.replace(target)


def unlink(path: Path) -> None:
    """Remove a file's name."""
    path.unlink()


def symlink(path: Path, target: str) -> None:
    """Make a symbolic link that must not exist."""
    path.symlink_to(target)


def mkdir(path: Path, mode: int) -> None:
    """Make a directory with exactly these permission bits."""
    with _ExactMode():
        path.mkdir(mode)


def rmdir(path: Path) -> None:
    """Remove an empty directory."""
    path.rmdir()


def write_sysfs(path: Path, text: str) -> None:
    """Write to a file of the kernel's in one write: sysfs takes each write as a whole value."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def start(argv: Sequence[str], timeout: float, keep: Sequence[int]) -> None:
    """Run a program to its end, see `core.run`; it inherits the open files `keep`."""
    run(argv, timeout=timeout, env={"LC_ALL": "C"}, keep=keep)


def write_config(path: Path, offset: int, data: bytes) -> None:
    """Write to a function's configuration space, `config` in sysfs."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, data, offset)
    finally:
        os.close(descriptor)


@contextmanager
def _mapped(path: Path, size: int) -> Iterator[Any]:
    import mmap

    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        memory = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(descriptor)
    try:
        yield memory
    finally:
        memory.close()


def write_mapped(path: Path, size: int, places: Mapping[int, bytes]) -> None:
    """Write some bytes to a device's memory, a BAR as a file of sysfs."""
    with _mapped(path, size) as memory:
        for place, data in places.items():
            memory[place : place + len(data)] = data


def clear_mapped(path: Path, size: int) -> None:
    """Set a device's memory, a BAR as a file of sysfs, to zero."""
    piece = bytes(min(size, 1 << 20))
    with _mapped(path, size) as memory:
        for place in range(0, size, len(piece)):
            memory[place : place + len(piece)] = piece[: size - place]


def device_ioctl(descriptor: int, request: int, argument: bytearray | int) -> int:
    """Ask a device file for something that changes it; `argument` is written over."""
    import fcntl

    return fcntl.ioctl(descriptor, request, argument)
