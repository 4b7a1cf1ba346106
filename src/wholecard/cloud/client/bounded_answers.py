"""Requests of an API within bounds: size and time of the answers, and where a token may go.

requests' time-out is for each wait on the network: one byte now and then keeps it away for ever,
and so do pages that each name a next one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
import requests.exceptions
import urllib3.exceptions
from keystoneauth1.session import Session, TCPKeepAliveAdapter

from wholecard.cloud.client.endpoint_origins import EndpointOrigins
from wholecard.core import WholecardError

# Placement's answer about candidates on a thousand hosts has some tens of MB.
LARGEST = 256 << 20
# Seconds for everything that one question needs, all pages of it; ten thousand servers take one
# minute.
WHOLE = 300.0
# How many time-outs of a single wait a whole answer may take.
_WAITS = 2

# Pages of one listing: nova and Placement give up to a thousand rows in each.
MOST_PAGES = 300


class _Question:
    """What one question to a cloud may still ask: until when, and how often at each path."""

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self._asked: Counter[str] = Counter()

    def ask(self, url: str) -> None:
        """Raises requests' Timeout where the time is over, or the pages have no end."""
        path = url.partition("?")[0]
        self._asked[path] += 1
        if time.monotonic() > self.ends or self._asked[path] > MOST_PAGES:
            raise requests.exceptions.ReadTimeout("the whole answer takes too long")


_question: ContextVar[_Question | None] = ContextVar("question", default=None)


@contextmanager
def within(seconds: float = WHOLE) -> Iterator[None]:
    """All requests of the block end within so many seconds and pages, or in a time-out."""
    above = _question.get()
    ends = time.monotonic() + seconds
    token = _question.set(_Question(ends if above is None else min(above.ends, ends)))
    try:
        yield
    finally:
        _question.reset(token)


def bound(session: Session, timeout: float, origins: EndpointOrigins) -> None:
    """Let the session's requests read no more, and no longer, than this module says.

    And let no token leave the cloud's `origins`. A login is not sent on to where its answer points:
    the password goes to Keystone alone.
    """
    for scheme in ("http://", "https://"):
        session.session.mount(scheme, BoundedAdapter(timeout * _WAITS, origins))
    request = session.request

    def ask(url: str, method: str, **more: Any) -> requests.Response:
        if more.get("authenticated") is False and method == "POST":
            more["redirect"] = False
        return request(url, method, **more)

    vars(session)["request"] = ask


_BROKEN = requests.exceptions.ConnectionError


class BoundedAdapter(TCPKeepAliveAdapter):
    """Sends a request and reads its answer; `seconds` is what one answer may take.

    Every request of a connection comes here: a redirect that is followed and the next page of a
    listing too. `origins` are where tokens may go.
    """

    def __init__(self, seconds: float, origins: EndpointOrigins, **more: Any) -> None:
        self._seconds = seconds
        self._origins = origins
        super().__init__(**more)

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, stream: bool = False, **more: Any
    ) -> requests.Response:
        """The answer, whole.

        Raises requests' Timeout, WholecardError where it is too large or leads out of the cloud.
        """
        self._origins.check_request(request)
        question = _question.get()
        ends = time.monotonic() + self._seconds
        if question is not None:
            question.ask(str(request.url))
            ends = min(ends, question.ends)
        response = super().send(request, stream=True, **more)
        self._origins.check_response(response)
        if not stream:
            try:
                content = _content(response, ends)
            except urllib3.exceptions.HTTPError as error:
                # As requests itself does it (requests/models.py, iter_content).
                waited = isinstance(error, urllib3.exceptions.ReadTimeoutError)
                kind = requests.exceptions.ReadTimeout if waited else _BROKEN
                raise kind(str(error), request=request) from error
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
