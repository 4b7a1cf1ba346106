"""Writes our files below a folder: all or none, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from wholecard.core import UsageError, WholecardError
from wholecard.nova.render.managed_files import OURS
from wholecard.transaction.atomic_files import write_together


def write(folder: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write each text to its path below `folder`; returns the paths that changed.

    A file that already has the text is left as it is. All texts are on disk in temporary files
    before the first one is renamed. Raises UsageError, with nothing written, where a file is not
    ours, and WholecardError where the disk cannot be written.
    """
    changed = {
        _inside(folder, path): text
        for path, text in files.items()
        if _text_of(_inside(folder, path)) != text
    }
    try:
        write_together({path: text.encode() for path, text in changed.items()}, 0o644)
    except OSError as error:
        raise WholecardError(
            f"cannot write below {folder}", str(error), "Name another folder with --output."
        ) from error
    return tuple(changed)


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
