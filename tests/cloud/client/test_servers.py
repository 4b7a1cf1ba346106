"""A server that is booted: what nova is sent, which states are seen, and how it ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.servers import ServerTimeoutError, boot, delete_and_wait

if TYPE_CHECKING:
    from support.openstack_api import Answer, Api

COMPUTE = "/compute/v2.1"
SERVER = f"{COMPUTE}/servers/s1"
FLAVOR = {"id": "f1", "name": "gpu", "ram": 1, "vcpus": 1, "disk": 1, "links": []}
ADMIN = {"OS-EXT-SRV-ATTR:host": "a", "OS-EXT-SRV-ATTR:hypervisor_hostname": "a.example"}


def nova_of(api: Api, *states: dict[str, Any]) -> None:
    """A nova that has the flavor, a Glance that has the image, and a server's states in turn."""
    left = list(states)

    def get() -> Answer:
        now = left.pop(0) if len(left) > 1 else left[0]
        return 200, {"server": {"id": "s1", "name": "s", "fault": None, **now}}

    api.answers |= {
        f"GET {COMPUTE}/flavors/f1": (200, {"flavor": FLAVOR}),
        "GET /image/v2/images/i1": (200, {"id": "i1", "name": "guest", "status": "active"}),
        f"POST {COMPUTE}/servers": (202, {"server": {"id": "s1", "links": []}}),
        f"GET {SERVER}": get,
    }


def state(status: str, task: str | None = None, **more: Any) -> dict[str, Any]:
    return {"status": status, "OS-EXT-STS:task_state": task, **more}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wholecard.core.waiting.time.sleep", lambda _: None)


def test_a_server_that_runs(api: Api) -> None:
    """Each state is told once, with its task; the host is named where nova tells it."""
    building = state("BUILD", "scheduling")
    nova_of(api, building, building, state("BUILD", "spawning"), state("ACTIVE", **ADMIN))
    states: list[str] = []
    seen = boot(
        connect("test", api.clouds), "s", "f1", "i1", 60,
        on_state=lambda name, _: states.append(name),
    )  # fmt: skip
    assert states == ["BUILD/scheduling", "BUILD/spawning", "ACTIVE"]
    assert [row.state for row in seen.states] == ["REQUEST", *states]
    assert seen.seconds == pytest.approx(sum(row.seconds for row in seen.states))
    assert (seen.id, seen.name, seen.status, seen.fault) == ("s1", "s", "ACTIVE", "")
    assert (seen.host, seen.hypervisor_hostname) == ("a", "a.example")
    (body,) = [body for key, body in zip(api.asked, api.sent, strict=True)
               if key == f"POST {COMPUTE}/servers"]  # fmt: skip
    assert json.loads(body)["server"] == {
        "name": "s", "flavorRef": "f1", "imageRef": "i1", "networks": "none",
    }  # fmt: skip


def test_a_server_that_is_refused(api: Api) -> None:
    """An ERROR is an outcome with nova's message, and no host."""
    nova_of(api, state("ERROR", fault={"message": "No valid host was found.", "code": 500}))
    seen = boot(connect("test", api.clouds), "s", "f1", "i1", 60)
    assert (seen.status, seen.host, seen.fault) == ("ERROR", None, "No valid host was found.")


def test_an_old_fault_of_a_server_that_runs(api: Api) -> None:
    """The fault of something that was tried before is no fault of a server that is ACTIVE."""
    nova_of(api, state("ACTIVE", fault={"message": "of yesterday", "code": 500}))
    assert boot(connect("test", api.clouds), "s", "f1", "i1", 60).fault == ""


def test_a_server_that_does_not_come(api: Api) -> None:
    """Out of time it is named with its last state and its id, and it is not deleted."""
    nova_of(api, state("BUILD", "spawning"))
    with pytest.raises(ServerTimeoutError, match="not within 0 s") as caught:
        boot(connect("test", api.clouds), "s", "f1", "i1", 0)
    assert caught.value.details == "It is BUILD/spawning. Server: s1"
    assert caught.value.server_id == "s1"
    assert not [key for key in api.asked if key.startswith("DELETE")]


@pytest.mark.parametrize("missing", [f"{COMPUTE}/flavors/f1", "/image/v2/images/i1"])
def test_no_such_flavor_or_image(api: Api, missing: str) -> None:
    """A flavor or image that does not exist is an error, and no server is created."""
    nova_of(api, state("ACTIVE"))
    del api.answers[f"GET {missing}"]
    api.answers[f"GET {COMPUTE}/flavors"] = (200, {"flavors": []})
    api.answers["GET /image/v2/images"] = (200, {"images": []})
    with pytest.raises(CloudError):
        boot(connect("test", api.clouds), "s", "f1", "i1", 60)
    assert f"POST {COMPUTE}/servers" not in api.asked


def test_a_deletion_that_ended_in_error_is_asked_for_again(api: Api) -> None:
    """nova-compute that did not reach Placement leaves a server in ERROR; the next one works."""
    deletions = 0

    def deleted() -> Answer:
        nonlocal deletions
        deletions += 1
        return 204, {}

    def get() -> Answer:
        if deletions > 1:
            return 404, {"itemNotFound": {"message": "gone"}}
        return 200, {"server": {"id": "s1", "name": "s", "fault": None, **state("ERROR")}}

    api.answers |= {f"DELETE {SERVER}": deleted, f"GET {SERVER}": get}
    delete_and_wait(connect("test", api.clouds), "s1", 60)
    assert deletions == 2
