"""Files changed so that a crash at any point leaves the old one or the new one, never half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wholecard.transaction import syscalls
from wholecard.transaction.os_errors import naming

_CHUNK = 1 << 20

# linux: security/selinux; the label of a file under SELinux.
_LABEL = "security.selinux"
# A file system without labels, a file without one.
_NO_LABEL = (errno.ENOTSUP, errno.ENODATA)
# What keeps a directory that was made: somebody's file in it, a mount, or it is gone already.
_STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EBUSY)

# As many symbolic links in a row as the kernel follows.
_LINKS_LIMIT = 40


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


def under(root: Path, path: str) -> Path:
    """Where the absolute `path` of a host stands below `root`."""
    return root / path.lstrip("/")


def traits_of(place: Path | int) -> Traits:
    """The traits of a plain file, by its place or by its descriptor."""
    status = os.fstat(place) if isinstance(place, int) else place.stat()
    return Traits(
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        _label_of(place),
        status.st_mtime_ns,
    )


def _label_of(place: Path | int) -> str | None:
    try:
        return os.getxattr(place, _LABEL).decode(errors="surrogateescape")
    except OSError as error:
        if error.errno in _NO_LABEL:
            return None
        raise


def state_of(place: Path) -> str | None:
    """A plain file's SHA-256 in hex, `-> target` for a link, `special`, or None for nothing.

    Links are not followed, and what would block (a pipe, a device) is not opened.
    """
    try:
        status = place.lstat()
        if stat.S_ISLNK(status.st_mode):
            return f"-> {place.readlink()}"
        return digest(place) if stat.S_ISREG(status.st_mode) else "special"
    except (FileNotFoundError, NotADirectoryError):
        return None


def digest(place: Path) -> str:
    """The SHA-256 of a file's bytes in hex."""
    sum_ = hashlib.sha256()
    with place.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sum_.update(chunk)
    return sum_.hexdigest()


def size_of(place: Path) -> int:
    """The bytes of a file, a link's own; 0 where nothing is."""
    try:
        return place.lstat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def expand(root: Path, patterns: Iterable[str]) -> tuple[str, ...]:
    """The files below `root` that match absolute globs, as absolute paths, sorted.

    A link counts, and so does the file that it leads to, for a tool writes through it.
    """
    found = {
        step
        for pattern in patterns
        for place in root.glob(pattern.lstrip("/"))
        if not _is_scratch(place) and (place.is_symlink() or place.is_file())
        for step in _way(root, "/" + str(place.relative_to(root)))
    }
    return tuple(sorted(found))


def _way(root: Path, path: str) -> Iterator[str]:
    """The path, and where it is a link each further file on its way, inside `root`."""
    for _ in range(_LINKS_LIMIT):
        place = under(root, path)
        if place.is_symlink():
            yield path
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), place.readlink()))
        elif place.is_file():
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


def _is_scratch(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".wholecard-new")


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
    """Put a copy of `source` at `path`; without `traits` it is its maker's and for him alone."""
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
    """Give an open file these traits; what is so already is not asked for.

    `fresh` are those that it was made with. A file system that knows no owner, mode or label (the
    VFAT of an EFI partition) refuses to set them and shows the same for every file.
    """
    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):
        syscalls.chown(descriptor, traits.uid, traits.gid)
    # After chown, which clears the set-id bits.
    imposed = fresh.mode != syscalls.NEW_MODE
    if traits.mode != fresh.mode and not imposed:
        _set_mode(descriptor, traits.mode, replaced is not None and replaced.mode == fresh.mode)
    if traits.label is not None and traits.label != fresh.label:
        label = traits.label.encode(errors="surrogateescape")
        syscalls.set_attribute(descriptor, _LABEL, label)
    if traits.mtime_ns is not None:
        syscalls.set_times(descriptor, traits.mtime_ns)


def _set_mode(descriptor: int, mode: int, may_be_imposed: bool) -> None:
    try:
        syscalls.chmod(descriptor, mode)
    except OSError as error:
        if error.errno != errno.EPERM or not may_be_imposed:
            raise


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file that is there, and make it last.

    What a killed run left of a line is cut off first, for the new one must not join it.
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
    """Remove a file that may be there, and make that last."""
    if os.path.lexists(path):
        syscalls.unlink(path)
        sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory with all in it; links are not followed."""
    for folder, names, files in os.walk(path, topdown=False):
        for name in files:
            syscalls.unlink(Path(folder, name))
        for name in names:
            place = Path(folder, name)
            (syscalls.unlink if place.is_symlink() else syscalls.rmdir)(place)
    syscalls.rmdir(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(path):
            syscalls.fsync(descriptor)
    finally:
        os.close(descriptor)


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
