"""The kernel's log of this boot.

Source of the record format: linux, Documentation/ABI/testing/dev-kmsg.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOG = Path("dev/kmsg")

# One read gives one record; the kernel refuses a buffer that is too small for it.
_RECORD_LIMIT = 65536
_RECORD = re.compile(r"[0-9]+,(?P<sequence>[0-9]+),(?P<micros>[0-9]+),[^;]*;(?P<message>.*)")


@dataclass(frozen=True)
class Record:
    """One line of the kernel's log: its number since boot, seconds since boot, and what it says."""

    sequence: int
    seconds: float
    message: str


def read_kernel_log(root: Path) -> tuple[Record, ...] | None:
    """The records since boot, oldest first; None where the log cannot be read.

    On `/` the device is read without waiting, which needs root. Under another root `dev/kmsg` is
    a plain text file in the same format. A first record whose number is not 0 means that the
    ring buffer has dropped what came before.
    """
    try:
        lines = list(_device_lines() if root == Path("/") else _file_lines(root / LOG))
    except OSError:
        return None
    return tuple(record for line in lines for record in _parse(line))


def _device_lines() -> Iterator[str]:
    descriptor = os.open(Path("/") / LOG, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                data = os.read(descriptor, _RECORD_LIMIT)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The record was overwritten while we read; the next read goes on behind it.
                continue
            if not data:
                return
            yield from data.decode(errors="replace").splitlines()
    finally:
        os.close(descriptor)


def _file_lines(path: Path) -> Iterator[str]:
    # A device or pipe in a foreign tree would block; only a plain file is a log there.
    if not path.is_file():
        raise FileNotFoundError(path)
    yield from path.read_bytes().decode(errors="replace").splitlines()


def _parse(line: str) -> Iterator[Record]:
    match = _RECORD.fullmatch(line)
    if match is not None:
        yield Record(int(match["sequence"]), int(match["micros"]) / 1e6, match["message"])
