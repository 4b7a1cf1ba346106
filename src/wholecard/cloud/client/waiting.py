"""Waiting for a cloud, without asking it too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from wholecard.cloud.client.errors import CloudError
from wholecard.core import waiting

T = TypeVar("T")

# A list call of nova takes some tens of milliseconds; faster polling only loads the API.
MIN_INTERVAL = 0.3
# A move takes minutes: one answer that did not come, or a service that is restarted, is no reason
# to give it up.
UNANSWERED_SECONDS = 120.0
# 429 asks for patience; of 5xx a proxy answers these while a service is restarted or overloaded.
_TEMPORARY = frozenset({None, 429, 502, 503, 504})


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
    """`core.waiting.wait_until` with an interval of 0.3 s or more. Raises WaitTimeoutError.

    Once the cloud has answered, answers that do not come are waited for too, UNANSWERED_SECONDS at
    most: then, as for any other answer that is an error, the probe's CloudError is raised.
    """
    answered: float | None = None

    def patient() -> T | None:
        nonlocal answered
        try:
            value = probe()
        except WaitTimeoutError:
            raise
        except CloudError as error:
            since = None if answered is None else time.monotonic() - answered
            if since is None or since > UNANSWERED_SECONDS or error.http_status not in _TEMPORARY:
                raise
            return None
        answered = time.monotonic()
        return value

    return waiting.wait_until(
        what, patient, timeout, interval=max(interval, MIN_INTERVAL), last=last,
        resolution=resolution, error=WaitTimeoutError,
    )  # fmt: skip
