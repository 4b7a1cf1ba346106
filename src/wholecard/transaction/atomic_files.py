"""Files changed so that a crash at any point leaves the old one or the new one, never half.

A file's bytes last when the file is synced, its name when its folder is (man 2 fsync): so a sync of
the folder follows every rename, link and removal.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.core.small_files import LINKS_LIMIT, inside, listed
from wholecard.transaction import syscalls
from wholecard.transaction.os_errors import naming

_CHUNK = 1 << 20

# linux: security/selinux; the label of a file under SELinux.
_LABEL = "security.selinux"
# A file system without labels, a file without one.
_NO_LABEL = (errno.ENOTSUP, errno.ENODATA)
# A directory that was made stays: somebody's file is in it, it is a mount, or it is gone already.
_STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EBUSY)

_WILD = frozenset("*?[")


@dataclass(frozen=True)
class Traits:
    """What a file has besides its bytes. `label` is SELinux's, None where there is none.

    `mtime_ns` is None where the time is to be the present.
    """

    mode: int
    uid: int
    gid: int
    label: str | None = None
    mtime_ns: int | None = None


def under(root: Path, path: str, follow: bool = False) -> Path:
    """Where the absolute `path` of a host is below `root`, see `small_files.inside`.

    This is the one door to what is backed up, written, removed and put back: a link in an image
    leads to the image's own files, never to those of the running machine. Raises WholecardError
    where it leads to nothing there.
    """
    try:
        return Path(inside(root, path, follow))
    except OSError as error:
        link = error.filename.removeprefix(os.fspath(root).rstrip("/"))
        raise WholecardError(
            f"{path} points outside {root}" if root != Path("/") else f"{path} leads nowhere",
            f"A symbolic link in this path cannot be followed ({link}): {error.strerror}.",
            "Make the link lead to a folder below the root, or make a folder in its place.",
        ) from error


def leads_nowhere(root: Path, path: str) -> bool:
    """Whether a path is a symbolic link that leads to nothing below `root`."""
    try:
        return under(root, path).is_symlink() and not under(root, path, follow=True).exists()
    except WholecardError:
        return True


def traits_of(file: Path | int) -> Traits:
    """The traits of a plain file, by its path or by its descriptor."""
    status = os.fstat(file) if isinstance(file, int) else file.stat()
    mode = stat.S_IMODE(status.st_mode)
    return Traits(mode, status.st_uid, status.st_gid, _label_of(file), status.st_mtime_ns)


def _label_of(file: Path | int) -> str | None:
    try:
        return os.getxattr(file, _LABEL).decode(errors="surrogateescape")
    except OSError as error:
        if error.errno in _NO_LABEL:
            return None
        raise


def state_of(path: Path) -> str | None:
    """A plain file's SHA-256 in hex, `-> target` for a link, `special`, or None for nothing.

    Links are not followed, and what would block (a pipe, a device) is not opened.
    """
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return f"-> {path.readlink()}"
        return digest(path) if stat.S_ISREG(status.st_mode) else "special"
    except (FileNotFoundError, NotADirectoryError):
        return None


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes in hex."""
    sha256 = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()


