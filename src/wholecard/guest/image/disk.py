"""The pure pieces of a bootable disk: the master boot record and grub.cfg.

The caller runs the tools that make the rest (grub-mkimage, mke2fs, qemu-img).
Source: the PC's MBR layout; `boot.img` of GRUB's i386-pc loads what starts at sector 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from wholecard.core import UsageError

SECTOR = 512
# The first partition begins at 1 MiB, as partitioning tools do it; core.img is in the gap.
FIRST_SECTOR = 2048

_CODE = 440  # bytes of boot code; the disk's signature and the partition table follow
_ENTRY = struct.Struct("<B3sB3sII")
_BEYOND_CHS = b"\xfe\xff\xff"
_LINUX = 0x83
_ACTIVE = 0x80


def mbr(boot_img: bytes | None, start_sector: int, sectors: int, signature: bytes) -> bytes:
    """The first sector of a disk with one Linux partition, 512 bytes.

    `boot_img` is GRUB's, None for a plain partition table; `start_sector` and `sectors` are in
    units of 512 bytes; `signature` is the disk's, four bytes. Raises UsageError where `boot_img` is
    not a boot.img, the signature has another length or the partition ends beyond 2 TiB.
    """
    if boot_img is not None and (len(boot_img) != SECTOR or boot_img[-2:] != b"\x55\xaa"):
        raise UsageError("not GRUB's boot.img", resolution="Take usr/lib/grub/i386-pc/boot.img.")
    if len(signature) != 4:
        raise UsageError("a disk's signature has four bytes", resolution="Give four bytes.")
    if start_sector < 1 or sectors < 1 or start_sector + sectors > 1 << 32:
        raise UsageError(
            f"an MBR cannot describe {sectors} sectors from sector {start_sector}",
            resolution="Begin at sector 1 or later and end within 2 TiB.",
        )
    code = bytes(_CODE) if boot_img is None else boot_img[:_CODE]
    active = 0 if boot_img is None else _ACTIVE
    entry = _ENTRY.pack(active, _BEYOND_CHS, _LINUX, _BEYOND_CHS, start_sector, sectors)
    return code + signature + bytes(2) + entry + bytes(3 * _ENTRY.size) + b"\x55\xaa"


def boot_area(boot_img: bytes, core_img: bytes, sectors: int, signature: bytes) -> bytes:
    """MBR and GRUB's core image, to be written at the disk's start; the partition is at 1 MiB.

    Raises UsageError when the core image does not fit before the partition.
    """
    if len(core_img) > (FIRST_SECTOR - 1) * SECTOR:
        raise UsageError(
            "GRUB's core.img does not fit before the partition",
            f"{len(core_img)} bytes",
            "Give grub-mkimage fewer modules.",
        )
    return mbr(boot_img, FIRST_SECTOR, sectors, signature) + core_img


@dataclass(frozen=True)
class BootEntry:
    """What GRUB boots: paths in the partition, and the kernel command line."""

    kernel: str = "/boot/vmlinuz"
    initrd: str = "/boot/initrd.gz"
    cmdline: str = "console=ttyS0,115200 panic=-1"


def grub_cfg(entry: BootEntry) -> str:
    """grub.cfg that boots at once from the first partition, with the first serial port as console.

    The core image needs the modules biosdisk, part_msdos, ext2, linux, normal, configfile,
    serial, terminal and boot.
    """
    return (
        "serial --unit=0 --speed=115200\n"
        "terminal_output serial\n"
        "terminal_input serial\n"
        "set root=(hd0,msdos1)\n"
        f"linux {entry.kernel} {entry.cmdline}\n"
        f"initrd {entry.initrd}\n"
        "boot\n"
    )
