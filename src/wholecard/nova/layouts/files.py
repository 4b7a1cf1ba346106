"""Files of ours below a folder: written whole or not at all, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from wholecard.core import UsageError, WholecardError
from wholecard.nova.render.managed_files import OURS
from wholecard.transaction.atomic_files import write_together


def write(folder: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write each text to its path below `folder`; returns what was changed.

    A file that has the text already is left as it is. Every text is on disk beside its place
    before the first takes it. Raises UsageError, with nothing written, where a file is there that
    we did not write, and WholecardError where the disk does not take it.
    """
    changed = {
        _inside(folder, path): text
        for path, text in files.items()
        if _stands(_inside(folder, path)) != text
    }
    try:
        write_together({path: text.encode() for path, text in changed.items()}, 0o644)
    except OSError as error:
        raise WholecardError(
            f"cannot write below {folder}",
            str(error),
            "Name another folder with --output.",
        ) from error
    return tuple(changed)


def _inside(folder: Path, path: str) -> Path:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise UsageError(f"{path} is not below {folder}", resolution="Name the host otherwise.")
    return folder / parts


def _stands(path: Path) -> str | None:
    """The text of a file of ours, None where there is none. Raises UsageError for another's."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}", str(error), "Move it away.") from error
    if not text.startswith(OURS):
        raise UsageError(
            f"{path} is there, and Wholecard did not write it",
            f"Files of ours begin with {OURS!r}.",
            "Move it away, or name another folder with --output.",
        )
    return text
