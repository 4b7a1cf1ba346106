"""Waiting: for a value, for a server's end, for a console's text, for providers."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from wholecard.cloud.client.compute_services import wait_for_compute
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.servers import (
    StateSeconds,
    console,
    delete_and_wait,
    durations,
    wait_for_console,
)
from wholecard.cloud.client.waiting import MIN_INTERVAL, WaitTimeoutError, wait_until
from wholecard.cloud.placement.resource_providers import (
    Allocation,
    allocations,
    providers,
    wait_for_providers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.openstack_api import Answer, Api

SERVER = "/compute/v2.1/servers/s1"
MISSING: Answer = (404, {"itemNotFound": {"message": "no", "code": 404}})


def server(status: str) -> Answer:
    """nova's answer about a server of that status."""
    return 200, {"server": {"id": "s1", "name": "s", "status": status, "fault": {"message": "f"}}}


def in_turn(*answers: Answer) -> Callable[[], Answer]:
    """The answers one after the other, then the last again and again."""
    number = count()
    return lambda: answers[min(next(number), len(answers) - 1)]


def test_the_value_is_returned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A condition that holds already costs no pause, not even with no time left."""
    pauses: list[float] = []
    monkeypatch.setattr("wholecard.core.waiting.time.sleep", pauses.append)
    assert wait_until("x", lambda: 7, 0) == 7
    assert pauses == []


def test_false_is_a_value() -> None:
    """Only None means "not yet"."""
    assert wait_until("x", lambda: False, 0) is False


def test_polling_is_never_faster_than_the_minimum() -> None:
    """However small the interval asked for, there are at least 0.3 s between two probes."""
    at: list[float] = []

    def probe() -> bool | None:
        at.append(time.monotonic())
        return True if len(at) == 3 else None

    wait_until("x", probe, 5, interval=0.001)
    assert at[1] - at[0] >= MIN_INTERVAL * 0.9
    assert at[2] - at[1] >= MIN_INTERVAL * 0.9


def test_time_out_says_what_was_seen() -> None:
    """The error has the awaited thing, the time, what was there, and what to do."""
    seen = []
    with pytest.raises(WaitTimeoutError) as caught:
        wait_until("the thing", lambda: seen.append(1), 0.4, last=lambda: "red", resolution="do")
    assert str(caught.value) == "the thing: not within 0.4 s\nred\nResolution: do"
    assert len(seen) >= 2


LATE, BUSY = CloudError("no answer in time"), CloudError("busy", http_status=503)


@pytest.mark.parametrize("error", [LATE, BUSY])
def test_one_answer_that_does_not_come(error: CloudError) -> None:
    """Once the cloud has answered, an answer that does not come is asked for again."""
    answers: list[int | CloudError | None] = [None, error, error, 7]

    def probe() -> int | None:
        answer = answers.pop(0)
        if isinstance(answer, CloudError):
            raise answer
        return answer

    assert wait_until("x", probe, 60) == 7


@pytest.mark.parametrize(
    ("before", "error", "patience"),
    [
        ([], LATE, 120.0),
        ([None], CloudError("forbidden", http_status=403), 120.0),
        ([None], WaitTimeoutError("within", http_status=None), 120.0),
        ([None], LATE, 0.0),
    ],
    ids=["the first", "an answer", "another wait", "for too long"],
)
def test_errors_that_end_the_waiting(
    monkeypatch: pytest.MonkeyPatch, before: list[None], error: CloudError, patience: float
) -> None:
    """A cloud that never answered, an answer, and one that is away for long end the waiting."""
    monkeypatch.setattr("wholecard.cloud.client.waiting.UNANSWERED_SECONDS", patience)

    def probe() -> int | None:
        if before:
            return before.pop()
        raise error

    with pytest.raises(CloudError) as caught:
        wait_until("x", probe, 60)
    assert caught.value is error


def test_durations() -> None:
    """Each state lasts until the next was entered, the last until the end."""
    assert durations([("A", 0.0), ("B", 2.0)], 5.0) == (
        StateSeconds("A", 2.0),
        StateSeconds("B", 3.0),
    )


def test_delete_waits_until_nova_knows_it_no_more(api: Api) -> None:
    """A deletion is over when the server's page is gone, not when the request was taken."""
    api.answers[f"DELETE {SERVER}"] = (204, {})
    api.answers[f"GET {SERVER}"] = in_turn(server("ACTIVE"), server("DELETED"), MISSING)
    delete_and_wait(connect("test", api.clouds), "s1", timeout=10)
    assert api.asked.count(f"GET {SERVER}") == 3


def test_deleting_what_is_gone_is_well(api: Api) -> None:
    """A server that is not there needs no deletion."""
    delete_and_wait(connect("test", api.clouds), "s1", timeout=1)


def test_delete_times_out(api: Api) -> None:
    """A server that stays is an error that says in which state it is."""
    api.answers[f"DELETE {SERVER}"] = (204, {})
    api.answers[f"GET {SERVER}"] = server("ACTIVE")
    with pytest.raises(WaitTimeoutError, match="It is ACTIVE"):
        delete_and_wait(connect("test", api.clouds), "s1", timeout=0.4)


def test_console_that_is_not_there_yet(api: Api) -> None:
    """A server without a console yet has an empty one; no server is an error."""
    conn = connect("test", api.clouds)
    api.answers[f"POST {SERVER}/action"] = (409, {"conflictingRequest": {"message": "not ready"}})
    api.answers[f"GET {SERVER}"] = server("BUILD")
    assert console(conn, "s1") == ""
    api.answers[f"GET {SERVER}"] = MISSING
    with pytest.raises(CloudError) as caught:
        console(conn, "s1")
    assert caught.value.http_status == 404


