"""Modules in the order of loading, and the initramfs made of a small root."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from wholecard.core import UsageError, WholecardError
from wholecard.guest.image import initramfs
from wholecard.guest.image.kernel_modules import (
    ModuleError,
    decompressed,
    kernel_release,
    load_order,
    module_name,
    parse_dep,
    read_modules,
)

# As Debian's 6.12 has it, shortened: the nearest need comes first.
DEP = """\
k/snd.ko.xz: k/soundcore.ko.xz
k/soundcore.ko.xz:
k/snd-hda-core.ko.xz: k/snd.ko.xz k/soundcore.ko.xz
k/snd-hda-codec.ko.xz: k/snd-hda-core.ko.xz k/snd.ko.xz k/soundcore.ko.xz
k/snd-hda-codec-generic.ko.xz: k/snd-hda-codec.ko.xz k/snd-hda-core.ko.xz k/snd.ko.xz k/soundcore.ko.xz
k/snd-hda-intel.ko.xz: k/snd-hda-codec.ko.xz k/snd-hda-core.ko.xz k/snd.ko.xz k/soundcore.ko.xz
k/nvme.ko.xz:
"""  # noqa: E501 -- one line a module
ELF = b"\x7fELF and the rest"


def names(*modules: str) -> list[str]:
    """The names of what would be loaded for these."""
    return [module_name(path) for path in load_order(parse_dep(DEP), modules, ["ext4"])]


@pytest.mark.parametrize(
    ("modules", "order"),
    [
        ([], []),
        (["nvme"], ["nvme"]),
        (["snd_hda_core"], ["soundcore", "snd", "snd_hda_core"]),
        (
            ["snd-hda-codec-generic", "nvme", "snd-hda-intel"],
            ["soundcore", "snd", "snd_hda_core", "snd_hda_codec", "snd_hda_codec_generic", "nvme",
             "snd_hda_intel"],
        ),
        (["nvme", "nvme", "ext4"], ["nvme"]),
    ],
)  # fmt: skip
def test_load_order(modules: list[str], order: list[str]) -> None:
    """Each module comes after what it needs, none twice, built-in ones not at all."""
    assert names(*modules) == order


def test_unknown_module() -> None:
    """A module that is neither a file nor built in is an error that names it."""
    with pytest.raises(ModuleError, match="no module nouveau"):
        names("nouveau")


@pytest.mark.parametrize(
    ("path", "data"),
    [("a.ko", ELF), ("a.ko.xz", lzma.compress(ELF)), ("a.ko.gz", gzip.compress(ELF))],
    ids=["plain", "xz", "gzip"],  # gzip's header has the time: an id of its own in each worker
)
def test_decompressed(path: str, data: bytes) -> None:
    """Each packing that Debian has used comes out as plain ELF."""
    assert decompressed(path, data) == ELF


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.ko.xz", b"x"),
        ("a.ko.xz", lzma.compress(ELF)[:-9]),
        ("a.ko.zst", b"(\xb5/\xfd"),
        ("a.ko", b""),
    ],
)
def test_broken_modules(path: str, data: bytes) -> None:
    """What is no module, or is cut, never gets into the image."""
    with pytest.raises(ModuleError):
        decompressed(path, data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a static busybox and one kernel of the table above."""
    base = tmp_path / "lib/modules/6.12-test"
    (base / "k").mkdir(parents=True)
    (base / "modules.dep").write_text(DEP)
    (base / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    for path in parse_dep(DEP):
        (base / path).write_bytes(lzma.compress(ELF + path.encode()))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(b"\x7fELF static")
    return tmp_path


def test_initramfs(root: Path) -> None:
    """It holds busybox, /init, the modules unpacked, and their order."""
    data = gzip.decompress(initramfs.build(root, modules=["snd-hda-core"]))
    for part in (
        b"bin/busybox\0",
        b"#!/bin/busybox sh\n",
        b"soundcore.ko\nsnd.ko\nsnd_hda_core.ko\n",
        ELF + b"k/snd-hda-core.ko.xz",
    ):
        assert data.count(part) == 1


def test_initramfs_is_reproducible(root: Path) -> None:
    """The same root gives the same bytes, at any level the same archive."""
    once = initramfs.build(root, modules=["nvme"])
    assert initramfs.build(root, modules=["nvme"]) == once
    fast = initramfs.build(root, modules=["nvme"], level=1)
    assert gzip.decompress(fast) == gzip.decompress(once)


def test_module_content(root: Path) -> None:
    """Each module carries its own file's content."""
    modules = read_modules(root, "6.12-test", ["nvme"])
    assert [(m.name, m.data) for m in modules] == [("nvme", ELF + b"k/nvme.ko.xz")]


def test_release_has_to_be_plain(root: Path) -> None:
    """One kernel is taken, two are asked about, none is an error."""
    assert kernel_release(root) == "6.12-test"
    with pytest.raises(ModuleError, match="0 kernels"):
        kernel_release(root / "bin")
    (root / "lib/modules/6.13").mkdir()
    (root / "lib/modules/6.13/modules.dep").write_text("")
    with pytest.raises(ModuleError, match=r"6\.12-test, 6\.13"):
        initramfs.build(root)


@pytest.mark.parametrize("content", [None, b"\x7fELF\0/lib64/ld-linux-x86-64.so.2\0"])
def test_busybox_has_to_be_static(root: Path, content: bytes | None) -> None:
    """A busybox that is missing or needs libraries is refused: the guest has none."""
    (root / "bin/busybox").unlink()
    if content is not None:
        (root / "bin/busybox").write_bytes(content)
    with pytest.raises(WholecardError, match="no static busybox"):
        initramfs.build(root, modules=[])


@pytest.mark.parametrize("level", [0, 10])
def test_levels(root: Path, level: int) -> None:
    """A level that gzip does not have is the caller's error."""
    with pytest.raises(UsageError):
        initramfs.build(root, level=level)
