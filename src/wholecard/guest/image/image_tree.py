"""What an image's tree shows once the recipe ran: some of its folders are read, nothing is mounted.

Of a raw image with ext4 debugfs(8) copies the folders that tell which driver would take a card. It
runs in a sandbox that can write to the copy alone: an image's file system may be made to lead it
elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wholecard.core import Finding, RunError, UsageError, WholecardError
from wholecard.guest.image.image_tools import found, run_tool
from wholecard.guest.image.partitions import Layout

# What a look at a tree finds; it is given the folder that is the image's root.
Look = Callable[[Path], Sequence[Finding]]

PREFIX = "tree-"
_TIMEOUT = 1200.0
# Of Debian's drivers the files of modprobe.d are links into the last two.
_FOLDERS = ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/var/lib/dkms", "/etc/alternatives",
            "/etc/nvidia")  # fmt: skip
_PACKAGES = "/var/lib/dpkg/status"


class NotLookedAtError(WholecardError):
    """An image whose tree cannot be read here; `brief` says why."""


def look_at_root(root: Path, looks: Sequence[Look]) -> tuple[Finding, ...]:
    """What the looks find in an unpacked root, each finding once. Raises WholecardError."""
    return tuple(dict.fromkeys(finding for look in looks for finding in look(root)))


def look_at_image(
    image: Path, layout: Layout, looks: Sequence[Look], work: Path
) -> tuple[Finding, ...]:
    """The same of a raw image; the copy is in `work` meanwhile.

    Raises NotLookedAtError where the file system is not ext4 or a program is missing or fails, and
    WholecardError as a look does.
    """
    if not looks:
        return ()
    if not layout.filesystem.kind.startswith("ext"):
        kind = layout.filesystem.kind or "a file system that is not known"
        raise NotLookedAtError(f"the image has {kind}, and only ext4 is read")
    if found("bwrap") is None:
        raise NotLookedAtError("bwrap is not installed; its package is bubblewrap")
    with _copied(image, layout.root.offset, work) as root:
        return look_at_root(root, looks)


@contextmanager
def _copied(image: Path, offset: int, work: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=work) as folder:
        root = Path(folder)
        where = f"{image}?offset={offset}"
        _debugfs(root, where, [_copy(root, "/usr/lib/modules")])
        # Where /lib is a folder of its own, as before Debian 12 and in Ubuntu's older systems.
        if (root / "usr/lib/modules").is_dir():
            (root / "lib").symlink_to("usr/lib")
        else:
            _debugfs(root, where, [_copy(root, "/lib/modules"), _copy(root, "/lib/modprobe.d")])
        (root / _PACKAGES[1:]).parent.mkdir(parents=True)
        packages = f"dump {_PACKAGES} {root}{_PACKAGES}"
        _debugfs(root, where, [*(_copy(root, folder) for folder in _FOLDERS), packages])
        yield root


def _copy(root: Path, folder: str) -> str:
    """debugfs' request for a folder, whose copy's parent it needs."""
    parent = root / folder[1:].rpartition("/")[0]
    parent.mkdir(parents=True, exist_ok=True)
    return f"rdump {folder} {parent}"


def _debugfs(root: Path, image: str, requests: Sequence[str]) -> None:
    """Carry out requests; of a path that the image has not it says so and goes on."""
    sandbox = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev",
               "/dev", "--bind", str(root), str(root), "--"]  # fmt: skip
    text = "".join(f"{request}\n" for request in requests)
    try:
        run_tool("debugfs", "-f", "-", image, prefix=sandbox, stdin=text, timeout=_TIMEOUT)
    except (RunError, UsageError) as error:
        raise NotLookedAtError(error.brief, error.details, error.resolution) from error
