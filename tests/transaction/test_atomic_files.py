"""Files written whole: the order of calls, short writes, and nothing through somebody's link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.faults import counted, refuse
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import (
    Traits,
    append_line,
    copy_atomically,
    sync_files,
    write_atomically,
    write_together,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@AS_ROOT
def test_owner_before_mode(tmp_path: Path) -> None:
    """The owner comes first: it clears the set-id bits, and a mode may open a file to the wrong."""
    (tmp_path / "source").write_text("x")
    with counted(0, refuse(0)) as names:
        copy_atomically(tmp_path / "source", tmp_path / "copy", Traits(0o6755, 12, 34))
    assert names.index("chown") < names.index("chmod") < names.index("fsync")
    status = (tmp_path / "copy").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o6755, 12, 34)


WRITERS: list[Callable[[Path, bytes], None]] = [
    lambda path, data: write_atomically(path, data, 0o644),
    lambda path, data: write_together({path: data}, 0o644),
    append_line,
]


@pytest.mark.parametrize("write", WRITERS)
def test_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None]
) -> None:
    """A write that takes a few bytes is gone on with until all are written."""
    monkeypatch.setattr(syscalls, "write", lambda file, data: os.write(file, data[:3]))
    write(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes().rstrip() == b"0123456789"


@pytest.mark.parametrize("write", WRITERS)
def test_synced_before_its_name(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    """A file is on disk before it takes its name, and the name is too before the end."""
    with counted(0, refuse(0)) as names:
        write(tmp_path / "file", b"text")
    assert "fsync" in names
    if "rename" in names:
        assert names.index("fsync") < names.index("rename")
        assert names[-1] == "fsync"


@pytest.mark.parametrize("call", [syscalls.create, syscalls.open_to_append, syscalls.open_lock])
def test_no_link_is_followed(tmp_path: Path, call: Callable[[Path], int]) -> None:
    """Neither a scratch file, nor the log, nor the lock is opened through somebody's link."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(OSError, match=r"File exists|symbolic links"):
        call(tmp_path / "link")
    assert (tmp_path / "victim").read_text() == "precious"


def test_scratch_file_is_new(tmp_path: Path) -> None:
    """What exists is not opened as a scratch file, and what is created no tool inherits."""
    (tmp_path / "there").write_text("precious")
    with pytest.raises(FileExistsError):
        syscalls.create(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "precious"
    for call, name in ((syscalls.create, "a"), (syscalls.open_to_append, "b")):
        descriptor = call(tmp_path / name)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_nothing_is_left_of_files_written_together(tmp_path: Path) -> None:
    """Where one of several files cannot be written, no other appears, nor its scratch file."""
    (tmp_path / "plain").write_text("precious")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        write_together({tmp_path / "a": b"1", tmp_path / "plain/b": b"2"}, 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]
    assert (tmp_path / "plain").read_text() == "precious"


def test_log_is_no_pipe(tmp_path: Path) -> None:
    """A pipe where the log is expected is an error, and not waited for."""
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="No such device"):
        append_line(tmp_path / "log", b"x")


def test_sync_files(tmp_path: Path) -> None:
    """A tool's outputs are synced each, and their folders once; what is gone or a link is not."""
    for name in ("a", "b"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("a")
    with counted(0, refuse(0)) as names:
        sync_files(tmp_path, ("/a", "/b", "/link", "/gone"))
    assert names == ["fsync"] * 3
