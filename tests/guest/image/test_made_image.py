"""The pure parts of an image that is made here; whole images boot in the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import WholecardError
from wholecard.guest.image.made_image import DebianBase, MadeImage, used_mib, write_disk
from wholecard.guest.image.recipe import GuestOs, Recipe

IMAGE = MadeImage("guest", DebianBase("trixie"), Recipe(GuestOs("debian", "13"), ()))


def test_size_is_that_of_whole_blocks(tmp_path: Path) -> None:
    """A file of one byte takes a block of 4 KiB on the disk, and so does a folder."""
    grow(tmp_path, {f"many/{number}": "x" for number in range(511)})
    assert used_mib(tmp_path) == 3  # 512 blocks are 2 MiB; rounded up
    (tmp_path / "large").write_bytes(bytes(5 << 20))
    assert used_mib(tmp_path) == 8


def test_a_root_without_a_kernel_is_refused(tmp_path: Path) -> None:
    """An image that could not boot is not made: the message says which packages are missing."""
    with pytest.raises(WholecardError) as caught:
        write_disk(IMAGE, tmp_path, tmp_path / "x.qcow2", tmp_path)
    assert caught.value.brief == "the image guest has no /vmlinuz"
    assert "linux-image-amd64" in caught.value.resolution
    assert not (tmp_path / "x.raw").exists()
