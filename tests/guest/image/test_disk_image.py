"""Image files: what may be used, and what is refused before another program opens it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from support.disk_images import ROOT_START, SECTOR, as_qcow2, call, raw_disk
from wholecard.core import UsageError
from wholecard.core.units import MIB
from wholecard.guest.image.disk_image import DiskImage, examine, require_disk_space
from wholecard.guest.image.partitions import (
    Partition,
    PartitionTable,
    RootFilesystem,
    filesystem_of,
    parse_table,
    read_layout,
)

Spoil = Callable[[bytearray], object]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `disk.raw`, of 48 MiB, and `disk.qcow2`, both with the same content."""
    folder = tmp_path_factory.mktemp("disks")
    as_qcow2(raw_disk(folder, {"/home/blob": os.urandom(4 * MIB)}))
    return folder


def test_is_read(disks: Path) -> None:
    """Format, size and layout of both formats; nothing is unpacked for it."""
    raw, qcow2 = (examine(disks / f"disk.{kind}", thorough=True) for kind in ("raw", "qcow2"))
    assert (raw.format, qcow2.format) == ("raw", "qcow2")
    assert raw.virtual_size == qcow2.virtual_size == 48 * MIB
    assert 4 * MIB < qcow2.allocated < 16 * MIB
    layout = read_layout(qcow2)
    assert read_layout(raw) == layout
    assert layout.root.number == 2
    assert layout.filesystem.kind == "ext4"
    assert 20 * MIB < (layout.filesystem.free or 0) < 40 * MIB
    assert sorted(path.name for path in disks.iterdir()) == ["disk.qcow2", "disk.raw", "root"]


def _write(at: int, form: str, value: int) -> Spoil:
    return lambda data: struct.pack_into(form, data, at, value)


def _backing(data: bytearray) -> None:
    name = b"/etc/shadow"
    struct.pack_into(">QI", data, 8, 0x300, len(name))
    data[0x300 : 0x300 + len(name)] = name


def _data_file(data: bytearray) -> None:
    """As `qemu-img create -o data_file=` does: the feature's bit, and a header extension."""
    data[79] |= 4
    length = struct.unpack_from(">I", data, 100)[0]
    struct.pack_into(">II12s", data, length, 0x44415441, 12, b"json:{secret")


# What is done to a good qcow2, and what is said then.
HOSTILE: list[tuple[Spoil, str]] = [
    (_backing, r"reads from another file\nIts backing file is '/etc/shadow'"),
    (_data_file, r"reads from another file\nIts data file is 'json:\{secret'"),
    (_write(79, ">B", 4), "reads from another file"),
    (_write(79, ">B", 2), "marked as corrupt"),
    (_write(32, ">I", 1), "is encrypted"),
    (_write(24, ">Q", 1 << 62), "its disk has 4194304 TiB"),
    (_write(24, ">Q", 0), "its disk has 0 B"),
    (_write(4, ">I", 9), "version 9"),
    (_write(20, ">I", 63), r"clusters have 2\^63 bytes"),
    (_write(36, ">I", 0xFFFFFFFF), "is cut off"),
    (_write(40, ">Q", 1 << 60), "is cut off"),
    (lambda data: data.__delitem__(slice(60, None)), "header is cut off"),
    (lambda data: data.__delitem__(slice(3 * MIB, None)), "is cut off"),
]


@pytest.mark.parametrize(("spoil", "words"), HOSTILE)
def test_hostile_qcow2(disks: Path, tmp_path: Path, spoil: Spoil, words: str) -> None:
    """A qcow2 that names other files, is cut off, or lies about its size is refused."""
    data = bytearray((disks / "disk.qcow2").read_bytes())
    spoil(data)
    bad = tmp_path / "bad.qcow2"
    bad.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        examine(bad, thorough=True)


