"""A disk after a power cut: what a run had made to last by then, and nothing else.

A model of what POSIX promises (fsync(2)): a file's bytes and traits last from its own fsync on, a
folder's names from the folder's. Real file systems are kinder. Where names may last sooner than
bytes, as on XFS or ext4 with `data=writeback`, `early_names` keeps every name with the bytes that
were synced; a new file that was not is empty there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.faults import CALLS
from support.transactions import LABEL
from wholecard.transaction import syscalls

# Not on a disk.
_MEMORY = ("sys", "proc")


class File(NamedTuple):
    """A file's bytes and traits as they last."""

    data: bytes
    mode: int
    uid: int
    gid: int
    time: int
    label: bytes | None


# Of each path a file, a link's target, or a folder's mode.
Leaf = File | str | int
Disk = dict[str, Leaf]

NEVER_SYNCED = File(b"", 0o600, 0, 0, 0, None)


@dataclass
class Recorder:
    """What of the tree below `root` lasts by now; told of each changing call after it was made."""

    root: Path

    def __post_init__(self) -> None:
        self.files: dict[int, File] = {}
        self.names: dict[int, dict[str, int | str]] = {}
        self.kinds: dict[int, int] = {}
        for folder, _, _ in self._walk():
            self._list(folder)
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    self._keep(Path(entry.path))

    def _walk(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        for folder, names, files in os.walk(self.root):
            if Path(folder) == self.root:
                names[:] = [name for name in names if name not in _MEMORY]
            yield Path(folder), names, files

    def _list(self, folder: Path) -> None:
        rows: dict[str, int | str] = {}
        for entry in os.scandir(folder):
            if folder == self.root and entry.name in _MEMORY:
                continue
            is_link = entry.is_symlink()
            rows[entry.name] = str(Path(entry.path).readlink()) if is_link else entry.inode()
            if entry.is_dir(follow_symlinks=False):
                self.kinds[entry.inode()] = entry.stat().st_mode & 0o7777
        self.names[folder.stat().st_ino] = rows

    def _keep(self, file: Path) -> None:
        status = file.stat()
        try:
            label = os.getxattr(file, LABEL)
        except OSError:
            label = None
        mode = stat.S_IMODE(status.st_mode)
        self.files[status.st_ino] = File(
            file.read_bytes(), mode, status.st_uid, status.st_gid, status.st_mtime_ns, label
        )

    def made(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """A changing call was made."""
        if name in ("create", "open_to_append"):
            # Another file may have had this number before.
            if name == "create":
                self.files.pop(os.fstat(result).st_ino, None)
        elif name == "mkdir":
            self.names.pop(Path(arguments[0]).stat().st_ino, None)
        elif name == "fsync":
            path = Path(f"/proc/self/fd/{arguments[0]}").readlink()
            if path.is_dir():
                self._list(path)
            elif path.exists():
                self._keep(path)

    def lasting(self) -> Disk:
        """What lasts: names and bytes that were synced."""
        disk: Disk = {}
        waiting = [("", self.root.stat().st_ino)]
        while waiting:
            above, number = waiting.pop()
            for name, row in self.names.get(number, {}).items():
                path = f"{above}{name}"
                if isinstance(row, str):
                    disk[path] = row
                elif row in self.kinds:
                    disk[path] = self.kinds[row]
                    waiting.append((f"{path}/", row))
                else:
                    disk[path] = self.files.get(row, NEVER_SYNCED)
        return disk

    def early_names(self) -> Disk:
        """All names as they are, with the bytes that were synced."""
        disk: Disk = {}
        for folder, _, _ in self._walk():
            for entry in os.scandir(folder):
                path = str(Path(entry.path).relative_to(self.root))
                if path in _MEMORY:
                    continue
                if entry.is_symlink():
                    disk[path] = str(Path(entry.path).readlink())
                elif entry.is_dir():
                    disk[path] = entry.stat().st_mode & 0o7777
                else:
                    disk[path] = self.files.get(entry.inode(), NEVER_SYNCED)
        return disk


@contextmanager
def recorded(root: Path, look: Callable[[Recorder], None]) -> Iterator[None]:
    """Within it `look` is called before each changing call, and once after the last."""
    recorder = Recorder(root)

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            look(recorder)
            result = real(*arguments)
            recorder.made(name, arguments, result)
            return result

        return call

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in CALLS:
            monkeypatch.setattr(syscalls, name, wrapped(name, getattr(syscalls, name)))
        yield
    look(recorder)


def restore(root: Path, disk: Disk) -> None:
    """Make the tree below `root` what the disk has."""
    for path in root.iterdir():
        if path.name not in _MEMORY:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name in sorted(disk):
        leaf, path = disk[name], root / name
        if isinstance(leaf, int):
            path.mkdir()
            path.chmod(leaf)
        elif isinstance(leaf, str):
            path.symlink_to(leaf)
        else:
            path.write_bytes(leaf.data)
            os.chown(path, leaf.uid, leaf.gid)
            path.chmod(leaf.mode)
            if leaf.label is not None:
                os.setxattr(path, LABEL, leaf.label)
            os.utime(path, ns=(leaf.time, leaf.time))
