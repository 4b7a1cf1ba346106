"""A web server with one file, which can be as unreliable as mirrors are."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ImageServer:
    """`content` is served at any path; `requests` are what was asked: path and Range.

    `stop_after` ends an answer after so many bytes, `ranges` is whether ranges are understood,
    `redirect` sends each request elsewhere, `says` replaces Content-Length, `status` the answer.
    """

    content: bytes
    stop_after: int | None = None
    ranges: bool = True
    redirect: str | None = None
    says: str | None = None
    status: int = 200
    address: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving(content: bytes) -> Iterator[ImageServer]:
    """The server on a free port of loopback, until the block ends."""
    server = ImageServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's own name
            wanted = self.headers.get("Range")
            server.requests.append((self.path, wanted))
            if server.redirect is not None:
                self.send_response(302)
                self.send_header("Location", server.redirect)
                self.end_headers()
                return
            start = 0
            match = re.fullmatch(r"bytes=(\d+)-", wanted or "") if server.ranges else None
            if match:
                start = int(match[1])
                if start >= len(server.content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(server.content)}")
                    self.end_headers()
                    return
            self.send_response(206 if match else server.status)
            rest = server.content[start:]
            if server.says != "":
                self.send_header("Content-Length", server.says or str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: server.stop_after])

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
