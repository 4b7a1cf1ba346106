"""A look at a raw image's root: what is copied of it, and when it is not looked at."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.disk_images import raw_disk
from support.tree import Leaf
from wholecard.core import Finding, Severity, UsageError
from wholecard.guest.image.disk_image import examine
from wholecard.guest.image.image_tree import NotLookedAtError, look_at_image
from wholecard.guest.image.partitions import Layout, read_layout

K = "6.12.1-amd64"
FINDING = Finding("WC427", "card", Severity.ERROR, "no", "yes")
MERGED: dict[str, Leaf] = {
    f"usr/lib/modules/{K}/modules.dep": "kernel/a.ko:\n", "lib": "-> usr/lib",
    "etc/modprobe.d/nv.conf": "-> /etc/alternatives/nv.conf",
    "etc/alternatives/nv.conf": "-> /etc/nvidia/nv.conf", "etc/nvidia/nv.conf": "blacklist a\n",
    "var/lib/dkms/m/1/build/make.log": "log\n", "var/lib/dpkg/status": "Package: a\n",
}  # fmt: skip
APART: dict[str, Leaf] = {
    f"lib/modules/{K}/modules.dep": "kernel/a.ko:\n", "lib/modprobe.d/a.conf": "a\n",
    "usr/lib/other": "",
}  # fmt: skip


def _disk(folder: Path, tree: dict[str, Leaf]) -> tuple[Path, Layout]:
    disk = raw_disk(folder, tree)
    return disk, read_layout(examine(disk))


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")
                  if path.is_file() or path.is_symlink())  # fmt: skip


@pytest.mark.parametrize("tree", [MERGED, APART])
def test_the_copy(tree: dict[str, Leaf], tmp_path: Path) -> None:
    """A look sees the kernels' modules and what tells of drivers, in either layout of /lib, and
    nothing else; the copy is gone afterwards."""
    disk, layout = _disk(tmp_path, tree)
    work = tmp_path / "work"
    work.mkdir()
    seen: list[str] = []

    def look(root: Path) -> tuple[Finding, ...]:
        assert (root / f"lib/modules/{K}/modules.dep").read_text() == "kernel/a.ko:\n"
        seen.extend(_files(root))
        return (FINDING,)

    assert look_at_image(disk, layout, (look, look), work) == (FINDING,)
    assert seen[: len(seen) // 2] == sorted(set(tree) - {"usr/lib/other"})
    assert list(work.iterdir()) == []


def test_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file system, and a machine without bubblewrap or debugfs, are named."""
    disk, layout = _disk(tmp_path, APART)
    asked = (lambda _root: (FINDING,),)
    xfs = replace(layout, filesystem=replace(layout.filesystem, kind="xfs"))
    with pytest.raises(NotLookedAtError, match="the image has xfs, and only ext4 is read"):
        look_at_image(disk, xfs, asked, tmp_path)
    assert look_at_image(disk, xfs, (), tmp_path) == ()
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr("wholecard.guest.image.image_tools._SBIN", ())
    with pytest.raises(NotLookedAtError, match="bwrap is not installed"):
        look_at_image(disk, layout, asked, tmp_path)
    (programs / "bwrap").symlink_to(shutil.which("bwrap", path=os.defpath) or "bwrap")
    with pytest.raises(NotLookedAtError, match="debugfs is not installed"):
        look_at_image(disk, layout, asked, tmp_path)


def test_a_look_that_fails(tmp_path: Path) -> None:
    """Its error is the caller's, and the copy is gone."""
    disk, layout = _disk(tmp_path, APART)
    work = tmp_path / "work"
    work.mkdir()

    def look(_root: Path) -> tuple[Finding, ...]:
        raise UsageError("a damaged module")

    with pytest.raises(UsageError, match="a damaged module"):
        look_at_image(disk, layout, (look,), work)
    assert list(work.iterdir()) == []
