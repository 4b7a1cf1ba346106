"""The first sector of a disk, byte by byte, and grub.cfg."""

from __future__ import annotations

import struct

import pytest

from wholecard.core import UsageError
from wholecard.guest.image.disk import BootEntry, boot_area, grub_cfg, mbr

BOOT = bytes(range(256))[:218] * 2 + bytes(512 - 2 * 218 - 2) + b"\x55\xaa"


@pytest.mark.parametrize(("boot", "active"), [(None, 0), (BOOT, 0x80)])
def test_layout(boot: bytes | None, active: int) -> None:
    """Boot code, signature, one Linux partition and the magic are where a BIOS looks."""
    sector = mbr(boot, 2048, 63488, b"GST1")
    assert len(sector) == 512
    assert sector[:440] == (bytes(440) if boot is None else boot[:440])
    assert sector[440:446] == b"GST1\0\0"
    assert (sector[446], sector[450]) == (active, 0x83)
    assert struct.unpack_from("<II", sector, 454) == (2048, 63488)
    assert sector[462:510] == bytes(48)
    assert sector[510:] == b"\x55\xaa"


@pytest.mark.parametrize(
    ("boot", "start", "sectors", "signature"),
    [
        (BOOT[:-1], 2048, 1, b"abcd"),
        (bytes(512), 2048, 1, b"abcd"),
        (None, 0, 1, b"abcd"),
        (None, 2048, 0, b"abcd"),
        (None, 2048, 1 << 32, b"abcd"),
        (None, 2048, 1, b"abc"),
    ],
)
def test_refused(boot: bytes | None, start: int, sectors: int, signature: bytes) -> None:
    """What does not fit into an MBR, or is no boot.img, is the caller's error."""
    with pytest.raises(UsageError):
        mbr(boot, start, sectors, signature)


def test_core_image_follows() -> None:
    """The core image starts at sector 1 and has to end before the partition."""
    assert boot_area(BOOT, b"core", 1, b"abcd")[512:] == b"core"
    boot_area(BOOT, bytes(2047 * 512), 1, b"abcd")
    with pytest.raises(UsageError, match="does not fit"):
        boot_area(BOOT, bytes(2047 * 512 + 1), 1, b"abcd")


def test_grub_cfg() -> None:
    """grub.cfg boots the kernel at once and talks on the serial port."""
    assert grub_cfg(BootEntry(cmdline="console=ttyS0")) == (
        "serial --unit=0 --speed=115200\n"
        "terminal_output serial\n"
        "terminal_input serial\n"
        "set root=(hd0,msdos1)\n"
        "linux /boot/vmlinuz console=ttyS0\n"
        "initrd /boot/initrd.gz\n"
        "boot\n"
    )
