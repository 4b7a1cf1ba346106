"""Growth with the real tools: nothing is mounted, no root is needed, and no file changes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from support.disk_images import (
    SECTOR,
    as_qcow2,
    call,
    file_in,
    is_sound,
    raw_disk,
)
from wholecard.core import UsageError, WholecardError
from wholecard.core.units import GIB, MIB
from wholecard.guest.image.disk_image import examine
from wholecard.guest.image.grow import Growth, GrowthMethod, grow, plan_growth
from wholecard.guest.image.partitions import (
    Layout,
    Partition,
    PartitionTable,
    RootFilesystem,
    read_layout,
)


def quiet(_text: str) -> None:
    """Nobody waits."""


def planned(disk: Path, size: int) -> tuple[Growth, Layout]:
    """How a disk would grow to so many bytes, without libguestfs."""
    layout = read_layout(examine(disk))
    return plan_growth(layout, examine(disk).virtual_size, size, has_virt_resize=False), layout


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_ext4(tmp_path: Path, label: str) -> None:
    """Disk, partition and file system grow to the end; every byte of a full disk is kept.

    resize2fs with `?offset=` cuts the disk to the file system's size: the files at its end go.
    """
    blobs = {f"/home/{number}": os.urandom(MIB) for number in range(30)}
    disk = raw_disk(tmp_path, blobs, label=label)
    growth, layout = planned(disk, 56 * MIB)
    assert growth.method is GrowthMethod.E2FSPROGS
    grow(disk, growth, layout, quiet)
    assert disk.stat().st_size == 56 * MIB
    after = read_layout(examine(disk))
    end = after.root.start + after.root.sectors
    assert 56 * MIB // SECTOR - end < 2048
    # resize2fs takes whole pages.
    assert 0 <= after.root.size - (after.filesystem.size or 0) < 4096
    assert is_sound(disk)
    for path, content in blobs.items():
        read = file_in(disk, path)
        assert hashlib.sha256(read).digest() == hashlib.sha256(content).digest()
    # A GPT has its second copy at the disk's end, or sfdisk says so here.
    assert "No errors detected" in call("sfdisk", "--verify", disk) or label == "dos"
    assert not list(tmp_path.glob("disk.raw.*"))


def test_sparse(tmp_path: Path) -> None:
    """20 GiB take no more space on the disk than the files and the file system's tables."""
    disk = raw_disk(tmp_path, {"/f": b"x"})
    growth, layout = planned(disk, 20 * GIB)
    grow(disk, growth, layout, quiet)
    assert disk.stat().st_size == 20 * GIB
    assert disk.stat().st_blocks * SECTOR < 64 * MIB
    assert file_in(disk, "/f") == b"x"


def test_not_the_last_partition(tmp_path: Path) -> None:
    """A root with a partition behind it stays as it is; only the disk grows."""
    disk = raw_disk(tmp_path, {"/f": b"x"}, behind="start=90112, size=2048\n")
    growth, layout = planned(disk, 64 * MIB)
    assert growth.method is GrowthMethod.FIRST_BOOT
    grow(disk, growth, layout, quiet)
    assert disk.stat().st_size == 64 * MIB
    assert "No errors detected" in call("sfdisk", "--verify", disk)
    assert read_layout(examine(disk)).root == layout.root
    assert file_in(disk, "/f") == b"x"


@pytest.mark.parametrize(("output", "resolution"), [
    ("has unsupported feature(s): FEATURE_C12 FEATURE_R16", "install a newer one"),
    ("UNEXPECTED INCONSISTENCY", "fetch it again"),
])  # fmt: skip
def test_file_system_that_cannot_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, resolution: str
) -> None:
    """What e2fsck refuses is an error with its words, and nothing of the work is left."""
    disk = raw_disk(tmp_path, {"/f": b"x"})
    growth, layout = planned(disk, 64 * MIB)
    (tmp_path / "e2fsck").write_text(f"#!/bin/sh\necho '{output}'; exit 8\n")
    (tmp_path / "e2fsck").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(WholecardError, match=f"cannot be grown\n{re.escape(output)}") as caught:
        grow(disk, growth, layout, quiet)
    assert resolution in caught.value.resolution
    assert not list(tmp_path.glob("disk.raw.*"))


def laid_out(kind: str) -> Layout:
    """A layout with a file system of that kind, alone on its disk."""
    part = Partition(4, 2048, 4096, "0FC63DAF-8483-4772-8E79-3D69D8477DE4")
    return Layout(PartitionTable("gpt", (part,)), part, RootFilesystem(kind))


@pytest.mark.parametrize(("kind", "has_virt_resize", "method"), [
    ("ext4", False, GrowthMethod.E2FSPROGS),
    ("xfs", False, GrowthMethod.FIRST_BOOT),
    ("xfs", True, GrowthMethod.VIRT_RESIZE),
    ("lvm", True, GrowthMethod.VIRT_RESIZE),
    ("luks", True, GrowthMethod.FIRST_BOOT),
    ("", True, GrowthMethod.FIRST_BOOT),
])  # fmt: skip
def test_method(kind: str, has_virt_resize: bool, method: GrowthMethod) -> None:
    """The method follows from the file system and from what is installed."""
    growth = plan_growth(laid_out(kind), GIB, 2 * GIB, has_virt_resize=has_virt_resize)
    assert growth.method is method
    assert growth.room_at_build == (0 if method is GrowthMethod.FIRST_BOOT else GIB * 97 // 100)


def test_shrink() -> None:
    """An image does not shrink, and the error has both sizes."""
    with pytest.raises(UsageError, match="disk has 2 GiB, and size is 1 GiB"):
        plan_growth(laid_out("ext4"), 2 * GIB, GIB, has_virt_resize=True)


FAKES = {
    "virt-filesystems": "printf '/dev/rocky/swap\\n/dev/rocky/root\\n'",
    "virt-resize": 'echo "$*" > "$CALLS"; for last; do :; done; echo grown > "$last"',
}


@pytest.mark.parametrize(("kind", "expand"), [
    ("xfs", "--expand /dev/sda4"),
    ("lvm", "--expand /dev/sda4 --lv-expand /dev/rocky/root"),
])  # fmt: skip
def test_virt_resize(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expand: str
) -> None:
    """libguestfs copies into a new disk of the new size, which takes the old one's place."""
    for name, script in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"old")
    growth = Growth(GrowthMethod.VIRT_RESIZE, 3, GIB, "")
    grow(disk, growth, laid_out(kind), quiet)
    assert (tmp_path / "calls").read_text() == (
        f"--quiet --format raw --output-format raw {expand} {disk} {disk}.grown\n"
    )
    assert disk.read_bytes() == b"grown\n"
    assert not list(tmp_path.glob("disk.raw.*"))


def test_qcow2_is_planned_without_unpacking(tmp_path: Path) -> None:
    """The plan of a qcow2's growth is that of the raw disk."""
    disk = raw_disk(tmp_path, {"/f": b"x"})
    assert planned(as_qcow2(disk, "-c"), GIB)[0] == planned(disk, GIB)[0]
