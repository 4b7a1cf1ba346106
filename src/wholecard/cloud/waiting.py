"""Waiting on a condition: ask, pause, ask again, and give up with an explanation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from wholecard.cloud.errors import CloudError

T = TypeVar("T")

# A list call of nova takes some tens of milliseconds; faster polling only heats the API.
MIN_INTERVAL = 0.3


class WaitTimeoutError(CloudError):
    """A condition did not come true in time."""


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    timeout: float,
    *,
    interval: float = 0.5,
    last: Callable[[], str] = str,
    resolution: str = "",
) -> T:
    """Call `probe` until it returns something other than None, and return that.

    `timeout` and `interval` are seconds; `interval` is at least 0.3. The probe runs at least once,
    and once more when the time is over. `what` completes "... did not come true" as a noun
    sentence, `last` gives what was seen at the end.

    Raises WaitTimeoutError; what the probe raises passes through.
    """
    interval = max(interval, MIN_INTERVAL)
    deadline = time.monotonic() + timeout
    while True:
        over = time.monotonic() >= deadline
        value = probe()
        if value is not None:
            return value
        if over:
            raise WaitTimeoutError(f"{what}: not within {timeout:g} s", last(), resolution)
        time.sleep(min(interval, max(0.0, deadline - time.monotonic())))
