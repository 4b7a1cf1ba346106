"""ACPI tables as firmware writes them: DMAR with RMRRs, IVRS with IVMDs."""

from __future__ import annotations

import struct
from collections.abc import Iterable

# A unit for all functions, as every DMAR has one: type 0, INCLUDE_ALL, registers at fed90000.
DRHD = struct.pack("<HHBBHQ", 0, 16, 1, 0, 0, 0xFED90000)
# An IVHD block without devices: type 0x10.
IVHD = struct.pack("<BBHHHQHHI", 0x10, 0, 24, 2, 0x40, 0xFEB80000, 0, 0, 0)


def scope(bus: int, *path: tuple[int, int], kind: int = 1) -> bytes:
    """A device scope: the root bus, then slot and function of each step; kind 2 is a bridge."""
    steps = bytes(number for step in path for number in step)
    return struct.pack("<BBHBB", kind, 6 + len(steps), 0, 0, bus) + steps


def rmrr(
    *scopes: bytes, first: int = 0x3DDC6000, last: int = 0x3DDDEFFF, segment: int = 0
) -> bytes:
    """A reserved memory region of these devices."""
    devices = b"".join(scopes)
    return struct.pack("<HHHHQQ", 1, 24 + len(devices), 0, segment, first, last) + devices


def ivmd(
    kind: int, flags: int = 1, first: int = 0, last: int = 0, *,
    start: int = 0x3DDC6000, size: int = 0x19000, segment: int = 0,
) -> bytes:  # fmt: skip
    """A memory definition for all functions (0x20), one (0x21), or a range (0x22) of ids."""
    head = struct.pack("<BBHHHHHI", kind, flags, 32, first, last, segment, 0, 0)
    return head + struct.pack("<QQ", start, size)


def dmar(*structures: bytes) -> bytes:
    """The table DMAR: one unit, and these structures."""
    return _table(b"DMAR", [DRHD, *structures])


def ivrs(*structures: bytes) -> bytes:
    """The table IVRS: one unit, and these structures."""
    return _table(b"IVRS", [IVHD, *structures])


def _table(signature: bytes, structures: Iterable[bytes]) -> bytes:
    body = bytes(12) + b"".join(structures)
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), 1, 0, b"WHOLEC", b"TEST", 1,
                       b"TEST", 1)  # fmt: skip
    table = bytearray(head + body)
    table[9] = -sum(table) % 256
    return bytes(table)