def test_console_is_told_as_it_grows(api: Api) -> None:
    """`on_text` gets each new part once, and the whole text comes back."""
    texts = [(200, {"output": text}) for text in ("", "boot\n", "boot\nready\n")]
    api.answers[f"POST {SERVER}/action"] = in_turn(*texts)
    api.answers[f"GET {SERVER}"] = server("ACTIVE")
    told: list[str] = []
    conn = connect("test", api.clouds)
    text = wait_for_console(conn, "s1", lambda t: "ready" in t, 10, on_text=told.append)
    assert text == "boot\nready\n"
    assert told == ["boot\n", "ready\n"]


def test_a_busy_compute_is_asked_again_for_the_console(api: Api) -> None:
    """A console that nova could not get in time (HTTP 500) does not end the waiting."""
    late = (500, {"computeFault": {"message": "MessagingTimeout"}})
    api.answers[f"POST {SERVER}/action"] = in_turn(late, (200, {"output": "ready\n"}))
    api.answers[f"GET {SERVER}"] = server("ACTIVE")
    text = wait_for_console(connect("test", api.clouds), "s1", lambda t: "ready" in t, 10)
    assert text == "ready\n"


def test_console_of_a_broken_server_is_not_awaited(api: Api) -> None:
    """When the server is in ERROR the waiting ends at once, with nova's reason."""
    api.answers[f"POST {SERVER}/action"] = (200, {"output": ""})
    api.answers[f"GET {SERVER}"] = server("ERROR")
    with pytest.raises(CloudError, match="is in ERROR") as caught:
        wait_for_console(connect("test", api.clouds), "s1", lambda _: False, 60)
    assert caught.value.details == "f"


def test_compute_is_there_with_its_hypervisor(api: Api) -> None:
    """ "Up" is not enough: the hypervisor has to be listed."""
    service = {"binary": "nova-compute", "host": "node1", "state": "up", "status": "enabled"}
    hypervisor = {
        "id": "h1", "hypervisor_hostname": "node1.local", "state": "up", "status": "enabled",
        "service": {"host": "node1", "id": "x"},
    }  # fmt: skip
    down: Answer = (200, {"services": [{**service, "state": "down"}]})
    api.answers["GET /compute/v2.1/os-services"] = in_turn(down, (200, {"services": [service]}))
    api.answers["GET /compute/v2.1/os-hypervisors/detail"] = in_turn(
        (200, {"hypervisors": []}), (200, {"hypervisors": [hypervisor]})
    )
    found = wait_for_compute(connect("test", api.clouds), "node1", timeout=10)
    assert (found.id, found.hostname) == ("h1", "node1.local")
    assert api.asked.count("GET /compute/v2.1/os-services") == 3


def test_compute_that_never_comes(api: Api) -> None:
    """The time-out says whether the service or its hypervisor is what was missing."""
    api.answers["GET /compute/v2.1/os-services"] = (200, {"services": []})
    with pytest.raises(WaitTimeoutError, match="nova has no such service"):
        wait_for_compute(connect("test", api.clouds), "node1", timeout=0)


ONE = {"total": 1, "reserved": 0, "allocation_ratio": 1.0, "max_unit": 1}


def placement_of(api: Api, used: int) -> None:
    """One provider with one card, so much of it used."""
    row = {
        "uuid": "u1", "name": "node1_0000:01:00.0",
        "parent_provider_uuid": "r", "root_provider_uuid": "r",
    }  # fmt: skip
    path = "GET /placement/resource_providers"
    api.answers[path] = (200, {"resource_providers": [row]})
    card = "CUSTOM_PCI_1002_5046"
    api.answers[f"{path}/u1/inventories"] = (
        200,
        {
            "inventories": {
                card: {"total": 1, "reserved": 0, "allocation_ratio": 1.0, "max_unit": 1}
            }
        },
    )
    api.answers[f"{path}/u1/usages"] = (200, {"usages": {card: used}})
    api.answers[f"{path}/u1/traits"] = (200, {"traits": ["COMPUTE_MANAGED_PCI_DEVICE"]})


def test_providers(api: Api) -> None:
    """A provider comes with its parent, inventories, usages and traits."""
    placement_of(api, used=1)
    (provider,) = providers(connect("test", api.clouds))
    inventory = provider.inventory("CUSTOM_PCI_1002_5046")
    assert inventory is not None
    assert (inventory.total, inventory.reserved, inventory.used) == (1, 0, 1)
    assert provider.parent_uuid == "r"
    assert provider.traits == {"COMPUTE_MANAGED_PCI_DEVICE"}
    assert provider.inventory("VCPU") is None


def test_a_provider_that_goes_meanwhile_is_left_out(api: Api) -> None:
    """A provider deleted between the list and its inventories is no error."""
    placement_of(api, used=0)
    api.answers["GET /placement/resource_providers/u1/usages"] = MISSING
    assert providers(connect("test", api.clouds)) == ()


def test_waiting_for_providers_lists_what_was_there(api: Api) -> None:
    """The time-out lists each provider with what it has and how much of it is used."""
    placement_of(api, used=1)
    with pytest.raises(WaitTimeoutError) as caught:
        wait_for_providers(connect("test", api.clouds), lambda found: len(found) == 2, 0)
    assert caught.value.details == "node1_0000:01:00.0: CUSTOM_PCI_1002_5046 1/1"


def test_allocations(api: Api) -> None:
    """A consumer's allocations come one for each provider and class."""
    held = {"u1": {"resources": {"CUSTOM_PCI_1002_5046": 1}, "generation": 3}}
    api.answers["GET /placement/allocations/s1"] = (200, {"allocations": held})
    found = allocations(connect("test", api.clouds), "s1")
    assert found == (Allocation("u1", "CUSTOM_PCI_1002_5046", 1),)
