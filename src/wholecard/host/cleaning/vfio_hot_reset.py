"""The hot reset of VFIO: the bus of a card, with all functions on it held by this process.

Source: linux, include/uapi/linux/vfio.h; drivers/vfio/pci/vfio_pci_core.c,
`vfio_pci_ioctl_pci_hot_reset`: the caller shows a file of each group that the reset reaches, so
the kernel itself refuses where a function of somebody else is on the bus.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.transaction import syscalls

# _IO(';', 100 + number)
_BASE = (ord(";") << 8) + 100
SET_IOMMU = _BASE + 2
GROUP_GET_STATUS, GROUP_SET_CONTAINER, GROUP_GET_DEVICE_FD = _BASE + 3, _BASE + 4, _BASE + 6
GET_HOT_RESET_INFO, HOT_RESET = _BASE + 12, _BASE + 13
_TYPE1V2 = 3
_VIABLE = 1


def hot_reset(root: Path, groups: Sequence[int], address: str) -> None:
    """Reset the bus of the function at `address`; `groups` are the IOMMU groups of the card.

    Raises WholecardError where a group is in use, or where the reset would reach other groups.
    """
    with ExitStack() as files:
        container = _open(root, "vfio", files)
        opened = [_open(root, str(group), files) for group in groups]
        for group, number in zip(opened, groups):
            status = bytearray(struct.pack("=II", 8, 0))
            syscalls.device_ioctl(group, GROUP_GET_STATUS, status)
            if not struct.unpack("=II", status)[1] & _VIABLE:
                raise WholecardError(f"VFIO cannot take IOMMU group {number}: it is not viable")
            syscalls.device_ioctl(
                group, GROUP_SET_CONTAINER, bytearray(struct.pack("=i", container))
            )
        syscalls.device_ioctl(container, SET_IOMMU, _TYPE1V2)
        device = syscalls.device_ioctl(
            opened[0], GROUP_GET_DEVICE_FD, bytearray(address.encode() + b"\0")
        )
        files.callback(os.close, device)
        reached = _reached(device)
        if not set(reached) <= set(groups):
            raise WholecardError(
                f"the reset of {address} would also reset IOMMU groups "
                f"{', '.join(map(str, sorted(set(reached) - set(groups))))}",
                resolution="Put the card into a slot of its own.",
            )
        syscalls.device_ioctl(device, HOT_RESET, reset_argument(opened))


def reset_argument(groups: Sequence[int]) -> bytearray:
    """`struct vfio_pci_hot_reset`: its size, no flags, and the files of the groups."""
    size = 12 + 4 * len(groups)
    return bytearray(struct.pack(f"=III{len(groups)}i", size, 0, len(groups), *groups))


def _reached(device: int) -> list[int]:
    """The groups of the functions that a hot reset reaches (`vfio_pci_hot_reset_info`)."""
    # Room for all functions of a bus.
    count = 256
    info = bytearray(12 + 8 * count)
    struct.pack_into("=III", info, 0, len(info), 0, 0)
    syscalls.device_ioctl(device, GET_HOT_RESET_INFO, info)
    return parse_info(bytes(info))


def parse_info(info: bytes) -> list[int]:
    """The group of each function in a `vfio_pci_hot_reset_info`."""
    count = struct.unpack_from("=I", info, 8)[0]
    return [struct.unpack_from("=I", info, 12 + 8 * index)[0] for index in range(count)]


def _open(root: Path, name: str, files: ExitStack) -> int:
    path = root / "dev/vfio" / name
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise WholecardError(
            f"cannot open {path}: {error.strerror}",
            "The card is reset through VFIO, and somebody has its group, or VFIO is not loaded.",
            "Run it as root, and see who has the card: wholecard-host clean-card says it.",
        ) from error
    files.callback(os.close, descriptor)
    return descriptor
