"""Whether a service really answers, and which has died."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wholecard.lab.base.ports import LOOPBACK
from wholecard.lab.control.services import answers_http, speaks_amqp


@contextmanager
def service(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port on which one connection is taken, read once, answered and closed."""
    heard: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                heard.append(connection.recv(4096))
                connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(20)


@pytest.mark.parametrize(
    ("reply", "answers"),
    [(b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 300 Multiple Choices\r\n\r\n", True),
     (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
     (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", False),
     (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False), (b"SSH-2.0\r\n", False), (b"", False)],
)  # fmt: skip
def test_api_that_answers(reply: bytes, answers: bool) -> None:
    """An API answers when it says anything but that it is broken."""
    with service(reply) as (port, heard):
        assert answers_http(port) is answers
    assert heard[0].startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("reply", "speaks"), [(b"\x01\x00\x00\x00\x00\x01\xda", True), (b"", False)]
)
def test_broker_that_speaks_amqp(reply: bytes, speaks: bool) -> None:
    """A broker is up when it answers the protocol's header, not when it only listens."""
    with service(reply) as (port, heard):
        assert speaks_amqp(port) is speaks
    assert heard == [b"AMQP\x00\x00\x09\x01"]


def test_nobody_listens() -> None:
    """Where nobody listens, nobody answers, and that is no error."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    assert not answers_http(port)
    assert not speaks_amqp(port)
