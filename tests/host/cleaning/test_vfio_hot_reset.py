"""What is asked of VFIO is what linux/vfio.h defines."""

from __future__ import annotations

import struct

from wholecard.host.cleaning import vfio_hot_reset as vfio


def test_numbers() -> None:
    """The requests are _IO(';', 100 + n) of include/uapi/linux/vfio.h."""
    assert (vfio.GROUP_GET_DEVICE_FD, vfio.GET_HOT_RESET_INFO, vfio.HOT_RESET) == (
        0x3B6A, 0x3B70, 0x3B71,
    )  # fmt: skip


def test_argument() -> None:
    """`struct vfio_pci_hot_reset` has its size, flags, the number of files, and the files."""
    assert struct.unpack("=III2i", bytes(vfio.reset_argument([5, 9]))) == (20, 0, 2, 5, 9)


def test_info() -> None:
    """Of `struct vfio_pci_hot_reset_info` the group of each function is read."""
    rows = struct.pack("=IHBB", 7, 0, 1, 0) + struct.pack("=IHBB", 9, 0, 1, 1)
    assert vfio.parse_info(struct.pack("=III", 28, 0, 2) + rows + bytes(16)) == [7, 9]
