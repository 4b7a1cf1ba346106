"""A disk's partitions, which of them has the system's root, and what file system is on it.

The output of `sfdisk --json` becomes records here; file systems are known by their own superblock.
Sources: sfdisk(8); the Discoverable Partitions Specification for the types; ext4's disk layout
(kernel: Documentation/filesystems/ext4/super.rst), XFS's and LVM2's magic numbers.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import UsageError
from wholecard.guest.image.disk_image import SECTOR, DiskImage
from wholecard.guest.image.image_tools import run_tool

_ROOT_TYPES = frozenset({
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",  # root, x86-64
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",  # root, ARM 64
})  # fmt: skip
_LINUX_TYPES = frozenset({
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4",  # Linux file system
    "E6D6D379-F507-44C2-A23C-238F2A3DF928",  # LVM
    "83",  # MBR: Linux
    "8e",  # MBR: LVM
})  # fmt: skip
# A GPT has 34 sectors, logical partitions of an MBR follow one another over the whole disk.
_HEAD_SECTORS = 2048
_SUPERBLOCK_SECTORS = 256
_EXTENDED = frozenset({"5", "f", "85"})


@dataclass(frozen=True)
class Partition:
    """A partition: its number as in `/dev/sda1`, its place and length in sectors of 512 bytes."""

    number: int
    start: int
    sectors: int
    type: str

    @property
    def offset(self) -> int:
        """Where it begins, in bytes."""
        return self.start * SECTOR

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.sectors * SECTOR


@dataclass(frozen=True)
class PartitionTable:
    """A disk's partitions in the order of their places; `label` is `gpt` or `dos`."""

    label: str
    partitions: tuple[Partition, ...]

    def root(self) -> Partition:
        """The partition with the system: of a root's type, else the largest one for Linux.

        Raises UsageError where there is none.
        """
        of_root = [part for part in self.partitions if part.type.upper() in _ROOT_TYPES]
        linux = [part for part in self.partitions
                 if part.type.upper() in _LINUX_TYPES or part.type in _LINUX_TYPES]  # fmt: skip
        largest = sorted(of_root or linux, key=lambda part: part.sectors)
        if not largest:
            types = ", ".join(part.type for part in self.partitions) or "none"
            raise UsageError(
                "the image has no partition for a Linux system",
                f"its partitions have the types: {types}",
                "Images of Linux systems with a GPT or MBR partition table can be built.",
            )
        return largest[-1]

    def is_last(self, partition: Partition) -> bool:
        """Whether nothing is behind it, so that it can grow."""
        return all(other.start <= partition.start for other in self.partitions)


@dataclass(frozen=True)
class RootFilesystem:
    """What is on the root's partition: `kind` is `ext4`, `xfs`, `lvm`, `btrfs`, `luks` or empty.

    `free` and `size` are in bytes, None where only a mount could tell.
    """

    kind: str
    size: int | None = None
    free: int | None = None


@dataclass(frozen=True)
class Layout:
    """A disk's table, the partition with the system, and the file system there."""

    table: PartitionTable
    root: Partition
    filesystem: RootFilesystem


def read_layout(image: DiskImage) -> Layout:
    """The layout of an image of either format: some KiB of it are read, nothing is unpacked.

    Raises UsageError where it has no table that is usable, or no partition for a system.
    """
    with tempfile.TemporaryDirectory(prefix="wholecard-") as folder:
        head = Path(folder, "head")
        _copy_sectors(image, head, 0, _HEAD_SECTORS)
        # The copy of a GPT at the disk's end is missing then, and sfdisk takes the first one.
        with head.open("r+b") as stream:
            stream.truncate(image.virtual_size)
        table = read_table(head)
        root = table.root()
        start = Path(folder, "root")
        _copy_sectors(image, start, root.start, _SUPERBLOCK_SECTORS)
        filesystem = filesystem_of(start.read_bytes())
        if (filesystem.size or 0) > root.size:
            raise UsageError(
                f"{image.path} is damaged",
                f"its file system has {filesystem.size} bytes, its partition {root.size}",
                "Fetch it again, and compare its checksum with its maker's.",
            )
        return Layout(table, root, filesystem)


