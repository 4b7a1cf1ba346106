"""A qcow2 file's header, read before any other program opens the file.

A qcow2 may name further files (a backing file, an external data file), and qemu-img opens them: an
image from elsewhere could so read this machine's files into itself. Pure but for one bounded read.
Source: QEMU, docs/interop/qcow2.rst.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wholecard.core import UsageError

MAGIC = b"QFI\xfb"
# The header and its extensions are in the first cluster, which has 2 MiB at most.
_MOST_HEADER = 2 << 20
_BASE = struct.Struct(">4sIQIIQIIQQIIQ")  # to `snapshots_offset`, 72 bytes
_FEATURES = struct.Struct(">QQQII")  # version 3, to `header_length`
_EXTENSION = struct.Struct(">II")
_EXTERNAL_DATA_FILE = 0x44415441
_DATA_FILE_BIT, _CORRUPT_BIT = 1 << 2, 1 << 1
_CLUSTER_BITS = range(9, 22)


@dataclass(frozen=True)
class Qcow2Header:
    """What a header says. `backing_file` and `data_file` are None where there is none.

    `virtual_size` and `tables_end` (the first byte behind the tables that the header names) are in
    bytes.
    """

    version: int
    virtual_size: int
    tables_end: int
    backing_file: str | None = None
    data_file: str | None = None
    is_encrypted: bool = False
    is_corrupt: bool = False


def read_header(stream: BinaryIO) -> Qcow2Header:
    """The header of a qcow2 file that is open at its start. Raises UsageError for another file."""
    data = stream.read(_MOST_HEADER)
    if len(data) < _BASE.size or not data.startswith(MAGIC):
        raise _broken("its header is cut off")
    (_, version, backing_offset, backing_size, cluster_bits, virtual_size, encryption, l1_size,
     l1_offset, refcount_offset, refcount_clusters, *_) = _BASE.unpack_from(data)  # fmt: skip
    if version not in (2, 3):
        raise _broken(f"it has version {version}; 2 and 3 are known")
    if cluster_bits not in _CLUSTER_BITS:
        raise _broken(f"its clusters have 2^{cluster_bits} bytes")
    features, header_length = 0, _BASE.size
    if version == 3:
        if len(data) < _BASE.size + _FEATURES.size:
            raise _broken("its header is cut off")
        features, _, _, _, header_length = _FEATURES.unpack_from(data, _BASE.size)
    data_file = _data_file(data, header_length)
    if features & _DATA_FILE_BIT and data_file is None:
        data_file = "(not named)"
    backing = None
    if backing_offset:
        name = data[backing_offset : backing_offset + min(backing_size, 1023)]
        backing = name.decode(errors="replace") or "(not named)"
    return Qcow2Header(
        version=version,
        virtual_size=virtual_size,
        tables_end=max(
            l1_offset + l1_size * 8, refcount_offset + (refcount_clusters << cluster_bits)
        ),
        backing_file=backing,
        data_file=data_file,
        is_encrypted=encryption != 0,
        is_corrupt=bool(features & _CORRUPT_BIT),
    )


def disk_size(file: Path) -> int | None:
    """The bytes of the disk in a file: a qcow2's virtual size, else the file's own.

    None where the file or its header cannot be read.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return file.stat().st_size
            stream.seek(0)
            return read_header(stream).virtual_size
    except (OSError, UsageError):
        return None


def _data_file(data: bytes, position: int) -> str | None:
    """The name in the extension for an external data file, None where there is none."""
    while position + _EXTENSION.size <= len(data):
        kind, length = _EXTENSION.unpack_from(data, position)
        if kind == 0:
            return None
        position += _EXTENSION.size
        if kind == _EXTERNAL_DATA_FILE:
            return data[position : position + length].decode(errors="replace") or "(not named)"
        position += (length + 7) & ~7
    return None


def _broken(what: str) -> UsageError:
    return UsageError("this is not a qcow2 image that can be used", what, "Fetch the image again.")
