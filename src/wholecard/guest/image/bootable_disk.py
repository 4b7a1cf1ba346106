"""Disk images from trees: a partition table, GRUB in its gap, ext4; no loop device, no mount.

The programs are those of a root with grub-pc-bin, e2fsprogs and qemu-utils, in a sandbox.
"""

from __future__ import annotations

from pathlib import Path

from wholecard.guest.image.disk import FIRST_SECTOR, SECTOR, boot_area
from wholecard.guest.image.sandbox import Mount, Sandbox

GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "configfile", "linux", "serial",
                "terminal", "search", "search_fs_uuid", "boot", "echo", "gzio", "test")  # fmt: skip
# Features of ext4 that GRUB 2.12 cannot read (grub-core/fs/ext2.c).
NOT_FOR_GRUB = "^metadata_csum_seed,^orphan_file"

# The disk's signature in its MBR, by which the kernel names it (PARTUUID).
SIGNATURE = b"WCRD"
# Where the programs see the folder of the disks; `/mnt` is in every root (FHS 3.13).
SCRATCH = "/mnt"
# Clusters of this method are unpacked several times as fast as zlib's (qemu-img(1), since 5.1).
COMPRESSION = ("-c", "-o", "compression_type=zstd")


def bootable_disk(
    inside: Sandbox,
    tree: str,
    target: Path,
    *,
    size_mib: int,
    filesystem: str = "ext4",
    uuid: str,
) -> None:
    """Write a raw, sparse, BIOS-bootable disk at `target` whose one partition holds `tree`.

    `tree` is a folder as `inside` sees it, with `/boot/grub/grub.cfg` in it. The boot record and
    the core image are GRUB's own, made by the root's grub-mkimage.
    """
    work = inside.with_mounts(Mount(target.parent, SCRATCH, writable=True))
    core_name = f"{target.name}.core"
    work.run(["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub",
              "-o", f"{SCRATCH}/{core_name}", *GRUB_MODULES], timeout=30)  # fmt: skip
    core_path = target.parent / core_name
    core = core_path.read_bytes()
    core_path.unlink()
    boot = (inside.root / "usr/lib/grub/i386-pc/boot.img").read_bytes()
    sectors = (size_mib << 20) // SECTOR - FIRST_SECTOR
    with target.open("wb") as file:
        file.truncate(size_mib << 20)
        file.write(boot_area(boot, core, sectors, SIGNATURE))
    work.run(["mke2fs", "-q", "-t", filesystem, "-F", "-U", uuid, "-O", NOT_FOR_GRUB,
              "-E", f"offset={FIRST_SECTOR * SECTOR},lazy_itable_init=1,lazy_journal_init=1",
              "-d", tree, f"{SCRATCH}/{target.name}", f"{sectors // 2}k"],
             timeout=300)  # fmt: skip


def as_qcow2(inside: Sandbox, raw: Path, target: Path, *, compressed: bool = False) -> None:
    """Turn a raw disk into qcow2 beside it: Glance and nova refuse a raw one with a boot sector."""
    work = inside.with_mounts(Mount(raw.parent, SCRATCH, writable=True))
    options = COMPRESSION if compressed else ()
    work.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options,
              f"{SCRATCH}/{raw.name}", f"{SCRATCH}/{target.name}"], timeout=600)  # fmt: skip


def overlay(inside: Sandbox, backing: str, backing_format: str, folder: Path, name: str) -> None:
    """A qcow2 at `folder/name` that holds only what differs from `backing` (a path in the root)."""
    work = inside.with_mounts(Mount(folder, SCRATCH, writable=True))
    work.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", backing,
              f"{SCRATCH}/{name}"], timeout=30)  # fmt: skip
