"""Waiting for a cloud, which is asked no faster than does it good."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wholecard.cloud.client.errors import CloudError
from wholecard.core import waiting

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
    """`core.waiting.wait_until` with an interval of 0.3 s or more. Raises WaitTimeoutError."""
    return waiting.wait_until(
        what, probe, timeout, interval=max(interval, MIN_INTERVAL), last=last,
        resolution=resolution, error=WaitTimeoutError,
    )  # fmt: skip
