"""Waiting for a cloud, without asking it too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wholecard.cloud.client.errors import CloudError
from wholecard.core import waiting

T = TypeVar("T")

# A list call of nova takes some tens of milliseconds; faster polling only loads the API.
MIN_INTERVAL = 0.3


class WaitTimeoutError(CloudError):
    """A condition was not met in time."""


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
