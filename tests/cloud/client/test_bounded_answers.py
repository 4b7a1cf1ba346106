"""Answers that are too large, too slow, or never end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from support.openstack_objects import COMPUTE
from wholecard.cloud.client import bounded_answers
from wholecard.cloud.client.bounded_answers import BoundedAdapter, within
from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.endpoint_origins import EndpointOrigins
from wholecard.cloud.client.errors import CloudError
from wholecard.core import WholecardError
from wholecard.explain.evidence.from_cloud import _guests
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.explain.evidence.server import request_of
from wholecard.nova.flavor.server_request import ServerRequest

if TYPE_CHECKING:
    from support.openstack_api import Api

SERVICES = f"GET {COMPUTE}/os-services"


def test_too_large(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is read up to the limit and no further."""
    conn = connect("test", api.clouds, timeout=5)
    api.answers[SERVICES] = (200, {"services": [], "x": "y" * 100_000})
    assert compute_services(conn) == ()
    monkeypatch.setattr(bounded_answers, "LARGEST", 10_000)
    with pytest.raises(WholecardError, match="is larger than"):
        compute_services(conn)


def test_too_slow(api: Api) -> None:
    """An answer that comes in pieces for longer than it may is a time-out."""
    conn = connect("test", api.clouds, timeout=5)
    conn.session.session.mount("http://", BoundedAdapter(-1.0, EndpointOrigins(conn)))
    api.answers[SERVICES] = (200, {"services": []})
    with pytest.raises(CloudError, match="no answer in time"):
        compute_services(conn)


def test_time_is_over(api: Api) -> None:
    """When the time for all of an answer is over, no further page is asked for."""
    conn = connect("test", api.clouds, timeout=5)
    asked = len(api.asked)
    with within(-1), within(60), pytest.raises(CloudError, match="no answer in time"):
        compute_services(conn)
    assert len(api.asked) == asked


def test_pages_without_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing whose every page names a next one ends with the time for all of it."""
    monkeypatch.setattr("wholecard.cloud.client.errors.within", lambda: within(0.5))
    conn = connect("test", api.clouds, timeout=5)
    pages = iter(range(10**9))

    def page() -> tuple[int, object]:
        link = {"rel": "next", "href": f"{api.url}{COMPUTE}/servers/detail?marker={next(pages)}"}
        return 200, {"servers": [{"id": str(next(pages))}], "servers_links": [link]}

    api.answers[f"GET {COMPUTE}/servers/detail"] = page
    with pytest.raises(CloudError, match="no answer in time"):
        _guests(conn)


ODD: list[object] = [
    [], ["x"], None, 5, "text", {"flavor": None}, {"flavor": []}, {"flavors": [None]},
    {"flavors": ["x"]}, {"flavors": 5}, {"flavor": {"id": None, "name": 5, "vcpus": "x"}},
    {"flavor": {"id": "f", "name": "f", "extra_specs": ["x"]}},
]  # fmt: skip


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("status", [200, 500])
def test_odd_flavor(api: Api, body: object, status: int) -> None:
    """Whatever is in a flavor's answer, no other error than ours comes of it."""
    conn = connect("test", api.clouds, timeout=5)
    for path in ("flavors/f", "flavors", "flavors/detail", "flavors/f/os-extra_specs"):
        api.answers[f"GET {COMPUTE}/{path}"] = (status, body)
    with suppress(WholecardError):
        request_of(conn, ServerSelector(flavor="f"), None, ServerRequest("", "", {}))
