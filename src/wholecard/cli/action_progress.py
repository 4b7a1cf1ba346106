"""What is shown of each action while a plan is applied or rolled back."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wholecard.core import Action


def show_action(position: int, count: int, action: Action, seconds: float | None) -> None:
    """A line on standard error: begun where an action begins, ended with its seconds."""
    from wholecard.core.plain_text import plain
    from wholecard.core.report_text import progress_text

    # Who called may be gone; what was begun is finished all the same.
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(plain(progress_text(position, count, action, seconds)))
        sys.stderr.flush()
