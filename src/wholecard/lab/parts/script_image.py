"""Guests that are a kernel, a few drivers and one script: for what no ordinary guest shows.

Such an image is built when it is asked for, and is no part of a lab: a lab that does not need it
does not wait for it.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
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

INSIDE = Path(__file__).parents[1] / "inside"
BOOT = INSIDE / "script_guest.sh"


@dataclass(frozen=True)
class ScriptGuest:
    """An image's name in the cache and in Glance, and the file in `inside/` that its guest runs."""

    name: str
    file: str

    @property
    def script(self) -> bytes:
        """All that the guest's first process runs: the boot, then its own part (busybox sh)."""
        return BOOT.read_bytes() + (INSIDE / self.file).read_bytes()

    @property
    def disk(self) -> str:
        """The image's file in its folder of the cache."""
        return f"{self.name}.qcow2"


# It looks for the last guest's marks in its cards' memory.
LEAK_GUEST = ScriptGuest("leak-guest", "leak_guest.sh")
# It counts, and uses its slice and its card all the time, so that a move that loses anything shows.
MOVING_GUEST = ScriptGuest("moving-guest", "moving_guest.sh")


def script_image(folder: LabFolder, root: Path, guest: ScriptGuest) -> Path:
    """The guest's disk, qcow2, for Glance."""
    key = key_of(root.name, key_of_files(Path(__file__), GUEST_ROOM), guest.script.decode())

    def build(target: Path) -> None:
        tree = target / "tree"
        (tree / "boot/grub").mkdir(parents=True)
        release = kernel_release(root)
        kernel = (root / f"boot/vmlinuz-{release}").read_bytes()
        (tree / "boot/vmlinuz").write_bytes(kernel)
        (tree / "boot/initrd.gz").write_bytes(_initramfs(root, release, guest.script))
        (tree / "boot/grub/grub.cfg").write_text(guest_disk.grub_cfg(guest_disk.BootEntry()))
        inside = Sandbox(root, (Mount(tree, TREE),))
        raw = target / "guest.raw"
        bootable_disk.bootable_disk(
            inside, TREE, raw, size_mib=GUEST_MIB, filesystem="ext2", uuid=GUEST_UUID
        )
        bootable_disk.as_qcow2(inside, raw, target / guest.disk)
        raw.unlink()
        cache.remove_tree(tree)

    return cache.entry(folder.cache, guest.name, key, build, (guest.disk,)) / guest.disk


def _initramfs(root: Path, release: str, script: bytes) -> bytes:
    loaded = read_modules(root, release, (DRIVER,))
    init = script.replace(b"#!/bin/sh\n", b"#!/bin/busybox sh\n", 1)
    content = cpio.archive(entries(static_busybox(root), loaded, init))
    return gzip.compress(content, compresslevel=6, mtime=0)
