"""Reading small files below a root, of which a host has tens of thousands.

By system calls instead of `pathlib`: a file costs a third, and nothing has to be imported. What
cannot be read is absent; nothing here raises or waits, whatever kind of file a path names.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    # The folder that is read as `/`: a mounted image, a snapshot, a test's tree.
    Root = Union[str, os.PathLike[str]]

# Opening a pipe in a foreign tree must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK
_BLANK = "\0 \t\r\n"
_PIECE = 1 << 20
_PAGE = 4096
_LARGEST = 64 << 20
# A buffer of this size comes from Python's own allocator (objects up to 512 bytes), not malloc.
_SHORT = 460
# As many symbolic links in a row as the kernel follows (linux: include/linux/namei.h, MAXSYMLINKS).
LINKS_LIMIT = 40


def is_plain(mode: int) -> bool:
    """stat.S_ISREG, without an import."""
    return mode & 0o170000 == 0o100000


def under(root: Root, path: str) -> str:
    """`path`, which is relative, below `root`."""
    return f"{os.fspath(root).rstrip('/')}/{path}"


def inside(root: Root, path: str, follow: bool = False) -> str:
    """Where a host's `path` is below `root`, with the symbolic links on its way as in a chroot.

    An absolute link begins at `root` and `..` stops there, as with openat2(2), RESOLVE_IN_ROOT; so
    what is returned has no link before its last part and never leads out of `root`. The last part
    is followed with `follow` alone. What is missing is taken as it is written, but a link that
    leads to nothing inside raises FileNotFoundError, and a loop OSError.

    openat2(2) itself needs Linux 5.6, and the standard library of Python 3.9 has no call for it. So
    the place is found here and opened later: whoever can rename folders below `root` in between
    can lead elsewhere (docs/explanation/transaction.md).
    """
    top = os.fspath(root).rstrip("/")
    steps: list[str] = []
    waiting = _parts(path)
    links, of_link = 0, -1
    while waiting:
        name = waiting.pop()
        if name == "..":
            del steps[-1:]
            continue
        here = "/".join((top, *steps, name))
        try:
            target = os.readlink(here) if waiting or follow else None
        except OSError as error:
            # EINVAL is what is no link. Where the link's own target ends, `waiting` is shorter.
            if error.errno != errno.EINVAL and len(waiting) >= of_link >= 0:
                raise FileNotFoundError(errno.ENOENT, "it leads to nothing there", here) from None
            target = None
        if len(waiting) <= of_link:
            of_link = -1
        if target is None:
            steps.append(name)
            continue
        links += 1
        if links > LINKS_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), here)
        if target.startswith("/"):
            steps = []
        of_link = len(waiting) if of_link < 0 else of_link
        waiting += _parts(target)
    return "/".join((top, *steps)) or "/"


def _parts(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def read_attribute(name: str, folder: int | None = None) -> bytes | None:
    """The attribute's bytes, in the open folder; None where it cannot be read.

    An attribute of sysfs has at most a page, and nearly all have a dozen bytes.
    """
    try:
        file = os.open(name, _FLAGS, dir_fd=folder)
    except (OSError, ValueError):
        return None
    try:
        data = os.read(file, _SHORT)
        return data if len(data) < _SHORT else data + os.read(file, _PAGE)
    except OSError:
        return None
    finally:
        os.close(file)


def read_rare(name: str, folder: int) -> bytes | None:
    """`read_attribute` for what few folders have: asking first costs half of a failed open."""
    return read_attribute(name, folder) if os.access(name, os.F_OK, dir_fd=folder) else None


def read_bytes(path: str) -> bytes | None:
    """The whole file; None where it cannot be read, is no plain file or is larger than 64 MiB."""
    try:
        file = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    data = None
    try:
        status = os.fstat(file)
        if not is_plain(status.st_mode) or status.st_size > _LARGEST:
            return None
        # Files of proc and sysfs have no size.
        size = status.st_size or _PIECE
        data = piece = os.read(file, size)
        while piece and len(data) != size and len(data) < _LARGEST:
            piece = os.read(file, _PIECE)
            data += piece
    except OSError:
        data = None
    finally:
        os.close(file)
    return data


def read_text(path: Root) -> str:
    """The file's text without surrounding white space; empty where it cannot be read."""
    return (read_bytes(os.fspath(path)) or b"").decode(errors="replace").strip(_BLANK)


def text_of(data: bytes | None) -> str:
    """An attribute's text without surrounding white space; empty where there is none."""
    return data.decode(errors="replace").strip(_BLANK) if data else ""


def link_name(path: str, folder: int | None = None) -> str | None:
    """The last part of what a symbolic link points to, for example a driver's name."""
    return link_target(path, folder).rstrip("/").rpartition("/")[2] or None


def link_target(path: str, folder: int | None = None) -> str:
    """What a symbolic link points to; empty where there is no link."""
    try:
        return os.readlink(path, dir_fd=folder)
    except (OSError, ValueError):
        return ""


def listed(path: str) -> list[str]:
    """The names in a folder, sorted; none where it cannot be read."""
    try:
        return sorted(os.listdir(path))
    except (OSError, ValueError):
        return []


def exists(path: str) -> bool:
    """Whether the path names something, links followed."""
    try:
        # Of what is not there, which is most, no exception is made: a third of stat's time.
        return os.access(path, os.F_OK)
    except ValueError:
        return False


def has_all(root: Root, *paths: str) -> bool:
    """Whether all of these exist below `root`; see `has_any`."""
    return all(has_any(root, path) for path in paths)


def has_any(root: Root, *paths: str) -> bool:
    """Whether one of these exists below `root`; a link counts, whatever it points to."""
    names = (under(root, path) for path in paths)
    return any(os.access(name, os.F_OK, follow_symlinks=False) for name in names)
