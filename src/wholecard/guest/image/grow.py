"""An image made larger: its disk, the partition with the system, and the file system there.

ext4 grows without a mount, a loop device or root, for e2fsck(8) and resize2fs(8) take a file. XFS
grows only mounted and LVM has a layer between: libguestfs does both in a virtual machine
(virt-resize(1)). Otherwise only the disk grows now, and the rest at the first boot, by cloud-init's
growpart, which cloud images have.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Result, RunError, UsageError, WholecardError
from wholecard.core.units import size_text
from wholecard.guest.image.image_tools import run_tool
from wholecard.guest.image.partitions import Layout, Partition, read_table
from wholecard.guest.image.sparse import copy_part
from wholecard.guest.image.writer import Say

# e2fsck(8): 0 no errors, 1 errors corrected; both leave a clean file system.
_CLEAN = (0, 1)
# ext4's tables take 1.6 % (mke2fs.conf(5): an inode of 256 bytes for 16 KiB), and a little more.
_USABLE = 97


class GrowthMethod(enum.Enum):
    """How the file system gets the disk's new room."""

    NONE = "none"
    E2FSPROGS = "sfdisk and e2fsprogs"
    VIRT_RESIZE = "virt-resize"
    FIRST_BOOT = "growpart at the first boot"


@dataclass(frozen=True)
class Growth:
    """A disk's size `before` and `after` in bytes, how its file system follows, and why so."""

    method: GrowthMethod
    before: int
    after: int
    reason: str

    @property
    def room_at_build(self) -> int:
        """Bytes that the file system gains while the image is built."""
        is_later = self.method in (GrowthMethod.NONE, GrowthMethod.FIRST_BOOT)
        return 0 if is_later else (self.after - self.before) * _USABLE // 100


def disk_for(room: int) -> int:
    """The bytes by which a disk has to grow so that its file system gains `room` bytes."""
    return -(-max(room, 0) * 100 // _USABLE)


def plan_growth(layout: Layout, before: int, after: int, *, has_virt_resize: bool) -> Growth:
    """How a disk of `before` bytes becomes one of `after`. Pure.

    Raises UsageError where it would have to shrink.
    """
    if after < before:
        raise UsageError(
            f"the base image's disk has {size_text(before)}, and size is {size_text(after)}",
            resolution="An image can grow and not shrink: give a larger size, or size: auto.",
        )
    if after == before:
        return Growth(GrowthMethod.NONE, before, after, "it has that size")
    kind = layout.filesystem.kind or "not known"
    if not layout.table.is_last(layout.root):
        reason = f"partition {layout.root.number} with the system is not the last one"
        return Growth(GrowthMethod.FIRST_BOOT, before, after, f"{reason}, so growpart may refuse")
    if kind == "ext4":
        return Growth(GrowthMethod.E2FSPROGS, before, after, "ext4 grows without a mount or root")
    if kind in ("xfs", "lvm", "btrfs") and has_virt_resize:
        return Growth(GrowthMethod.VIRT_RESIZE, before, after, f"{kind} grows only mounted")
    reason = f"the file system is {kind}, which grows only mounted, and virt-resize is not here"
    return Growth(GrowthMethod.FIRST_BOOT, before, after, reason)


def grow(raw: Path, growth: Growth, layout: Layout, say: Say) -> None:
    """Grow the raw image in place; an image whose growth failed is not used further.

    Raises WholecardError where a tool fails, UsageError where one is missing.
    """
    if growth.method is GrowthMethod.NONE:
        return
    say(f"growing from {size_text(growth.before)} to {size_text(growth.after)}: "
        f"{growth.method.value}")  # fmt: skip
    if growth.method is GrowthMethod.VIRT_RESIZE:
        _virt_resize(raw, growth, layout)
        return
    os.truncate(raw, growth.after)
    if layout.table.label == "gpt":
        # Its second copy has to be the disk's last sectors (UEFI 5.3.2), or nothing can grow.
        _sfdisk(raw, "--relocate", "gpt-bak-std")
    if growth.method is GrowthMethod.E2FSPROGS:
        _grow_ext4(raw, layout.root)


def _grow_ext4(raw: Path, root: Partition) -> None:
    """The partition is taken out, grown as a file of its own, and put into a new image.

    resize2fs takes `IMAGE?offset=BYTES`, but then cuts the whole image to the file system's size,
    as if the offset were not there (e2fsprogs, resize/main.c: ftruncate64), and so the file system
    loses its end.
    """
    _sfdisk(raw, "--no-reread", "-N", str(root.number), stdin=", +\n")
    grown = next(part for part in read_table(raw).partitions if part.number == root.number)
    alone, new = raw.with_name(f"{raw.name}.root"), raw.with_name(f"{raw.name}.grown")
    try:
        _make_sparse(alone, grown.size)
        copy_part(raw, root.offset, root.size, alone, 0)
        _check_ext4(alone, "-fy")
        run_tool("resize2fs", str(alone))
        _check_ext4(alone, "-fn")
        size = raw.stat().st_size
        _make_sparse(new, size)
        copy_part(raw, 0, grown.offset, new, 0)
        copy_part(alone, 0, grown.size, new, grown.offset)
        end = grown.offset + grown.size
        copy_part(raw, end, size - end, new, end)
        new.replace(raw)
    finally:
        alone.unlink(missing_ok=True)
        new.unlink(missing_ok=True)


def _make_sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


def _check_ext4(filesystem: Path, options: str) -> None:
    result = run_tool("e2fsck", options, str(filesystem), check=False)
    if result.status in _CLEAN:
        return
    output = (result.stdout + result.stderr).strip()[-1500:]
    if "unsupported feature" in output:
        resolution = "The image's file system is newer than this e2fsprogs: install a newer one."
    else:
        resolution = "The base image's file system is damaged: fetch it again."
    raise WholecardError("the image's ext4 file system cannot be grown", output, resolution)


def _virt_resize(raw: Path, growth: Growth, layout: Layout) -> None:
    """It copies into a new disk of the new size, which then takes the old one's place."""
    new = raw.with_name(f"{raw.name}.grown")
    volume = _root_volume(raw) if layout.filesystem.kind == "lvm" else None
    _make_sparse(new, growth.after)
    try:
        run_tool("virt-resize", "--quiet", "--format", "raw", "--output-format", "raw",
                 "--expand", f"/dev/sda{layout.root.number}",
                 *(("--lv-expand", volume) if volume else ()), str(raw), str(new),
                 timeout=4 * 3600)  # fmt: skip
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    new.replace(raw)


def _root_volume(raw: Path) -> str:
    """The logical volume with the system: the only one, or the one named after the root."""
    result = run_tool("virt-filesystems", "--format=raw", "-a", str(raw), "--logical-volumes")
    volumes = result.stdout.split()
    named = [volume for volume in volumes if volume.endswith(("/root", "/rootlv", "/lv_root"))]
    chosen = volumes if len(volumes) == 1 else named
    if len(chosen) != 1:
        raise WholecardError(
            "it is not known which logical volume has the system",
            f"the image has: {', '.join(volumes) or 'none'}",
            "Grow the image yourself with virt-resize, and name the result as `from`.",
        )
    return chosen[0]


def _sfdisk(raw: Path, *arguments: str, stdin: str = "") -> Result:
    try:
        return run_tool("sfdisk", "--quiet", *arguments, str(raw), stdin=stdin)
    except RunError as error:
        raise WholecardError(
            "the image's partition table cannot be changed",
            error.details,
            "util-linux 2.37 or later is needed; a table that sfdisk refuses may be damaged.",
        ) from error
