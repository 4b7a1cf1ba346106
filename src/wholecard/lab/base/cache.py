"""The cache: entries built once, keyed by what they are made from, rebuilt where damaged."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from wholecard.lab.base.errors import LabError
from wholecard.transaction import locks

MARKER = ".complete.json"


def entry(
    cache: Path, kind: str, key: str, build: Callable[[Path], None], must_have: Sequence[str] = ()
) -> Path:
    """The folder `cache/KIND-KEY`, built by `build(folder)` where it is not whole.

    It is built under another name and renamed when complete, so that a killed build is never taken
    for a whole one; a lock lets a second process wait. Its `.complete.json` has the size of each
    file of `must_have` (paths in it; `*` is a wildcard): an entry that lacks one, or has it in
    another size, is built anew. Older entries of the same kind that no process uses are removed.
    Raises LabError where a damaged entry is in use or the build lacks a file.
    """
    folder = cache / f"{kind}-{key}"
    with locked(cache / f"{kind}.lock", f"another process is building the lab's {kind}"):
        if is_whole(folder):
            return folder
        partial = cache / f"{kind}-{key}.partial"
        for stale in cache.glob(f"{kind}-*"):
            if not in_use(stale):
                remove_tree(stale)
            elif stale in (folder, partial):
                raise LabError(
                    f"the lab's {kind} is damaged and in use",
                    str(stale),
                    "Stop the lab that uses it: wholecard lab down",
                )
        partial.mkdir(parents=True)
        started = time.monotonic()
        try:
            build(partial)
        except BaseException:
            remove_tree(partial)
            raise
        sizes = {}
        for pattern in must_have:
            files = sorted(partial.glob(pattern))
            if not files:
                raise LabError(f"the lab's {kind} was built without {pattern}", f"in {partial}")
            sizes.update({str(path.relative_to(partial)): path.lstat().st_size for path in files})
        facts = {"seconds": round(time.monotonic() - started, 1), "sizes": sizes,
                 "built": time.time_ns()}  # fmt: skip
        (partial / MARKER).write_text(json.dumps(facts, indent=1))
        partial.rename(folder)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether an entry is complete and its recorded files have their recorded sizes."""
    try:
        sizes = json.loads((folder / MARKER).read_text())["sizes"]
        return all((folder / name).lstat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def identity(folder: Path) -> str:
    """The name of an entry and which build of it this is: two builds are not the same bytes."""
    marker = folder / MARKER
    return f"{folder.name} {marker.read_text() if marker.exists() else ''}"


@contextmanager
def locked(path: Path, waiting_for: str, timeout: float = 900) -> Iterator[None]:
    """Hold a lock file; wait for another holder up to `timeout` seconds, then LabError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    resolution = "Wait for the other process or stop it, then run the command again."
    with locks.locked(path, waiting_for, resolution, timeout=timeout, error=LabError):
        yield


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with its content, also folders without write permission.

    Raises LabError, with nothing removed, where something is mounted inside: removal would
    continue through it into the machine's own files.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    mounted = mounts_in(path)
    if mounted:
        raise LabError(
            f"{path} is not removed: something is mounted in it",
            "\n".join(mounted),
            "End what mounted it or `umount` each of these, then run the command again.",
        )
    if os.geteuid() != 0:
        path.chmod(0o700)
        for above, names, _ in os.walk(path):
            # Before os.walk goes into them: it leaves out what it cannot read.
            for folder in (Path(above, name) for name in names):
                if not folder.is_symlink():
                    folder.chmod(0o700)
    shutil.rmtree(path)


def in_use(path: Path) -> bool:
    """Whether a process has this folder in its arguments, as bwrap has the folders it mounts."""
    for process in psutil.process_iter():
        try:
            if any(str(path) in word for word in process.cmdline()):
                return True
        except psutil.Error:
            continue
    return False


def mounts_in(path: Path) -> list[str]:
    """The mount points below a folder, the folder itself included (proc(5), mountinfo)."""
    top = str(path.resolve())
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if point == top or point.startswith(top + "/")]
