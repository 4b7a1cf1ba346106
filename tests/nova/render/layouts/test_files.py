"""Files of ours below a folder: whole or not at all, and never over another's."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from wholecard.core import UsageError, WholecardError
from wholecard.nova.render.layouts.files import FileChange, changes, write
from wholecard.nova.render.managed_files import OURS

FIRST, SECOND = f"{OURS} for a test.\none\n", f"{OURS} for a test.\ntwo\n"


def everything(folder: Path) -> dict[str, str]:
    """All files below a folder by their paths."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def changed(files: tuple[FileChange, ...]) -> list[str]:
    """The paths of those that were, or would be, written."""
    return [file.path for file in files if file.is_change]


def test_changes_are_what_write_does(tmp_path: Path) -> None:
    """`changes` says each text before and after, and touches nothing."""
    (tmp_path / "b.conf").write_text(FIRST)
    files = {"a.conf": FIRST, "b.conf": SECOND}
    planned = changes(tmp_path, files)
    assert planned == (FileChange("a.conf", None, FIRST), FileChange("b.conf", FIRST, SECOND))
    assert everything(tmp_path) == {"b.conf": FIRST}
    assert write(tmp_path, files) == planned
    assert changes(None, files)[1].before is None


def test_written_and_written_again(tmp_path: Path) -> None:
    """The first time files are made, the second time nothing is, and a change changes one."""
    files = {"nova/a.conf": FIRST, "b.conf": FIRST}
    assert changed(write(tmp_path / "out", files)) == ["nova/a.conf", "b.conf"]
    assert everything(tmp_path / "out") == {"b.conf": FIRST, "nova/a.conf": FIRST}
    assert changed(write(tmp_path / "out", files)) == []
    assert changed(write(tmp_path / "out", {**files, "b.conf": SECOND})) == ["b.conf"]
    assert (tmp_path / "out/b.conf").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["[pci]\n", "", f" {OURS}\n", "\udcff"])
def test_anothers_file_is_left(tmp_path: Path, text: str) -> None:
    """A file that does not begin with our words is not touched, nor is any other then written."""
    (tmp_path / "b.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError):
        write(tmp_path, {"a.conf": FIRST, "b.conf": FIRST})
    assert [path.name for path in tmp_path.iterdir()] == ["b.conf"]


def test_a_path_outside_is_refused(tmp_path: Path) -> None:
    """A host's name cannot lead out of the folder."""
    with pytest.raises(UsageError, match="not below"):
        write(tmp_path / "out", {"host_vars/../../x": FIRST})
    assert not (tmp_path / "x").exists()


def test_half_is_nothing(tmp_path: Path) -> None:
    """Where the disk takes one file and not the next none is changed, and nothing is left over."""
    (tmp_path / "a.conf").write_text(FIRST)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WholecardError, match="cannot write below"):
            write(tmp_path, {"a.conf": SECOND, "b.conf": FIRST + "#" * 2000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path) == {"a.conf": FIRST}
