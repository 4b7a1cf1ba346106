"""Whether this account may change a host at all: asked before anything is read and planned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wholecard.core import WholecardError
from wholecard.host.changing.journal import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path


def refuse_without_access(root: Path, command: str) -> None:
    """Raises WholecardError where the journal below `root` cannot be written by this account.

    `command` is what was called, `apply`. Whoever may write the journal may still be refused a
    file later; root is not.
    """
    if not os.geteuid():
        return
    folder = root / JOURNAL
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise WholecardError(
            f"only root may {command}: {folder} is not writable for this account",
            "Nothing was read or changed.",
            f"Run it as root: sudo wholecard-host {command} ... On other hosts: --on HOSTS --sudo",
        )
