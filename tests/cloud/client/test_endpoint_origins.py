"""A token goes to the endpoints of its cloud, whatever a service answers; two real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.openstack_api import Api, serving
from support.openstack_objects import COMPUTE
from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.endpoint_origins import entry_urls, origin, shown
from wholecard.core import WholecardError
from wholecard.explain.evidence.from_cloud import _guests

if TYPE_CHECKING:
    from openstack.connection import Connection

SERVERS = f"{COMPUTE}/servers/detail"
SERVICES = f"{COMPUTE}/os-services"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Api]:
    """A server that is no endpoint of the cloud: the same host, another port."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with serving(folder) as other:
        other.answers[f"GET {SERVICES}"] = (200, {"services": []})
        other.answers[f"GET {SERVERS}"] = (200, {"servers": []})
        yield other


def images(conn: Connection) -> list[object]:
    return list(conn.image.images())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(api: Api, elsewhere: Api, status: int) -> None:
    """A redirect to another place is an error that names both, and nothing is sent there."""
    conn = connect("test", api.clouds, timeout=5)
    api.answers[f"GET {SERVICES}"] = (status, {})
    api.moved[SERVICES] = f"{elsewhere.url}{SERVICES}"
    with pytest.raises(WholecardError) as caught:
        compute_services(conn)
    assert caught.value.brief == (
        f"{api.url} redirects to {elsewhere.url}, where the cloud has no endpoint"
    )
    assert "compute_endpoint_override" in caught.value.resolution
    assert elsewhere.asked == []


def test_redirect_inside(api: Api) -> None:
    """A redirect from one endpoint of the cloud to another is followed, with the token."""
    conn = connect("test", api.clouds, timeout=5)
    api.answers[f"GET {SERVICES}"] = (307, {})
    api.moved[SERVICES] = f"{api.url}/moved"
    api.answers["GET /moved"] = (200, {"services": []})
    assert compute_services(conn) == ()
    assert (api.asked[-1], api.tokens[-1]) == ("GET /moved", "token")


def test_redirected_login(api: Api, elsewhere: Api) -> None:
    """A login that is redirected takes no password elsewhere, and the message names the place."""
    api.answers["POST /v3/auth/tokens"] = (307, {})
    api.moved["/v3/auth/tokens"] = f"{elsewhere.url}/v3/auth/tokens"
    with pytest.raises(WholecardError, match=f"redirects to {elsewhere.url}") as caught:
        connect("test", api.clouds, timeout=5)
    assert "auth_url" in caught.value.resolution
    assert elsewhere.asked == []


def test_redirected_discovery(api: Api, elsewhere: Api) -> None:
    """A version document that is read without a token may be elsewhere; the login may not."""
    api.answers["GET /v3"] = (302, {})
    api.moved["/v3"] = f"{elsewhere.url}/v3"
    connect("test", api.clouds, timeout=5)
    assert elsewhere.asked == ["GET /v3"]
    assert elsewhere.tokens == [""]
    assert "POST /v3/auth/tokens" in api.asked


PAGES: list[tuple[str, Callable[[str], object], Callable[[Connection], object]]] = [
    (SERVERS, lambda url: {"servers": [{"id": "1"}], "servers_links": [
        {"rel": "next", "href": f"{url}{SERVERS}?marker=1"}]}, _guests),
    ("/image/v2/images", lambda url: {
        "images": [{"id": "a"}], "next": f"{url}/image/v2/images?marker=a"}, images),
]  # fmt: skip


@pytest.mark.parametrize(("path", "page", "read"), PAGES)
def test_next_page(
    api: Api,
    elsewhere: Api,
    path: str,
    page: Callable[[str], object],
    read: Callable[[Connection], object],
) -> None:
    """A listing whose next page is elsewhere is an error, and no token goes there."""
    conn = connect("test", api.clouds, timeout=5)
    api.answers[f"GET {path}"] = (200, page(elsewhere.url))
    with pytest.raises(WholecardError):
        read(conn)
    assert elsewhere.asked == []


def test_next_page_is_named(api: Api, elsewhere: Api) -> None:
    """The message names the place of the next page, and nova's option for it."""
    conn = connect("test", api.clouds, timeout=5)
    api.answers[f"GET {SERVERS}"] = (200, PAGES[0][1](elsewhere.url))
    with pytest.raises(WholecardError, match=f"would go to {elsewhere.url}") as caught:
        _guests(conn)
    assert "compute_link_prefix" in caught.value.resolution


def test_pages_of_hypervisors(api: Api, elsewhere: Api) -> None:
    """Of a link between pages of hypervisors only the query is used."""
    conn = connect("test", api.clouds, timeout=5)
    link = {"rel": "next", "href": f"{elsewhere.url}/x?marker=1"}
    pages = iter([{"hypervisors": [], "hypervisors_links": [link]}, {"hypervisors": []}])
    api.answers[f"GET {COMPUTE}/os-hypervisors/detail"] = lambda: (200, next(pages))
    assert (hypervisors(conn), elsewhere.asked) == ((), [])


def test_override(api: Api, elsewhere: Api) -> None:
    """An endpoint that clouds.yaml names is one of the cloud's."""
    text = api.clouds.read_text()
    api.clouds.write_text(
        text.replace(
            "    region_name: R\n",
            f"    region_name: R\n    compute_endpoint_override: {elsewhere.url}{COMPUTE}\n",
        )
    )
    assert compute_services(connect("test", api.clouds, timeout=5)) == ()
    assert elsewhere.tokens[-1] == "token"


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("http://a", ("http", "a", 80)),
        ("HTTPS://A.example/x", ("https", "a.example", 443)),
        ("https://a:443/", ("https", "a", 443)),
        ("http://u:p@a:8774/v2.1", ("http", "a", 8774)),
        ("http://good@evil/", ("http", "evil", 80)),
        ("http://[::1]:5000/v3", ("http", "::1", 5000)),
        ("/v2.1/servers", None),
        ("http://a:port/", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_origin(url: str, known: tuple[str, str, int | None] | None) -> None:
    """Scheme, host and port decide; what has no host is no place."""
    assert origin(url) == known


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://u:p@a:443/v3", "https://a"),
        ("http://[::1]:5000/v3", "http://[::1]:5000"),
        ("nonsense", "an address without a host"),
    ],
)
def test_shown(url: str, text: str) -> None:
    """A message has the place alone: no password, no path."""
    assert shown(url) == text


def test_entry_urls() -> None:
    """Each URL of an entry counts, at any depth, and no other text."""
    entry = {"auth": {"auth_url": "http://k/v3", "username": "u"}, "x": [1], "y": "https://n"}
    assert list(entry_urls(entry)) == ["http://k/v3", "https://n"]
