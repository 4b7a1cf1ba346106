"""The guest that looks for the last guest's marks in its cards' memory: kernel, driver, a script.

It is built when it is asked for, and is no part of a lab: a lab that does not show the leak does
not wait for it.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from wholecard.guest.image import bootable_disk, cpio
from wholecard.guest.image import disk as guest_disk
from wholecard.guest.image.initramfs import entries, static_busybox
from wholecard.guest.image.kernel_modules import kernel_release, read_modules
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.base import cache
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.parts.guest_image import DRIVER
from wholecard.lab.parts.images import GUEST_MIB, GUEST_ROOM, GUEST_UUID, TREE

DISK = "leak.qcow2"
SCRIPT = Path(__file__).parents[1] / "inside/leak_guest.sh"


def leak_entry(folder: LabFolder, root: Path) -> Path:
    """The folder with `leak.qcow2`, for Glance."""
    key = key_of(root.name, key_of_files(Path(__file__), GUEST_ROOM, SCRIPT))

    def build(target: Path) -> None:
        tree = target / "tree"
        (tree / "boot/grub").mkdir(parents=True)
        release = kernel_release(root)
        kernel = (root / f"boot/vmlinuz-{release}").read_bytes()
        (tree / "boot/vmlinuz").write_bytes(kernel)
        (tree / "boot/initrd.gz").write_bytes(_initramfs(root, release))
        (tree / "boot/grub/grub.cfg").write_text(guest_disk.grub_cfg(guest_disk.BootEntry()))
        inside = Sandbox(root, (Mount(tree, TREE),))
        raw = target / "leak.raw"
        bootable_disk.bootable_disk(
            inside, TREE, raw, size_mib=GUEST_MIB, filesystem="ext2", uuid=GUEST_UUID
        )
        bootable_disk.as_qcow2(inside, raw, target / DISK)
        raw.unlink()
        cache.remove_tree(tree)

    return cache.entry(folder.cache, "leak", key, build, (DISK,))


def _initramfs(root: Path, release: str) -> bytes:
    loaded = read_modules(root, release, (DRIVER,))
    init = SCRIPT.read_bytes().replace(b"#!/bin/sh\n", b"#!/bin/busybox sh\n", 1)
    content = cpio.archive(entries(static_busybox(root), loaded, init))
    return gzip.compress(content, compresslevel=6, mtime=0)
