"""Disk images from trees: a partition table, GRUB in its gap, ext4; no loop device, no mount."""

from __future__ import annotations

from pathlib import Path

from wholecard.guest.image.disk import FIRST_SECTOR, SECTOR, boot_area
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.parts.root_filesystem import DISK_UUID

GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "configfile", "linux", "serial",
                "terminal", "search", "search_fs_uuid", "boot", "echo", "gzio", "test")  # fmt: skip
# Features of ext4 that GRUB 2.12 cannot read (grub-core/fs/ext2.c).
NOT_FOR_GRUB = "^metadata_csum_seed,^orphan_file"


def bootable_disk(
    inside: Sandbox,
    tree: str,
    target: Path,
    *,
    size_mib: int,
    filesystem: str = "ext4",
    uuid: str = DISK_UUID,
) -> None:
    """Write a raw, sparse, BIOS-bootable disk at `target` whose one partition holds `tree`.

    `tree` is a folder as `inside` sees it, with `/boot/grub/grub.cfg` in it. The boot record and
    the core image are GRUB's own, made by the root's grub-mkimage.
    """
    work = inside.with_mounts(Mount(target.parent, "/lab", writable=True))
    core_name = f"{target.name}.core"
    work.run(["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub",
              "-o", f"/lab/{core_name}", *GRUB_MODULES], timeout=30)  # fmt: skip
    core_path = target.parent / core_name
    core = core_path.read_bytes()
    core_path.unlink()
    boot = (inside.root / "usr/lib/grub/i386-pc/boot.img").read_bytes()
    sectors = (size_mib << 20) // SECTOR - FIRST_SECTOR
    with target.open("wb") as file:
        file.truncate(size_mib << 20)
        file.write(boot_area(boot, core, sectors, b"WCRD"))
    work.run(["mke2fs", "-q", "-t", filesystem, "-F", "-U", uuid, "-O", NOT_FOR_GRUB,
              "-E", f"offset={FIRST_SECTOR * SECTOR},lazy_itable_init=1,lazy_journal_init=1",
              "-d", tree, f"/lab/{target.name}", f"{sectors // 2}k"],
             timeout=300)  # fmt: skip


def as_qcow2(inside: Sandbox, raw: Path, target: Path) -> None:
    """Turn a raw disk into qcow2: Glance and nova refuse a raw one with a boot sector."""
    work = inside.with_mounts(Mount(raw.parent, "/lab", writable=True))
    work.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", f"/lab/{raw.name}",
              f"/lab/{target.name}"], timeout=120)  # fmt: skip


def overlay(inside: Sandbox, backing: str, backing_format: str, folder: Path, name: str) -> None:
    """A qcow2 at `folder/name` that holds only what differs from `backing` (a path in the root)."""
    work = inside.with_mounts(Mount(folder, "/lab", writable=True))
    work.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", backing,
              f"/lab/{name}"], timeout=30)  # fmt: skip
