"""What stood on the host before a plan was applied: content and traits, a link, or absence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Plan, WholecardError
from wholecard.host.operations.registry import operation_of
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import (
    Traits,
    copy_atomically,
    digest,
    expand,
    link_atomically,
    make_directories,
    remove,
    state_of,
    traits_of,
    under,
    write_atomically,
)
from wholecard.transaction.checksummed import DAMAGE, pack, unpack

INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """One file as it was. `blob` names its copy in the store; `link` is a link's target.

    Both are None where there was nothing. `label` is SELinux's; `mtime_ns` is when it was changed
    last, None in a store that an older release made.
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
        """As `files.state_of` says it."""
        return self.sha256 if self.link is None else f"-> {self.link}"

    @property
    def traits(self) -> Traits:
        """What the file had besides its bytes."""
        return Traits(self.mode, self.uid, self.gid, self.label, self.mtime_ns)


@dataclass(frozen=True)
class Backup:
    """A store of former files: every one that the plan writes, and every output of its tools.

    `made` are the directories that the plan has to make, outermost first. `outputs` are for each
    tool, by its action's place, the files of its outputs that were there.
    """

    store: Path
    files: tuple[Kept, ...]
    made: tuple[str, ...]
    outputs: dict[int, tuple[str, ...]]

    def of(self, path: str) -> Kept:
        """What stood at `path`; a file that was not there before is kept as its absence."""
        return next((kept for kept in self.files if kept.path == path), Kept(path))

    def put_back(self, root: Path, path: str) -> None:
        """Make `path` what it was: content and traits, a link, or gone. What is so stays."""
        kept = self.of(path)
        target = under(root, path)
        if kept.state == state_of(target) and _same_traits(kept, target):
            return
        if kept.state is None:
            remove(target)
            return
        make_directories(target.parent)
        if kept.link is not None:
            link_atomically(target, kept.link)
        else:
            copy_atomically(self.store / str(kept.blob), target, kept.traits)

    def refuse_damaged(self) -> None:
        """Raises WholecardError where a copy is no longer what was put into the store."""
        for kept in self.files:
            if kept.blob is None:
                continue
            found = state_of(self.store / kept.blob)
            if found != kept.sha256:
                raise WholecardError(
                    f"the backup of {kept.path} is damaged",
                    f"{self.store / kept.blob} is {found or 'gone'}, not {kept.sha256}.",
                    DAMAGE,
                )


def _same_traits(kept: Kept, target: Path) -> bool:
    if kept.blob is None:
        return True
    now = traits_of(target)
    same_time = kept.mtime_ns in (None, now.mtime_ns)
    return same_time and (kept.mode, kept.uid, kept.gid, kept.label) == (
        now.mode,
        now.uid,
        now.gid,
        now.label,
    )


def take_backup(root: Path, plan: Plan, store: Path) -> Backup:
    """Copy everything that `plan` will touch into the new directory `store`."""
    syscalls.mkdir(store, 0o700)
    operations = list(enumerate(operation_of(action) for action in plan.actions))
    written = [each.path for _, each in operations if isinstance(each, WriteFile)]
    tools = {place: each for place, each in operations if isinstance(each, RunTool)}
    outputs = {place: expand(root, each.outputs) for place, each in tools.items()}
    paths = dict.fromkeys([*written, *(path for paths in outputs.values() for path in paths)])
    files = tuple(_keep(root, path, store, f"{n:03d}") for n, path in enumerate(paths))
    # A tool makes the directory of an output that is named outright.
    fixed = [path for each in tools.values() for path in each.outputs if not set(path) & set("*?[")]
    backup = Backup(store, files, _missing_directories(root, [*written, *fixed]), outputs)
    index = {
        "files": [dict(kept.__dict__) for kept in files],
        "made": list(backup.made),
        "outputs": {str(place): list(paths) for place, paths in outputs.items()},
    }
    write_atomically(store / INDEX, pack(index), 0o600)
    return backup


def read_backup(store: Path, plan: Plan) -> Backup:
    """The store that `take_backup` made for `plan`. Raises WholecardError where it is damaged."""
    return unpack(store / INDEX, lambda index: _backup(store, plan, index))


def _backup(store: Path, plan: Plan, index: dict[str, Any]) -> Backup:
    files = tuple(Kept(**entry) for entry in index["files"])
    for kept in files:
        _check(kept)
    made = tuple(index["made"])
    if not all(isinstance(path, str) for path in made):
        raise TypeError("made")
    if "outputs" in index:
        outputs = {int(place): tuple(paths) for place, paths in index["outputs"].items()}
    else:
        outputs = dict(_matching(plan, files))
    return Backup(store, files, made, outputs)


def _check(kept: Kept) -> None:
    numbers = (kept.mode, kept.uid, kept.gid, kept.mtime_ns or 0)
    texts = (kept.path, kept.blob or "", kept.sha256 or "", kept.link or "", kept.label or "")
    if not all(isinstance(each, int) for each in numbers):
        raise TypeError("files")
    if not all(isinstance(each, str) for each in texts) or "/" in (kept.blob or ""):
        raise TypeError("files")


def _matching(plan: Plan, files: tuple[Kept, ...]) -> Iterable[tuple[int, tuple[str, ...]]]:
    """What a store of an older release does not say: the kept files of each tool's outputs."""
    for place, action in enumerate(plan.actions):
        if isinstance(action.do, RunTool):
            patterns = action.do.outputs
            yield (
                place,
                tuple(
                    kept.path
                    for kept in files
                    if any(Path(kept.path).match(pattern) for pattern in patterns)
                ),
            )


def _keep(root: Path, path: str, store: Path, blob: str) -> Kept:
    source = under(root, path)
    if source.is_symlink():
        return Kept(path, link=str(source.readlink()))
    if not source.is_file():
        return Kept(path)
    traits = traits_of(source)
    copy_atomically(source, store / blob, None)
    return Kept(
        path,
        blob,
        digest(store / blob),
        traits.mode,
        traits.uid,
        traits.gid,
        label=traits.label,
        mtime_ns=traits.mtime_ns,
    )


def _missing_directories(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    missing = {
        str(parent)
        for path in paths
        for parent in Path(path).parents
        if not under(root, str(parent)).exists()
    }
    return tuple(sorted(missing))
