"""Parts of sparse files copied without their holes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_CHUNK = 64 << 20


def copy_part(source: Path, start: int, length: int, target: Path, at: int) -> None:
    """Copy `length` bytes from byte `start` of one file to byte `at` of another that exists.

    A hole is not copied, so the target has to have one there (lseek(2), SEEK_DATA). Raises OSError.
    """
    end = start + length
    with source.open("rb") as reading, target.open("r+b") as writing:
        position = start
        while position < end:
            try:
                position = os.lseek(reading.fileno(), position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                    return
                raise
            hole = os.lseek(reading.fileno(), position, os.SEEK_HOLE)
            _copy(reading.fileno(), position, writing.fileno(), at + position - start,
                  max(0, min(hole, end) - position))  # fmt: skip
            position = hole


def _copy(source: int, start: int, target: int, at: int, length: int) -> None:
    while length > 0:
        try:
            done = os.copy_file_range(source, target, min(length, _CHUNK), start, at)
        except OSError as error:
            # Two file systems, or one that has no such call (copy_file_range(2)).
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            done = os.pwrite(target, os.pread(source, min(length, 1 << 20), start), at)
        if done == 0:
            return
        start, at, length = start + done, at + done, length - done
