"""Quotas of nova's own, and Keystone's limits: what is read of them, and what is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.openstack_api import offer_keystone
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.operations.quotas import (
    LimitPlace,
    RegisteredLimit,
    RegisterLimit,
    SetLimit,
    SetQuota,
    limit_place,
    read_limits,
    read_quota,
    read_registered,
)
from wholecard.core.marks import MADE

if TYPE_CHECKING:
    from support.openstack_api import Api

QUOTA = "/compute/v2.1/os-quota-sets/P"
LIMITS, REGISTERED = "/v3/limits", "/v3/registered_limits"
PLACE = LimitPlace("s", "R")


def limit(number: str, resource: str, **other: Any) -> dict[str, Any]:
    return {
        "id": number, "service_id": "s", "region_id": "R", "project_id": "P", "domain_id": None,
        "resource_name": resource, "default_limit": 4, "resource_limit": 5, "description": MADE,
        **other,
    }  # fmt: skip


def writes(api: Api) -> list[tuple[str, Any]]:
    """Each request that changes something, with its body."""
    return [
        (key, json.loads(body) if body else None)
        for key, body in zip(api.asked, api.sent, strict=True)
        if key.split()[0] != "GET" and not key.endswith("/auth/tokens")
    ]


def test_what_a_quota_is(api: Api) -> None:
    """A project's quotas are the numbers of nova's answer, or of its defaults."""
    api.answers[f"GET {QUOTA}"] = (200, {"quota_set": {"id": "P", "cores": 8, "ram": -1}})
    api.answers[f"GET {QUOTA}/defaults"] = (200, {"quota_set": {"id": 1, "cores": 20}})
    conn = connect("test", api.clouds)
    assert read_quota(conn, "P") == {"cores": 8, "ram": -1}
    assert read_quota(conn, "P", defaults=True) == {"cores": 20}


@pytest.mark.parametrize("default", [True, False])
def test_a_default_is_set_when_it_is_undone(api: Api, default: bool) -> None:
    """nova cannot unset one quota: a former default becomes the project's own, and that is told."""
    api.answers[f"PUT {QUOTA}"] = (200, {"quota_set": {}})
    conn = connect("test", api.clouds)
    change = SetQuota("p", "P", default, (("cores", "20", "8"),))
    assert change.put(conn, change.state_after) is None
    note = change.put(conn, change.state_before)
    assert note == (
        "quotas of p: cores set to the former default values; nova cannot unset single quotas"
        if default
        else None
    )
    assert writes(api) == [
        (f"PUT {QUOTA}", {"quota_set": {"cores": 8, "force": True}}),
        (f"PUT {QUOTA}", {"quota_set": {"cores": 20, "force": True}}),
    ]


@pytest.mark.parametrize(
    ("regions", "place"),
    [
        ((), PLACE),
        ((None,), LimitPlace("s", None)),
        (("R",), PLACE),
        ((None, "R"), PLACE),
    ],
)  # fmt: skip
def test_where_limits_are(api: Api, regions: tuple[str | None, ...], place: LimitPlace) -> None:
    """Limits are those of nova's service in the region; in none where all so far have none."""
    offer_keystone(api)
    services = [{"id": "g", "type": "image"}, {"id": "s", "type": "compute"}]
    rows = [limit(str(at), "x", region_id=region) for at, region in enumerate(regions)]
    api.answers["GET /v3/services"] = (200, {"services": services, "links": {}})
    api.answers[f"GET {REGISTERED}"] = (200, {"registered_limits": rows, "links": {}})
    assert limit_place(connect("test", api.clouds)) == place


def test_a_keystone_without_nova(api: Api) -> None:
    """Without a service of type compute there is no place for nova's limits, and that is told."""
    offer_keystone(api)
    api.answers["GET /v3/services"] = (200, {"services": [], "links": {}})
    with pytest.raises(CloudError, match="no service of type compute"):
        limit_place(connect("test", api.clouds))


def test_whose_limits_are_read(api: Api) -> None:
    """Limits of other regions and other projects, which an administrator sees, are not read."""
    offer_keystone(api)
    rows = [
        limit("1", "class:X"),
        limit("2", "class:Y", description="by a colleague"),
        limit("3", "class:X", region_id=None, default_limit=7, resource_limit=7),
    ]
    other = limit("4", "class:X", project_id="Q", resource_limit=8)
    api.answers[f"GET {REGISTERED}"] = (200, {"registered_limits": rows, "links": {}})
    api.answers[f"GET {LIMITS}"] = (200, {"limits": [*rows, other], "links": {}})
    conn = connect("test", api.clouds)
    assert read_limits(conn, "P", PLACE) == {"class:X": 5, "class:Y": 5}
    assert read_registered(conn, PLACE) == {
        "class:X": RegisteredLimit("class:X", 4, ours=True),
        "class:Y": RegisteredLimit("class:Y", 4, ours=False),
    }
    look = RegisterLimit("class:X", 4, "s", "R").look(conn)
    assert look == {"class:X": "4, made by Wholecard"}
    assert RegisterLimit("class:Y", 4, "s", "R").look(conn) == {"class:Y": "4"}
    assert RegisterLimit("class:Z", 4, "s", "R").look(conn) == {"class:Z": None}


def test_limits_are_created_and_changed(api: Api) -> None:
    """A limit that is there is changed by its id; another one is created with our mark."""
    offer_keystone(api)
    api.answers[f"GET {LIMITS}"] = (200, {"limits": [limit("1", "class:X")], "links": {}})
    api.answers[f"PATCH {LIMITS}/1"] = (200, {"limit": limit("1", "class:X")})
    api.answers[f"POST {LIMITS}"] = (201, {"limits": [limit("2", "class:Y")]})
    api.answers[f"POST {REGISTERED}"] = (201, {"registered_limits": [limit("3", "class:Z")]})
    conn = connect("test", api.clouds)
    change = SetLimit("p", "P", "s", "R", (("class:X", "5", "6"), ("class:Y", None, "2")))
    assert change.look(conn) == {"class:X": "5", "class:Y": None}
    assert change.put(conn, change.state_after) is None
    register = RegisterLimit("class:Z", 0, "s", "R")
    assert register.put(conn, register.state_after) is None
    where = {"service_id": "s", "region_id": "R", "description": MADE}
    assert [
        (key, body.get("limit") or (body.get("limits") or body["registered_limits"])[0])
        for key, body in writes(api)
    ] == [
        (f"PATCH {LIMITS}/1", {"resource_limit": 6}),
        (f"POST {LIMITS}",
         {**where, "project_id": "P", "resource_name": "class:Y", "resource_limit": 2}),
        (f"POST {REGISTERED}", {**where, "resource_name": "class:Z", "default_limit": 0}),
    ]  # fmt: skip
