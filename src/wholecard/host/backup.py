"""What stood on the host before a plan was applied: content, mode and owner, or absence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Plan, WholecardError
from wholecard.host.files import (
    copy_atomically,
    digest,
    expand,
    make_directories,
    remove,
    sync_directory,
    under,
    write_atomically,
)
from wholecard.host.operations import RunTool, WriteFile, operation_of

INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """One file as it was. `blob` names its copy in the store, None where there was no file."""

    path: str
    blob: str | None = None
    sha256: str | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Backup:
    """A store of former files: every one that the plan writes, and every output of its tools.

    `made` are the directories that the plan has to make, outermost first.
    """

    store: Path
    files: tuple[Kept, ...]
    made: tuple[str, ...]

    def of(self, path: str) -> Kept:
        """What stood at `path`; a file that was not there before is kept as its absence."""
        return next((kept for kept in self.files if kept.path == path), Kept(path))

    def put_back(self, root: Path, path: str) -> None:
        """Make `path` what it was: content, mode, owner, or gone."""
        kept = self.of(path)
        target = under(root, path)
        if kept.blob is None:
            remove(target)
            return
        make_directories(target.parent)
        copy_atomically(self.store / kept.blob, target, kept.mode, (kept.uid, kept.gid))


def take_backup(root: Path, plan: Plan, store: Path) -> Backup:
    """Copy everything that `plan` will touch into the new directory `store`."""
    store.mkdir(mode=0o700)
    operations = [operation_of(action) for action in plan.actions]
    written = [each.path for each in operations if isinstance(each, WriteFile)]
    outputs = [
        pattern for each in operations if isinstance(each, RunTool) for pattern in each.outputs
    ]
    paths = dict.fromkeys([*written, *expand(root, outputs)])
    files = tuple(_keep(root, path, store, f"{n:03d}") for n, path in enumerate(paths))
    backup = Backup(store, files, _missing_directories(root, written))
    index = {"files": [dict(kept.__dict__) for kept in files], "made": list(backup.made)}
    write_atomically(store / INDEX, json.dumps(index, indent=1).encode(), 0o600, None)
    sync_directory(store)
    return backup


def read_backup(store: Path) -> Backup:
    """The store that `take_backup` made. Raises WholecardError where it cannot be read."""
    try:
        index = json.loads((store / INDEX).read_bytes())
        files = tuple(Kept(**entry) for entry in index["files"])
        return Backup(store, files, tuple(index["made"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WholecardError(
            f"cannot read the backup in {store}", str(error), "Run it as root."
        ) from error


def _keep(root: Path, path: str, store: Path, blob: str) -> Kept:
    source = under(root, path)
    if not source.is_file():
        return Kept(path)
    status = source.stat()
    copy_atomically(source, store / blob, 0o600, None)
    return Kept(
        path, blob, digest(store / blob), status.st_mode & 0o7777, status.st_uid, status.st_gid
    )


def _missing_directories(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    missing = {
        str(parent)
        for path in paths
        for parent in Path(path).parents
        if not under(root, str(parent)).exists()
    }
    return tuple(sorted(missing))