def _copy_sectors(image: DiskImage, target: Path, start: int, count: int) -> None:
    run_tool("qemu-img", "dd", "-f", image.format, "-O", "raw", f"bs={SECTOR}", f"skip={start}",
             f"count={start + count}", f"if={image.path}", f"of={target}", timeout=60)  # fmt: skip


def read_table(image: Path) -> PartitionTable:
    """The partition table of a raw image. Raises UsageError where it has none that is usable."""
    result = run_tool("sfdisk", "--json", str(image), timeout=60, check=False)
    if result.status != 0:
        raise UsageError(
            f"{image} has no partition table that can be read",
            result.stderr.strip()[:400],
            "Fetch the image again; a disk without partitions cannot be built.",
        )
    return parse_table(result.stdout, image.stat().st_size)


def parse_table(text: str, disk_size: int) -> PartitionTable:
    """What `sfdisk --json` printed of a disk of so many bytes. Raises UsageError."""
    try:
        table = json.loads(text)["partitiontable"]
        label = str(table["label"])
        rows = [(str(row["node"]), row) for row in table.get("partitions", ())]
        parts = [
            Partition(_number(node), int(row["start"]), int(row["size"]), str(row["type"]))
            for node, row in rows
        ]
        sector = int(table.get("sectorsize", SECTOR))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(
            "sfdisk's answer cannot be read",
            str(error),
            "Is it util-linux's sfdisk, 2.26 or later?",
        ) from error
    if label not in ("gpt", "dos") or sector != SECTOR:
        raise UsageError(
            f"the image's partition table is of the kind {label} with sectors of {sector} bytes",
            resolution="GPT and MBR with sectors of 512 bytes can be used.",
        )
    if [part.type for part in parts] == ["ee"]:
        # Only the protective MBR is left of a GPT that names more sectors than there are.
        raise _cut_off("its GPT is longer than its disk")
    for part in parts:
        if part.offset + part.size > disk_size:
            end = part.offset + part.size
            raise _cut_off(f"partition {part.number} ends at byte {end}, the disk at {disk_size}")
    ordered = sorted(_real(parts), key=lambda part: part.start)
    return PartitionTable(label, tuple(ordered))


def filesystem_of(start: bytes) -> RootFilesystem:
    """The file system whose first 128 KiB these are; of kind empty where it is not known."""
    ext = start[1024:2048]
    if ext[56:58] == b"\x53\xef":
        return _ext(ext)
    if start.startswith(b"XFSB"):
        block, blocks = struct.unpack_from(">IQ", start, 4)
        free = struct.unpack_from(">Q", start, 144)[0]
        return RootFilesystem("xfs", block * blocks, block * free)
    if start.startswith(b"LUKS\xba\xbe"):
        return RootFilesystem("luks")
    if any(start[at : at + 8] == b"LABELONE" for at in range(0, 4 * SECTOR, SECTOR)):
        return RootFilesystem("lvm")
    if start[0x10040:0x10048] == b"_BHRfS_M":
        return RootFilesystem("btrfs")
    return RootFilesystem("")


def _ext(superblock: bytes) -> RootFilesystem:
    """By s_blocks_count, s_free_blocks_count, s_log_block_size; 64 bits with feature `64bit`."""
    blocks, _, free = struct.unpack_from("<III", superblock, 4)
    log_size = struct.unpack_from("<I", superblock, 24)[0]
    incompat = struct.unpack_from("<I", superblock, 96)[0]
    if log_size > 6:
        return RootFilesystem("")
    if incompat & 0x80:
        blocks |= struct.unpack_from("<I", superblock, 0x150)[0] << 32
        free |= struct.unpack_from("<I", superblock, 0x158)[0] << 32
    block = 1024 << log_size
    # ext2 and ext3 are driven and resized by the same programs.
    return RootFilesystem("ext4", blocks * block, free * block)


def _cut_off(details: str) -> UsageError:
    return UsageError(
        "the image is cut off",
        details,
        "Fetch it again, and compare its checksum with its maker's.",
    )


def _real(parts: Iterable[Partition]) -> list[Partition]:
    """Without an MBR's extended partition, which is the room of the logical ones in it."""
    return [part for part in parts if part.type not in _EXTENDED]


def _number(node: str) -> int:
    digits = node[len(node.rstrip("0123456789")) :]
    return int(digits)
