"""cpio archives, read back by a reader of the test's own and by busybox where there is one."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.guest.image import cpio


def read(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Path to (mode, data) of a newc archive, by the kernel's description of the format."""
    entries: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        at += (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert at == len(archive)
            return entries
        entries[name] = (mode, archive[at : at + size])
        at += (size + 3) // 4 * 4


PARTS = st.text("abcz019._-", min_size=1, max_size=9).filter(lambda part: part not in {".", ".."})


@given(st.dictionaries(PARTS, st.binary(max_size=40), max_size=8))
def test_round_trip(files: dict[str, bytes]) -> None:
    """Whatever goes in comes out with its type, its permissions and its content."""
    entries = [cpio.file(f"d/{name}", data, 0o755) for name, data in files.items()]
    out = read(cpio.archive(entries))
    assert out.pop("d", (0, b""))[1] == b""
    assert out == {f"d/{k}": (stat.S_IFREG | 0o755, v) for k, v in files.items()}


def test_parents_come_first_and_once() -> None:
    """The directories that a path needs come before it, and none occurs twice."""
    entries = [cpio.file("a/b/c", b"1"), cpio.symlink("a/l", "b/c"), cpio.directory("a/b/d")]
    out = read(cpio.archive(entries))
    assert list(out) == ["a", "a/b", "a/b/c", "a/l", "a/b/d"]
    assert out["a/l"] == (stat.S_IFLNK | 0o777, b"b/c")


def test_same_entries_same_bytes() -> None:
    """Nothing of the machine or the time gets in."""
    entries = [cpio.file("a", b"1")]
    assert cpio.archive(entries) == cpio.archive(entries)


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a/", "./a", "a//b", "TRAILER!!!", "a\0"]
)
def test_paths_that_are_refused(path: str) -> None:
    """A path that would land elsewhere, or end the archive, is refused."""
    with pytest.raises(ValueError, match="path"):
        cpio.archive([cpio.file(path, b"")])


def test_a_path_twice_is_refused() -> None:
    """The second file of a path would silently replace the first."""
    with pytest.raises(ValueError, match="occurs twice"):
        cpio.archive([cpio.file("a", b"1"), cpio.file("a", b"2")])


@pytest.mark.skipif(not shutil.which("cpio"), reason="no cpio here; the test's own reader is used")
def test_cpio_reads_it(tmp_path: Path) -> None:
    """The real program unpacks the same files."""
    data = cpio.archive([cpio.file("a/b", b"hello"), cpio.symlink("a/l", "b")])
    subprocess.run(["cpio", "-id"], input=data, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a/l").read_bytes() == b"hello"
