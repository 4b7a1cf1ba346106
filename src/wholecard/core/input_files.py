"""Files that a person names, read within bounds: their kind, their size, numbers in their JSON."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

# The facts of a host with thousands of functions have some MiB.
LARGEST = 64 << 20
# A BAR's address has 20 digits; Python before 3.11 takes minutes for a number of a million.
_DIGITS = 40
_PIECE = 1 << 16


def read_input(path: Path, limit: int = LARGEST) -> bytes:
    """The bytes of a plain file, or of a pipe that a shell made (`<(command)`, `/dev/stdin`).

    Raises OSError for another kind of file, which might never end, and for more than `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        is_plain = stat.S_ISREG(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not is_plain and not (stat.S_ISFIFO(status.st_mode) and _is_of_shell(path)):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        # A shell's pipe has a writer, who may be slower than this; another is not waited for.
        os.set_blocking(descriptor, True)
        data = _read(descriptor, min(status.st_size, limit) if is_plain else _PIECE, limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit >> 10} KiB", str(path))
    return data


def _read(descriptor: int, expected: int, most: int) -> bytes:
    """All there is, `most` bytes at most. What is asked for is also made room for, so not all."""
    # One byte more than a file has says that it is at its end.
    data = piece = os.read(descriptor, expected + 1)
    while piece and len(data) < most and not len(data) == expected > 0:
        piece = os.read(descriptor, min(_PIECE, most - len(data)))
        data += piece
    return data


def refuse_odd(path: Path, limit: int = LARGEST) -> None:
    """Raises OSError as `read_input` does, for a file that a library will read: it is not read."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISFIFO(status.st_mode) and _is_of_shell(path):
            return
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"larger than {limit >> 10} KiB", str(path))


def read_json_input(path: Path, limit: int = LARGEST) -> Any:
    """The JSON in such a file.

    Raises OSError as `read_input` does, and ValueError for what is no JSON, is nested too deeply,
    or has a number that nothing has.
    """
    return parse_json(read_input(path, limit))


def parse_json(data: str | bytes) -> Any:
    """JSON of others. Raises ValueError for what `read_json_input` says."""
    try:
        return json.loads(data, parse_int=_integer, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _is_of_shell(path: Path) -> bool:
    return path.is_relative_to("/dev/fd") or str(path) in ("/dev/stdin", "/proc/self/fd/0")


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")
