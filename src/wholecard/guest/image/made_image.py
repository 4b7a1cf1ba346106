"""An image that Wholecard makes itself: a Debian root, a recipe carried out in it, a bootable disk.

Nothing is mounted and no loop device is used. It boots by BIOS, with the first serial port as its
console.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.guest.image import bootable_disk, debian_root
from wholecard.guest.image.disk import BootEntry, grub_cfg
from wholecard.guest.image.recipe import Recipe
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.guest.image.writer import Say

_TREE = "/srv"
_MIB = 1 << 20
# ext4's own tables and its journal, beside what the files take.
_OVERHEAD = 1.06
_JOURNAL_MIB = 64
# So that the same root becomes a disk with the same names each time.
_NAMESPACE = uuid.UUID("6b7a1e52-5f0c-4c0e-9d6b-77686f6c6500")


@dataclass(frozen=True)
class DebianBase:
    """The system that a recipe begins with: a suite, and packages that are there from the start.

    `not_unpacked` are paths that dpkg leaves out, also of the packages that the recipe installs.
    """

    suite: str
    packages: tuple[str, ...] = ()
    not_unpacked: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadeImage:
    """What is made: the base, the recipe, and how the result boots.

    `free_mib` is what its disk has free, `cmdline` is added to the kernel's command line.
    """

    name: str
    base: DebianBase
    recipe: Recipe
    free_mib: int = 256
    cmdline: str = ""


def make_image(
    image: MadeImage, target: Path, tools: Path, say: Say, writer: SandboxRoot | None = None
) -> None:
    """Write `target`, a compressed qcow2; `target`'s folder also holds what lies between.

    `tools` is a root with grub-pc-bin, e2fsprogs and qemu-utils. Raises RunError where the base or
    the disk cannot be made, WriteError where a step failed, and WholecardError where the system has
    no kernel at the end.
    """
    root = target.with_suffix(".root")
    say(f"Debian {image.base.suite} is unpacked")
    debian_root.unpack(
        image.base.suite, root, image.base.packages, not_unpacked=image.base.not_unpacked
    )
    (writer or SandboxRoot()).write(image.recipe, root, say)
    say("the disk is written")
    write_disk(image, root, target, tools)


def write_disk(image: MadeImage, root: Path, target: Path, tools: Path) -> None:
    """The root as a compressed qcow2 that boots. Raises WholecardError."""
    disk_uuid = str(uuid.uuid5(_NAMESPACE, image.name))
    _make_bootable(image, root, disk_uuid)
    size_mib = int(used_mib(root) * _OVERHEAD) + _JOURNAL_MIB + image.free_mib
    raw = target.with_suffix(".raw")
    inside = Sandbox(tools, (Mount(root, _TREE),))
    try:
        bootable_disk.bootable_disk(inside, _TREE, raw, size_mib=size_mib, uuid=disk_uuid)
        bootable_disk.as_qcow2(inside, raw, target, compressed=True)
    finally:
        raw.unlink(missing_ok=True)


def used_mib(root: Path) -> int:
    """What the files of a root take, in MiB: whole blocks of 4 KiB, as ext4 stores them."""
    return sum(-(-size // 4096) for size in _sizes(root)) * 4096 // _MIB + 1


def _sizes(root: Path) -> Iterator[int]:
    for above, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield max(os.lstat(os.path.join(above, name)).st_size, 1)  # noqa: PTH118 - 40,000 files


def _make_bootable(image: MadeImage, root: Path, disk_uuid: str) -> None:
    for name in ("vmlinuz", "initrd.img"):
        if not (root / name).is_symlink() or not any(root.glob(f"boot/{name}-*")):
            raise WholecardError(
                f"the image {image.name} has no /{name}",
                "Debian's kernel packages make this link.",
                "Install linux-image-amd64 and initramfs-tools in its recipe or its base.",
            )
    cmdline = f"root=UUID={disk_uuid} ro console=ttyS0,115200 {image.cmdline}".rstrip()
    entry = BootEntry("/vmlinuz", "/initrd.img", cmdline)
    (root / "boot/grub").mkdir(exist_ok=True)
    (root / "boot/grub/grub.cfg").write_text(grub_cfg(entry))
    (root / "etc/fstab").write_text(f"UUID={disk_uuid} / ext4 defaults,noatime 0 1\n")
    host = re.sub(r"[^a-z0-9-]", "-", image.name.lower())[:63]
    (root / "etc/hostname").write_text(f"{host}\n")