def size_of(path: Path) -> int:
    """The bytes of a file, a link's own; 0 where nothing is."""
    try:
        return path.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def expand(root: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """The files below `root` that match absolute globs, as absolute paths, sorted.

    A link counts, and so does the file that it leads to, for a tool writes through it.
    """
    paths = {
        step
        for pattern in patterns
        for match in _matching(root, pattern)
        if not _is_scratch(match)
        for step in _link_chain(root, match)
    }
    return tuple(sorted(paths))


def _matching(root: Path, pattern: str) -> Iterator[str]:
    """The paths that a pattern may mean, of a folder's names those that match; `*` is any name.

    Not `Path.glob`, which follows an image's links into the running machine.
    """
    folder, _, name = pattern.rpartition("/")
    if not folder:
        folders = [""]
    elif set(folder) & _WILD:
        folders = [path for path in _matching(root, folder) if _is_folder(root, path)]
    else:
        folders = [folder]
    for path in folders:
        if set(name) & _WILD:
            names = listed(str(under(root, path, follow=True))) if _is_folder(root, path) else []
            yield from (f"{path}/{entry}" for entry in names if fnmatchcase(entry, name))
        else:
            yield f"{path}/{name}"


def _is_folder(root: Path, path: str) -> bool:
    return not leads_nowhere(root, path) and under(root, path, follow=True).is_dir()


def _link_chain(root: Path, path: str) -> Iterator[str]:
    """The path, and where it is a link each further file that it leads to, inside `root`."""
    for _ in range(LINKS_LIMIT):
        target = under(root, path)
        if target.is_symlink():
            yield path
            below = f"/{target.parent.relative_to(root)}" if target.parent != root else "/"
            target = under(root, posixpath.join(below, target.readlink()))
            path = f"/{target.relative_to(root)}"
        elif target.is_file():
            yield path
            return
        else:
            return


def scratch(path: Path) -> Path:
    """The neighbour that a file is written to first; a killed run leaves at most this one.

    The name begins with a dot, so that run-parts and shell globs pass over it.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return path.with_name(f".{path.name}.wholecard-new")


def _is_scratch(path: str) -> bool:
    name = posixpath.basename(path)
    return name.startswith(".") and name.endswith(".wholecard-new")


def write_atomically(path: Path, data: bytes, mode: int, replaced: Traits | None = None) -> None:
    """Put `data` at `path`, with the owner and label of the file that it replaces."""
    with _into_place(path) as descriptor:
        fresh = traits_of(descriptor)
        _write_all(descriptor, data)
        kept = replaced or fresh
        _settle(descriptor, Traits(mode, kept.uid, kept.gid, kept.label), fresh, replaced)
    sync_directory(path.parent)


def write_together(files: Mapping[Path, bytes], mode: int) -> None:
    """Put each file's bytes at its path, missing directories above it included.

    All are on disk beside their places before the first takes its own: where the file system
    takes one and not the next, none has changed and nothing is left over. Raises OSError.
    """
    ready: list[Path] = []
    try:
        for path, data in files.items():
            make_directories(path.parent)
            with _beside(path) as descriptor:
                fresh = traits_of(descriptor)
                _write_all(descriptor, data)
                _settle(descriptor, Traits(mode, fresh.uid, fresh.gid, fresh.label), fresh, None)
            ready.append(path)
        for path in files:
            syscalls.rename(scratch(path), path)
    except OSError:
        for path in ready:
            with contextlib.suppress(OSError):
                remove(scratch(path))
        raise
    for folder in dict.fromkeys(path.parent for path in files):
        sync_directory(folder)


def copy_atomically(source: Path, path: Path, traits: Traits | None) -> None:
    """Put a copy of `source` at `path`; without `traits` only its creator may read it."""
    with source.open("rb") as original, _into_place(path) as descriptor:
        fresh = traits_of(descriptor)
        while chunk := original.read(_CHUNK):
            _write_all(descriptor, chunk)
        if traits is not None:
            _settle(descriptor, traits, fresh, None)
    sync_directory(path.parent)


def link_atomically(path: Path, target: str) -> None:
    """Put a symbolic link at `path`."""
    remove(scratch(path))
    syscalls.symlink(scratch(path), target)
    syscalls.rename(scratch(path), path)
    sync_directory(path.parent)


@contextlib.contextmanager
def _into_place(path: Path) -> Iterator[int]:
    """A new file to be written, which takes its name when all has gone well."""
    with _beside(path) as descriptor:
        yield descriptor
    try:
        syscalls.rename(scratch(path), path)
    except OSError:
        with contextlib.suppress(OSError):
            remove(scratch(path))
        raise


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[int]:
    """A new file beside `path` to be written, and on disk when all has gone well, else gone."""
    # What a killed run left may be read-only, or somebody's link: it is replaced, not opened.
    remove(scratch(path))
    descriptor = syscalls.create(scratch(path))
    try:
        try:
            with naming(path):
                yield descriptor
                syscalls.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            remove(scratch(path))
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[syscalls.write(descriptor, data) :]


def _settle(descriptor: int, traits: Traits, fresh: Traits, replaced: Traits | None) -> None:
    """Give an open file these traits; those that it has already are not set.

    `fresh` are those that it was created with. A file system that has no owner, mode or label (the
    VFAT of an EFI partition) refuses to set them and shows the same for every file.
    """
    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):
        syscalls.chown(descriptor, traits.uid, traits.gid)
    # After chown, which clears the set-id bits (man 2 chown).
    imposed = fresh.mode != syscalls.NEW_MODE
    if traits.mode != fresh.mode and not imposed:
        _set_mode(descriptor, traits.mode, replaced is not None and replaced.mode == fresh.mode)
    if traits.label is not None and traits.label != fresh.label:
        syscalls.set_attribute(descriptor, _LABEL, traits.label.encode(errors="surrogateescape"))
    if traits.mtime_ns is not None:
        syscalls.set_times(descriptor, traits.mtime_ns)


def _set_mode(descriptor: int, mode: int, may_be_imposed: bool) -> None:
    try:
        syscalls.chmod(descriptor, mode)
    except OSError as error:
        if error.errno != errno.EPERM or not may_be_imposed:
            raise


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file, and make it last.

    What a killed run left of a line is removed first, for the new one must not join it.
    """
    descriptor = syscalls.open_to_append(path)
    try:
        with naming(path):
            before = path.read_bytes()
            if not before.endswith(b"\n") and before:
                syscalls.truncate(descriptor, before.rfind(b"\n") + 1)
            _write_all(descriptor, line + b"\n")
            syscalls.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file if it exists, and make that last."""
    if os.path.lexists(path):
        syscalls.unlink(path)
        sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory with all in it, if it exists; links are not followed."""
    if path.is_symlink():
        syscalls.unlink(path)
        return
    if not path.exists():
        return
    for folder, names, files in os.walk(path, topdown=False):
        for name in files:
            syscalls.unlink(Path(folder, name))
        for name in names:
            below = Path(folder, name)
            (syscalls.unlink if below.is_symlink() else syscalls.rmdir)(below)
    syscalls.rmdir(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(path):
            syscalls.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(root: Path, paths: Iterable[str]) -> None:
    """Make files that another program wrote last, and their names.

    A link is its folder's, and is not followed. What has gone meanwhile has no bytes to last.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        target = under(root, path)
        folders[target.parent] = None
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                continue
            raise
        try:
            with naming(target):
                syscalls.fsync(descriptor)
        finally:
            os.close(descriptor)
    for folder in folders:
        if folder.is_dir():
            sync_directory(folder)


def make_directories(path: Path) -> None:
    """Make a directory and what is missing above it, and make the names last."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for directory in reversed(missing):
        if not directory.exists():
            syscalls.mkdir(directory, 0o755)
            sync_directory(directory.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory unless somebody uses it, and make that last."""
    try:
        syscalls.rmdir(path)
    except OSError as error:
        if error.errno in _STAYS:
            return
        raise
    sync_directory(path.parent)
