"""The fixture of a small API for the cloud room's tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudapi import PASSWORD, Api, keystone_answers


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The server, running, and a clouds.yaml that names it `test`."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            found.sent.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            key = f"{self.command} {self.path.partition('?')[0].rstrip('/')}"
            found.asked.append(key)
            answer = found.answers.get(key, (404, {"itemNotFound": {"message": key, "code": 404}}))
            status, body = answer() if callable(answer) else answer
            payload = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Subject-Token", "token")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                pass

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(
        "clouds:\n  test:\n    region_name: R\n    auth:\n"
        f"      auth_url: {url}/v3\n      username: admin\n      password: {PASSWORD}\n"
        "      project_name: admin\n      user_domain_name: Default\n"
        "      project_domain_name: Default\n"
    )
    found = Api(url, clouds, keystone_answers(url))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()
