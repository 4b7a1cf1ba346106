"""Where a command keeps on this machine what it has to know again: journals and states."""

from __future__ import annotations

import os
import re
from pathlib import Path

from wholecard.core.errors import UsageError


def state_folder(kind: str, *names: str) -> Path:
    """`$XDG_STATE_HOME/wholecard/KIND/NAMES…`, below `~/.local/state` where that is not set.

    Names are those of clouds and hosts. Raises UsageError for one that no folder can have.
    Source: XDG Base Directory Specification.
    """
    for name in names:
        if not re.fullmatch(r"[^/\x00.][^/\x00]*", name):
            raise UsageError(
                f"{name!r} cannot be the name of a folder",
                f"Below {state_folder(kind)} each cloud or host has a folder of its own name.",
                "Name another folder, if the command has --state.",
            )
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base).absolute().joinpath("wholecard", kind, *names)
