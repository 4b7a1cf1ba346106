"""What the operating system refuses, as the one family of errors, with what can be done."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wholecard.core import WholecardError

_AS_ROOT = "Run it as root."
_WRITABLE = "Mount the file system writable; see why it is not (dmesg, /etc/fstab)."
_RESOLUTIONS = {
    errno.EACCES: _AS_ROOT,
    errno.EPERM: f"{_AS_ROOT} As root: see whether the file is immutable (lsattr).",
    errno.ENOSPC: "Free some space on that file system.",
    errno.EDQUOT: "Free some space on that file system, or raise the quota.",
    errno.EROFS: _WRITABLE,
    errno.EIO: "The disk or the kernel failed: see what dmesg says before anything else.",
}


def as_wholecard_error(error: OSError) -> WholecardError:
    """The WholecardError for an error of the operating system's."""
    brief = f"{error.filename or 'the file system'}: {error.strerror or error}"
    resolution = _RESOLUTIONS.get(error.errno or 0, "See what is at that path, and fix it.")
    return WholecardError(brief, resolution=resolution)


@contextmanager
def explained(advice: str = "") -> Iterator[None]:
    """What goes wrong inside becomes a WholecardError, with `advice` behind its resolution."""
    try:
        yield
    except WholecardError as error:
        if advice not in error.resolution:
            error.resolution = f"{error.resolution} {advice}".strip()
        raise
    except OSError as error:
        wholecard_error = as_wholecard_error(error)
        wholecard_error.resolution = f"{wholecard_error.resolution} {advice}".strip()
        raise wholecard_error from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of calls on an open file know its name."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