def test_header_is_read_before_qemu_img(
    tmp_path: Path, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backing file is refused without any program, so nothing opens it."""
    bad = tmp_path / "bad.qcow2"
    call("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disks / "disk.raw", bad)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="reads from another file"):
        examine(bad)


NO_DISKS = [
    (b"", "It is empty"),
    (b"text\n", "neither qcow2 nor a disk"),
    (b"<!doctype html><title>404", "a web page"),
    (b"\x1f\x8b\x08" + bytes(600), "a gzip archive"),
    (b"\xfd7zXZ\0" + bytes(600), "an xz archive"),
    (b"KDMV" + bytes(600), "a VMDK"),
    (bytes(4096), "neither qcow2 nor a disk"),
    (b"-----BEGIN PGP SIGNATURE-----", "a key or a signature"),
]


@pytest.mark.parametrize(("data", "words"), NO_DISKS)
def test_no_disk(tmp_path: Path, data: bytes, words: str) -> None:
    """What is no disk image is called by its name, with what to do."""
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        examine(tmp_path / "f")
    assert caught.value.resolution


def test_no_plain_file(tmp_path: Path) -> None:
    """A folder, a pipe or nothing is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for name, words in ((".", "not a plain file"), ("pipe", "not a plain file"), ("no", "No such")):
        with pytest.raises(UsageError, match=words):
            examine(tmp_path / name)


def test_raw_that_is_cut_off(disks: Path, tmp_path: Path) -> None:
    """A raw disk that ends before its last partition does is refused."""
    short = tmp_path / "short.raw"
    short.write_bytes((disks / "disk.raw").read_bytes()[: 20 * MIB])
    with pytest.raises(UsageError, match="its GPT is longer than its disk"):
        read_layout(examine(short))


def test_file_system_that_is_too_large(disks: Path, tmp_path: Path) -> None:
    """A file system that is larger than its partition would lose its end, so it is refused."""
    bad = tmp_path / "bad.raw"
    data = bytearray((disks / "disk.raw").read_bytes())
    # s_blocks_count, in blocks of 1 KiB.
    struct.pack_into("<I", data, ROOT_START * SECTOR + 1024 + 4, 44 << 10)
    bad.write_bytes(data)
    with pytest.raises(UsageError, match="file system has 46137344 bytes, its partition 40"):
        read_layout(examine(bad))


def test_missing_tool(disks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without qemu-img the package is named."""
    monkeypatch.setattr("wholecard.guest.image.image_tools._SBIN", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="qemu-img is not installed") as caught:
        examine(disks / "disk.qcow2")
    assert "qemu-utils" in caught.value.resolution


def test_no_space(tmp_path: Path) -> None:
    """Too little free space is said with both numbers."""
    require_disk_space(tmp_path, 1)
    with pytest.raises(UsageError, match=r"free, and the build needs 1048576 TiB"):
        require_disk_space(tmp_path, 1 << 60)


def table(*rows: tuple[str, int, int, str], label: str = "gpt") -> str:
    """What `sfdisk --json` prints for partitions of these nodes, starts, sizes and types."""
    parts = ", ".join(
        f'{{"node": "{node}", "start": {start}, "size": {size}, "type": "{kind}"}}'
        for node, start, size, kind in rows
    )
    return f'{{"partitiontable": {{"label": "{label}", "partitions": [{parts}]}}}}'


LINUX, ROOT, ESP = ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
                    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")  # fmt: skip
# A vendor's table (node, start, sectors, type), its root's number, and whether that is the last.
TABLES = [
    # Ubuntu 24.04: the root is number 1 and behind all others.
    ((("d1", 2099200, 5000000, LINUX), ("d14", 2048, 8192, "21686148"), ("d15", 10240, 217088, ESP),
      ("d16", 227328, 1869825, "BC13C2FF")), "gpt", 1, True),
    # Debian 13.
    ((("d1", 262144, 6027264, ROOT), ("d14", 2048, 6144, "2168"), ("d15", 8192, 253952, ESP)),
     "gpt", 1, True),
    # Rocky 9: /boot is a Linux partition too, and the root is the larger one.
    ((("d1", 2048, 4096, "2168"), ("d2", 6144, 204800, ESP), ("d3", 210944, 2048000, LINUX),
      ("d4", 2258944, 18000000, LINUX)), "gpt", 4, True),
    ((("d1", 2048, 900000, LINUX), ("d2", 1000000, 9000, "0657FD6D")), "gpt", 1, False),
    ((("d1", 2048, 900000, "83"),), "dos", 1, True),
    ((("d1", 2048, 9000, "83"), ("d2", 20000, 900000, "5"), ("d5", 22048, 800000, "8e")),
     "dos", 5, True),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "label", "root", "is_last"), TABLES)
def test_root_partition(
    rows: tuple[tuple[str, int, int, str], ...], label: str, root: int, is_last: bool
) -> None:
    """The partition with the system is found, and whether it can grow."""
    found = parse_table(table(*rows, label=label), 1 << 40)
    assert found.root().number == root
    assert found.is_last(found.root()) is is_last


def test_no_root_partition() -> None:
    """A disk of Windows has no partition for a Linux system."""
    lone = PartitionTable("gpt", (Partition(1, 2048, 9, "EBD0A0A2"),))
    with pytest.raises(UsageError, match="no partition for a Linux system"):
        lone.root()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"partitiontable": {}}', table(("d", 1, 1, ""))])
def test_odd_sfdisk(text: str) -> None:
    """An answer of sfdisk that is not as expected is an error of ours."""
    with pytest.raises(UsageError, match="sfdisk's answer"):
        parse_table(text, 1 << 30)


def _block(*parts: tuple[int, bytes]) -> bytes:
    data = bytearray(128 << 10)
    for at, part in parts:
        data[at : at + len(part)] = part
    return bytes(data)


XFS = struct.pack(">4sIQ", b"XFSB", 4096, 1000)
SYSTEMS = [
    (_block((0, XFS), (144, struct.pack(">Q", 600))),
     RootFilesystem("xfs", 4096000, 2457600)),
    (_block((512, b"LABELONE")), RootFilesystem("lvm")),
    (_block((0x10040, b"_BHRfS_M")), RootFilesystem("btrfs")),
    (_block((0, b"LUKS\xba\xbe")), RootFilesystem("luks")),
    (_block((1080, b"\x53\xef"), (1048, b"\xff\xff\xff\xff")), RootFilesystem("")),
    (_block(), RootFilesystem("")),
    (b"", RootFilesystem("")),
]  # fmt: skip


@pytest.mark.parametrize(("start", "filesystem"), SYSTEMS)
def test_filesystems(start: bytes, filesystem: RootFilesystem) -> None:
    """File systems are known by their superblocks; what lies is not known."""
    assert filesystem_of(start) == filesystem


def test_colon_in_a_name(disks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name looks like one of QEMU's protocols is taken as a file."""
    odd = tmp_path / "nbd:localhost:1"
    odd.write_bytes((disks / "disk.qcow2").read_bytes())
    monkeypatch.chdir(tmp_path)
    found = examine(Path(odd.name), thorough=True)
    assert isinstance(found, DiskImage)
    assert read_layout(found).root.number == 2
