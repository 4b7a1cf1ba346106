"""Base images fetched from a server on loopback, which fails as mirrors do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.image_server import ImageServer, serving
from wholecard.guest.image.download import FetchError, Source, fetch

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[ImageServer]:
    """A server of the content, which answers as it should."""
    with serving(CONTENT) as running:
        yield running


def source(server: ImageServer, *mirrors: str, sha256: str = SHA256) -> Source:
    """The content at the server, and at mirrors after it."""
    return Source((f"{server.address}/a.img", *mirrors), sha256)


def test_once(server: ImageServer, tmp_path: Path) -> None:
    """It is fetched once, whole, under its checksum, and the progress ends at its size."""
    seen: list[tuple[int, int]] = []
    path = fetch(source(server), tmp_path, lambda *pair: seen.append(pair))
    assert path == tmp_path / SHA256
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    server.requests.clear()
    assert fetch(source(server), tmp_path, offline=True) == path
    assert not server.requests


def test_resumed_in_one_call(server: ImageServer, tmp_path: Path) -> None:
    """A server that ends each answer early is asked for the rest."""
    server.stop_after = 100_000
    assert fetch(source(server), tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=200000-"]


def test_resumed_by_the_next_call(server: ImageServer, tmp_path: Path) -> None:
    """What a broken transfer left is kept, and the next call asks for the rest only."""
    server.stop_after = 10
    with pytest.raises(FetchError, match=r"ended after 40 of 300000 bytes; 40 B are kept"):
        fetch(source(server), tmp_path)
    server.stop_after = None
    server.requests.clear()
    assert fetch(source(server), tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == ["bytes=40-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_part_of_another_content(server: ImageServer, tmp_path: Path, ranges: bool) -> None:
    """A part of what the server no longer has is thrown away, with ranges and without."""
    server.ranges = ranges
    (tmp_path / f"{SHA256}.partial").write_bytes(b"x" * 1000)
    assert fetch(source(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 9])
def test_part_that_is_whole_or_longer(server: ImageServer, tmp_path: Path, length: int) -> None:
    """A part that is whole needs nothing more, and one that is longer is fetched anew."""
    (tmp_path / f"{SHA256}.partial").write_bytes((CONTENT + bytes(9))[:length])
    assert fetch(source(server), tmp_path).read_bytes() == CONTENT


def test_mirrors(server: ImageServer, tmp_path: Path) -> None:
    """Addresses are tried in their order, files among them, until one has the content."""
    (tmp_path / "copy.img").write_bytes(CONTENT)
    server.status = 404
    mirrors = ("file:///no/such", (tmp_path / "copy.img").as_uri())
    path = fetch(source(server, *mirrors), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


# How the server is, and what is said of it.
BROKEN = [
    ({"content": b"other"}, "its SHA-256 is"),
    ({"status": 404}, "HTTP 404"),
    ({"status": 500}, "HTTP 500"),
    ({"redirect": "/again"}, "HTTP 302"),
    ({"redirect": "file:///etc/passwd"}, "not allowed"),
    ({"redirect": "ftp://127.0.0.1/x"}, "neither http nor https"),
    ({"says": "999999999"}, r"953.7 MiB; at most 976.6 KiB"),
    ({"says": "9" * 30, "stop_after": 0}, "its SHA-256 is"),
    ({"says": "", "content": bytes(2_000_000)}, "larger than 976.6 KiB"),
]


@pytest.mark.parametrize(("state", "words"), BROKEN)
def test_broken(server: ImageServer, tmp_path: Path, state: dict[str, object], words: str) -> None:
    """Each way to fail is named with its address, and nothing that looks whole is left."""
    for name, value in state.items():
        setattr(server, name, value)
    with pytest.raises(FetchError, match=words) as caught:
        fetch(source(server), tmp_path, most_bytes=1_000_000)
    assert caught.value.details.startswith(f"{server.address}/a.img: ")
    assert not (tmp_path / SHA256).exists()


@pytest.mark.parametrize(("address", "words"), [
    ("http://127.0.0.1:1/a", "refused"),
    ("ftp://a/b", "not an address of http, https or file"),
    ("file:///no/such", "no such file"),
    ("file:///", "no such file"),
])  # fmt: skip
def test_no_server(tmp_path: Path, address: str, words: str) -> None:
    """What cannot be reached is named, without a wait."""
    with pytest.raises(FetchError, match=words):
        fetch(Source((address,), SHA256), tmp_path)
    assert not list(tmp_path.iterdir())


def test_offline(server: ImageServer, tmp_path: Path) -> None:
    """Offline nothing is asked of a server."""
    with pytest.raises(FetchError, match="--offline"):
        fetch(source(server), tmp_path, offline=True)
    assert not server.requests
