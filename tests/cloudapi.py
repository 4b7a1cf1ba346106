"""A small HTTP server that says what a test tells it to say, with a Keystone in front.

It is no OpenStack: it is there for time-outs, refusals and waiting, which are our own behaviour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSWORD = "pa55-w0rd-that-must-not-leak"

Answer = tuple[int, Any]


@dataclass
class Api:
    """`answers` maps `METHOD /path` to (status, JSON body) or to a function that returns one."""

    url: str
    clouds: Path
    answers: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def hang(self) -> Answer:
        """Keep a request waiting until the test is over."""
        self.closing.wait(30)
        return 503, {}


def keystone_answers(url: str) -> dict[str, Answer | Callable[[], Answer]]:
    """A login that succeeds, and a catalog with compute and placement on the same server."""
    compute = {"id": "v2.1", "status": "CURRENT", "version": "2.100", "min_version": "2.1"}
    placement = {"id": "v1.0", "status": "CURRENT", "max_version": "1.39", "min_version": "1.0"}
    catalog = [
        {
            "type": kind,
            "name": kind,
            "id": kind,
            "endpoints": [
                {"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": where}
            ],
        }
        for kind, where in (
            ("compute", f"{url}/compute/v2.1"),
            ("placement", f"{url}/placement"),
            ("image", f"{url}/image/v2"),
        )
    ]
    token = {
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "issued_at": "2020-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
        "catalog": catalog,
        "methods": ["password"],
    }
    login = [{"rel": "self", "href": f"{url}/v3/"}]
    image = [{"rel": "self", "href": f"{url}/image/v2/"}]
    links = [{"rel": "self", "href": f"{url}/compute/v2.1/"}]
    return {
        "GET /v3": (200, {"version": {"id": "v3.14", "status": "stable", "links": login}}),
        "POST /v3/auth/tokens": (201, {"token": token}),
        "GET /image/v2": (
            200,
            {"versions": [{"id": "v2.17", "status": "CURRENT", "links": image}]},
        ),
        "GET /compute/v2.1": (200, {"version": {**compute, "links": links}}),
        "GET /placement": (
            200,
            {"versions": [{**placement, "links": [{"rel": "self", "href": ""}]}]},
        ),
    }
