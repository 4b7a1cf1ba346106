"""Which pages are looked at, and what is said of one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from support.cleaning import GPU, PAGE, host
from wholecard.host.cleaning import video_memory
from wholecard.host.cleaning.video_memory import kind_of, memory_bars


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (bytes(PAGE), "zero"),
        (b"\xff" * PAGE, "ones"),
        (b"\x01\x02\xd0\xba" * 1024, "refused"),
        (b"\xaa" * PAGE, "constant"),
        (b"weights " * 512, "data"),
        (random.Random(1).randbytes(PAGE), "noise"),
    ],
)
def test_kinds(page: bytes, kind: str) -> None:
    """A page is empty, an answer of nobody, one word, something, or what looks random."""
    assert kind_of(page) == kind


@pytest.mark.parametrize("pages", [1, 2, 3, 8, 4096, 4097, 1 << 26])
def test_sample(pages: int) -> None:
    """No page twice, all of a small BAR, and the first hundredth is spread over the whole."""
    sample = list(video_memory._sample(pages * PAGE))
    assert len(set(sample)) == len(sample) == min(pages, video_memory.MOST_PAGES)
    assert all(0 <= page < pages for page in sample)
    if pages >= 4096:
        tenths = {page * 10 // pages for page in sample[:41]}
        assert tenths == set(range(10))


def test_bars(tmp_path: Path) -> None:
    """Of the BARs only memory that is prefetchable is looked at, for reading it has no effects."""
    root = host(tmp_path)
    (root / "sys/bus/pci/devices" / GPU / "resource").write_text(
        "0x00000000fd000000 0x00000000fdffffff 0x0000000000042208\n"
        "0x000000000000c000 0x000000000000c0ff 0x0000000000040101\n"
        "0x00000000fe810000 0x00000000fe813fff 0x0000000000040200\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
        "garbled\n"
    )
    assert memory_bars(root, GPU) == ((0, 16 << 20),)


def test_unreadable(tmp_path: Path) -> None:
    """A BAR that a locked-down kernel does not let be mapped is not visible, with the reason."""
    root = host(tmp_path)
    file = root / "sys/bus/pci/devices" / GPU / "resource0"
    file.unlink()
    os.mkfifo(file)
    seen, digests = video_memory.look(root, GPU, 1, PAGE)
    assert (seen.visible, digests) == (False, {})
    assert "cannot be mapped (No such file" in seen.why
