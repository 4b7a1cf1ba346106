"""The programs that change images, where they are, and the packages that have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from wholecard.core import Result, UsageError, Watch, run

_FDISK = "fdisk (Debian, Ubuntu) or util-linux (Rocky, Fedora)"
_E2FSPROGS = "e2fsprogs"
_GUESTFS = "guestfs-tools (Debian, Ubuntu, Fedora, Rocky)"
PACKAGES = {
    "qemu-img": "qemu-utils (Debian, Ubuntu) or qemu-img (Rocky, Fedora)",
    "sfdisk": _FDISK,
    "e2fsck": _E2FSPROGS,
    "resize2fs": _E2FSPROGS,
    "debugfs": _E2FSPROGS,
    "virt-customize": _GUESTFS,
    "virt-filesystems": _GUESTFS,
    "virt-resize": _GUESTFS,
}
# An ordinary user of Debian has no sbin on PATH, and these need no root.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def found(program: str) -> str | None:
    """The program's path, None where it is not installed."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))


def tool(program: str) -> str:
    """The program's path. Raises UsageError with its package where it is not installed."""
    path = found(program)
    if path is None:
        raise UsageError(
            f"{program} is not installed", resolution=f"Install its package: {PACKAGES[program]}."
        )
    return path


def run_tool(
    program: str, *arguments: str, timeout: float = 1800, check: bool = True,
    prefix: Sequence[str] = (), stdin: str = "", watch_output: Watch | None = None,
) -> Result:  # fmt: skip
    """Run one of them, with messages in English. Raises UsageError as `tool`, and RunError.

    libguestfs starts its machine itself: through libvirt it may run as a user who cannot read the
    image (guestfs(3), LIBGUESTFS_BACKEND).
    """
    argv = [*prefix, tool(program), *arguments]
    env = {"LC_ALL": "C.UTF-8", "LIBGUESTFS_BACKEND": "direct"}
    return run(argv, timeout=timeout, check=check, stdin=stdin, env=env, watch_output=watch_output)
