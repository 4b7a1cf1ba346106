"""Answers of an API within bounds: their size, and the time of one and of a whole listing.

requests' time-out is for each wait on the network: one byte now and then keeps it away for ever,
and so do pages that each name a next one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
import requests.exceptions
from keystoneauth1.session import Session, TCPKeepAliveAdapter

from wholecard.core import WholecardError

# Placement's answer about candidates on a thousand hosts has some tens of MB.
LARGEST = 256 << 20
# Seconds for everything that one question needs, all pages of it; ten thousand servers take one
# minute.
WHOLE = 300.0
# How many time-outs of a single wait a whole answer may take.
_WAITS = 2

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float = WHOLE) -> Iterator[None]:
    """All requests of the block end within so many seconds, or in a time-out."""
    before = _deadline.get()
    ends = time.monotonic() + seconds
    token = _deadline.set(ends if before is None else min(before, ends))
    try:
        yield
    finally:
        _deadline.reset(token)


def bound(session: Session, timeout: float) -> None:
    """Let the session's requests read no more, and no longer, than this module says."""
    for scheme in ("http://", "https://"):
        session.session.mount(scheme, BoundedAdapter(timeout * _WAITS))


class BoundedAdapter(TCPKeepAliveAdapter):
    """Sends a request and reads its answer; `seconds` is what one answer may take."""

    def __init__(self, seconds: float, **more: Any) -> None:
        self._seconds = seconds
        super().__init__(**more)

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, stream: bool = False, **more: Any
    ) -> requests.Response:
        """The answer, whole. Raises requests' Timeout, WholecardError where it is too large."""
        whole = _deadline.get()
        now = time.monotonic()
        if whole is not None and now > whole:
            raise requests.exceptions.ReadTimeout("the whole answer took too long", request=request)
        response = super().send(request, stream=True, **more)
        if not stream:
            ends = now + self._seconds
            content = _content(response, ends if whole is None else min(ends, whole))
            vars(response).update(_content=content, _content_consumed=True)
        return response


def _content(response: requests.Response, ends: float) -> bytes:
    pieces = []
    size = 0
    # A piece is what has come, however little.
    while piece := response.raw.read1(1 << 20, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            response.close()
            raise WholecardError(
                f"the answer of {response.url} is larger than {LARGEST >> 20} MiB",
                resolution="Check what answers at that URL: no listing is so long.",
            )
        if time.monotonic() > ends:
            response.close()
            raise requests.exceptions.ReadTimeout("the answer came too slowly", response=response)
    response.raw.release_conn()
    return b"".join(pieces)
