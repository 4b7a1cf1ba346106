"""The cache: entries that are built once, keyed by what went in, and rebuilt where broken."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wholecard.lab.errors import LabError

MARKER = ".complete.json"


def entry(
    cache: Path,
    kind: str,
    key: str,
    build: Callable[[Path], None],
    must_have: Sequence[str] = (),
) -> Path:
    """The folder `cache/KIND-KEY`, built by `build(folder)` where it is not whole.

    It is built under another name and moved into place when complete, so a killed build is never
    mistaken for a whole one; a lock lets a second process wait. Its `.complete.json` keeps the
    size of each file of `must_have` (paths in it; `*` is a wildcard): an entry that lacks one,
    or has it in another size, is built anew. Older entries of the same kind are removed.
    """
    folder = cache / f"{kind}-{key}"
    with locked(cache / f"{kind}.lock", f"another process builds the lab's {kind}"):
        if is_whole(folder):
            return folder
        for stale in cache.glob(f"{kind}-*"):
            remove_tree(stale)
        partial = cache / f"{kind}-{key}.partial"
        partial.mkdir(parents=True)
        started = time.monotonic()
        try:
            build(partial)
        except BaseException:
            remove_tree(partial)
            raise
        sizes = {}
        for pattern in must_have:
            found = sorted(partial.glob(pattern))
            if not found:
                raise LabError(f"the lab's {kind} was built without {pattern}", f"in {partial}")
            sizes.update({str(path.relative_to(partial)): path.lstat().st_size for path in found})
        facts = {"seconds": round(time.monotonic() - started, 1), "sizes": sizes}
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


@contextmanager
def locked(path: Path, waiting_for: str, timeout: float = 900) -> Iterator[None]:
    """Hold a lock file; wait for another holder up to `timeout` seconds, then LabError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(
                        waiting_for,
                        f"waited {timeout:.0f} s for {path}",
                        "End the other process, then run the command again.",
                    ) from None
                time.sleep(0.2)
        yield


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all in it, also folders without any permission."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    if os.geteuid() != 0:
        path.chmod(0o700)
        for above, names, _ in os.walk(path):
            # Before os.walk goes into them: what it cannot read it leaves out.
            for folder in (Path(above, name) for name in names):
                if not folder.is_symlink():
                    folder.chmod(0o700)
    shutil.rmtree(path)
