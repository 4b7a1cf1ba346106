"""Waiting on a condition: ask, pause, ask again, and give up with an explanation."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from wholecard.core.errors import WholecardError

T = TypeVar("T")


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    timeout: float,
    *,
    interval: float = 0.5,
    last: Callable[[], str] = str,
    ended: Callable[[], str] = str,
    resolution: str = "",
    error: Callable[[str, str, str], WholecardError] = WholecardError,
) -> T:
    """Call `probe` until it returns something other than None, and return that.

    `timeout` and `interval` are seconds. The probe runs at least once, and once more when the time
    is over. `what` names the condition in the error (`WHAT: not within 5 s`), `last` gives what
    was seen at the end, `ended` the reason why it cannot become true any more (a service that
    died), or nothing.

    Raises what `error` makes of brief, details and resolution when the time is over, or at once
    where it has `ended`; what the probe raises passes through.
    """
    deadline = time.monotonic() + timeout
    while True:
        over = time.monotonic() >= deadline
        value = probe()
        if value is not None:
            return value
        why = ended() or (f"not within {timeout:g} s" if over else "")
        if why:
            raise error(f"{what}: {why}", last(), resolution)
        time.sleep(min(interval, max(0.0, deadline - time.monotonic())))
