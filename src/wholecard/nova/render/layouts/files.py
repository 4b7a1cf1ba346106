"""Writes our files below a folder: all or none, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wholecard.core import UsageError, WholecardError
from wholecard.nova.render.managed_files import OURS
from wholecard.transaction.atomic_files import write_together


@dataclass(frozen=True)
class FileChange:
    """A file of a layout: its path below the folder, its text now (None: no file) and then."""

    path: str
    before: str | None
    after: str

    @property
    def is_change(self) -> bool:
        """Whether the file has to be written."""
        return self.before != self.after

    def to_json(self) -> dict[str, str | None]:
        """`{"path", "before", "after"}`."""
        return dict(self.__dict__)


def changes(folder: Path | None, files: Mapping[str, str]) -> tuple[FileChange, ...]:
    """Each file beside what is below `folder` now; without a folder nothing is there.

    Raises UsageError where a file is not ours.
    """
    return tuple(
        FileChange(path, None if folder is None else _text_of(_inside(folder, path)), text)
        for path, text in files.items()
    )


def write(folder: Path, files: Mapping[str, str]) -> tuple[FileChange, ...]:
    """Write each text to its path below `folder`; returns what `changes` says before.

    A file that already has the text is left as it is. All texts are on disk in temporary files
    before the first one is renamed. Raises UsageError, with nothing written, where a file is not
    ours, and WholecardError where the disk cannot be written.
    """
    planned = changes(folder, files)
    texts = {_inside(folder, each.path): each.after.encode() for each in planned if each.is_change}
    try:
        write_together(texts, 0o644)
    except OSError as error:
        raise WholecardError(
            f"cannot write below {folder}", str(error), "Name another folder with --output."
        ) from error
    return planned


def _inside(folder: Path, path: str) -> Path:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        resolution = "Give the host another name in the site file."
        raise UsageError(f"{path} is not below {folder}", resolution=resolution)
    return folder / parts


def _text_of(path: Path) -> str | None:
    """The text of our file, None where there is no file. Raises UsageError for somebody else's."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}", str(error), "Move this file away.") from error
    if not text.startswith(OURS):
        raise UsageError(
            f"{path} exists, and Wholecard did not write it",
            f"Wholecard's files begin with {OURS!r}.",
            "Move it away, or name another folder with --output.",
        )
    return text
