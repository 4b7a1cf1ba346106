"""A small HTTP server that says what a test tells it to say, with a Keystone in front.

It is no OpenStack: it is there for time-outs, refusals and waiting, which are our own behaviour.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PASSWORD = "pa55-w0rd-that-must-not-leak"

Answer = tuple[int, Any]


@dataclass
class Api:
    """`answers` maps `METHOD /path` to (status, JSON body) or to a function that returns one.

    `modified` maps a path to its Last-Modified, `moved` one to its Location, `requests` one to the
    id that nova gives the request. `asked`, `queries`, `sent`, `versions` and `tokens` are each
    request's key, query, body, `OpenStack-API-Version` and `X-Auth-Token`; a function finds its own
    request's at the end, and its own `body` and `query` in `current` where several are answered at
    one time.
    """

    url: str
    clouds: Path
    answers: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    modified: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    current: threading.local = field(default_factory=threading.local)
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


def offer_keystone(api: Api) -> None:
    """Keystone's own API is in the catalog too: projects, limits."""
    login: Any = api.answers["POST /v3/auth/tokens"]
    where = {"id": "k", "interface": "public", "region": "R", "region_id": "R",
             "url": f"{api.url}/v3"}  # fmt: skip
    keystone = {"type": "identity", "name": "keystone", "id": "k", "endpoints": [where]}
    login[1]["token"]["catalog"].append(keystone)


@contextmanager
def serving(folder: Path) -> Iterator[Api]:
    """The server, running, and a clouds.yaml in the folder that names it `test`."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.sent.append(sent)
            key = f"{self.command} {self.path.partition('?')[0].rstrip('/')}"
            found.asked.append(key)
            found.queries.append(self.path.partition("?")[2])
            found.current.body, found.current.query = sent, self.path.partition("?")[2]
            found.versions.append(self.headers.get("OpenStack-API-Version") or "")
            found.tokens.append(self.headers.get("X-Auth-Token") or "")
            answer = found.answers.get(key, (404, {"itemNotFound": {"message": key, "code": 404}}))
            status, body = answer() if callable(answer) else answer
            payload = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Subject-Token", "token")
                if since := found.modified.get(key.partition(" ")[2]):
                    self.send_header("Last-Modified", since)
                if request := found.requests.get(key.partition(" ")[2]):
                    self.send_header("x-openstack-request-id", request)
                if place := found.moved.get(key.partition(" ")[2]):
                    self.send_header("Location", place)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                pass

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    clouds = folder / "clouds.yaml"
    clouds.write_text(
        "clouds:\n  test:\n    region_name: R\n    auth:\n"
        f"      auth_url: {url}/v3\n      username: admin\n      password: {PASSWORD}\n"
        "      project_name: admin\n      user_domain_name: Default\n"
        "      project_domain_name: Default\n"
    )
    found = Api(url, clouds, keystone_answers(url))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        found.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
