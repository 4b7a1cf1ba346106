"""A card's serial number, from its vital product data.

Source: PCI Local Bus Specification 2.2, appendix I: resources of a tag and a length, `VPD-R`
(0x90) being a list of two-letter keywords, a byte of length and the value. Reading the data goes
through registers of the function, dword by dword, and wakes it: only what is needed is read.
"""

from __future__ import annotations

import os

from wholecard.core.small_files import exists

_LARGE = 0x80
_READ_ONLY = 0x90
# Beyond these the data is garbage, and each byte of it costs the bus milliseconds.
_MOST_RESOURCES = 8
_MOST_BYTES = 1024


def read_serial(path: str) -> str:
    """The value of the keyword SN of a file `vpd`; empty where it has none.

    Raises PermissionError where only root may read it, and no other OSError.
    """
    # Not every card has one, and a failed open costs more than asking.
    if not exists(path):
        return ""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _serial(_read_only(file))
        finally:
            os.close(file)
    except PermissionError:
        raise
    except OSError:
        return ""


def _read_only(file: int) -> bytes:
    """The content of the VPD-R resource."""
    offset = 0
    for _ in range(_MOST_RESOURCES):
        head = os.pread(file, 3, offset)
        if not head:
            break
        if not head[0] & _LARGE:
            # A small resource has its length in its tag; the end tag is one of them.
            if head[0] >> 3 == 0x0F:
                break
            offset += 1 + (head[0] & 7)
            continue
        length = int.from_bytes(head[1:3], "little")
        if head[0] == _READ_ONLY:
            return os.pread(file, min(length, _MOST_BYTES), offset + 3)
        offset += 3 + length
    return b""


def _serial(data: bytes) -> str:
    offset = 0
    while offset + 3 <= len(data):
        keyword, length = data[offset : offset + 2], data[offset + 2]
        value = data[offset + 3 : offset + 3 + length]
        if keyword == b"SN" and len(value) == length:
            text = value.decode("ascii", "replace").strip("\0 \t\r\n")
            return text if text.isprintable() else ""
        offset += 3 + length
    return ""
