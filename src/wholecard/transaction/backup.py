"""What was on a host before a plan was applied: content and traits, a link, or absence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wholecard.core import WholecardError
from wholecard.transaction import atomic_files, syscalls
from wholecard.transaction.atomic_files import Traits, state_of, traits_of, under
from wholecard.transaction.checksummed import DAMAGE, pack, unpack
from wholecard.transaction.json_fields import absolute_path, absolute_paths, optional, typed

INDEX = "index.json"


@dataclass(frozen=True)
class FormerFile:
    """One file as it was. `blob` names its copy in the store; `link` is a link's target.

    Both are None where there was nothing. `label` is SELinux's; `mtime_ns` is when it was changed
    last.
    """

    path: str
    blob: str | None = None
    sha256: str | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    link: str | None = None
    label: str | None = None
    mtime_ns: int | None = None

    @property
    def state(self) -> str | None:
        """As `atomic_files.state_of` says it."""
        return self.sha256 if self.link is None else f"-> {self.link}"

    @property
    def traits(self) -> Traits:
        """What the file had besides its bytes."""
        return Traits(self.mode, self.uid, self.gid, self.label, self.mtime_ns)


@dataclass(frozen=True)
class Backup:
    """A store of former files: every one that a plan changes.

    `created` are the directories that the plan has to make, outermost first. `targets` are for
    each action, by its number, the files that it was to change, as far as they existed or it names
    them.
    """

    store: Path
    files: tuple[FormerFile, ...] = ()
    created: tuple[str, ...] = ()
    targets: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def file(self, path: str) -> FormerFile:
        """What was at `path`; a file that did not exist before is kept as its absence."""
        return next((file for file in self.files if file.path == path), FormerFile(path))

    def put_back(self, root: Path, path: str) -> None:
        """Make `path` what it was: content and traits, a link, or gone. What is so stays."""
        former = self.file(path)
        target = under(root, path)
        if former.state == state_of(target) and (
            former.blob is None or former.traits == traits_of(target)
        ):
            return
        if former.state is None:
            atomic_files.remove(target)
            return
        atomic_files.make_directories(target.parent)
        if former.link is not None:
            atomic_files.link_atomically(target, former.link)
        else:
            atomic_files.copy_atomically(self.store / str(former.blob), target, former.traits)

    def refuse_damaged(self) -> None:
        """Raises WholecardError where a copy is no longer what was put into the store."""
        for file in self.files:
            if file.blob is None:
                continue
            state = state_of(self.store / file.blob)
            if state != file.sha256:
                raise WholecardError(
                    f"the backup of {file.path} is damaged",
                    f"{self.store / file.blob} is {state or 'gone'}, not {file.sha256}.",
                    DAMAGE,
                )


def take_backup(
    root: Path, store: Path, targets: Mapping[int, tuple[str, ...]], created: Iterable[str]
) -> None:
    """Copy every target into the new directory `store`.

    `created` are the paths whose directories are made where they are missing.
    """
    syscalls.mkdir(store, 0o700)
    paths = dict.fromkeys(path for paths in targets.values() for path in paths)
    index = {
        "files": [
            _keep(root, path, store, f"{number:03d}").__dict__ for number, path in enumerate(paths)
        ],
        "created": _missing_directories(root, created),
        "targets": {str(number): list(paths) for number, paths in targets.items()},
    }
    atomic_files.write_atomically(store / INDEX, pack(index), 0o600)


def read_backup(store: Path) -> Backup:
    """The store that `take_backup` made. Raises WholecardError where it is damaged."""
    return unpack(store / INDEX, lambda index: _backup(store, index))


def _backup(store: Path, index: dict[str, Any]) -> Backup:
    return Backup(
        store,
        files=tuple(_file(row) for row in index["files"]),
        created=absolute_paths(index["created"]),
        targets={int(number): absolute_paths(paths) for number, paths in index["targets"].items()},
    )


def _file(row: dict[str, Any]) -> FormerFile:
    blob = optional(row["blob"], str)
    if "/" in (blob or ""):
        raise ValueError("blob")
    return FormerFile(
        path=absolute_path(row["path"]),
        blob=blob,
        sha256=optional(row["sha256"], str),
        mode=typed(row["mode"], int),
        uid=typed(row["uid"], int),
        gid=typed(row["gid"], int),
        link=optional(row["link"], str),
        label=optional(row["label"], str),
        mtime_ns=optional(row["mtime_ns"], int),
    )


def _keep(root: Path, path: str, store: Path, blob: str) -> FormerFile:
    source = under(root, path)
    if source.is_symlink():
        return FormerFile(path, link=str(source.readlink()))
    if not source.is_file():
        return FormerFile(path)
    traits = traits_of(source)
    atomic_files.copy_atomically(source, store / blob, None)
    return FormerFile(path, blob, atomic_files.digest(store / blob), **traits.__dict__)


def _missing_directories(root: Path, paths: Iterable[str]) -> list[str]:
    parents = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(parent for parent in parents if not under(root, parent, follow=True).exists())
