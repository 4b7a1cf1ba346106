"""A lock that one process holds, with its holder's name written into the file."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from wholecard.core import WholecardError
from wholecard.core.waiting import wait_until
from wholecard.transaction import syscalls
from wholecard.transaction.os_errors import explained

# Who holds the lock is written over who held it, in one write of one length.
_HOLDER_LENGTH = 80


@contextmanager
def locked(
    path: Path,
    brief: str,
    resolution: str,
    *,
    timeout: float = 0,
    error: Callable[[str, str, str], WholecardError] = WholecardError,
) -> Iterator[int]:
    """Hold the lock file `path`, in a folder that exists, until the block ends, however it ends.

    Yields the descriptor that holds the lock: a tool that inherits it keeps the lock when this
    process is killed and the tool runs on. Waits up to `timeout` seconds for another holder, then
    raises `error` with `brief`, who that is, and `resolution`.
    """
    with explained():
        descriptor = syscalls.open_lock(path)

    def acquire() -> bool | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return True

    try:
        wait_until(
            brief,
            acquire,
            timeout,
            interval=0.2,
            last=lambda: _holder(path, os.pread(descriptor, _HOLDER_LENGTH, 0)),
            error=lambda _, details, __: error(brief, details, resolution),
        )
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        with explained():
            line = json.dumps({"pid": os.getpid(), "since": since}).ljust(_HOLDER_LENGTH - 1)
            syscalls.write_at_start(descriptor, f"{line}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _holder(path: Path, line: bytes) -> str:
    details = f"It holds {path}."
    try:
        holder = json.loads(line)
        details += f" It is process {holder['pid']}, since {holder['since']}."
        if not (Path("/proc") / str(holder["pid"])).exists():
            details += " That process has ended, but a tool that it started still runs."
    except (ValueError, KeyError, TypeError):
        details += " It has not written yet which process it is."
    return details
