"""Candidates queries, and a failed server, over HTTP: what becomes of each answer."""

from __future__ import annotations

from typing import Any

import pytest

from support.openstack_api import Api
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.failed_servers import disk_asked, failed_server
from wholecard.cloud.placement.allocation_candidates import (
    RequestGroup,
    candidates,
    candidates_query,
)

MACHINE = RequestGroup({"VCPU": 8, "MEMORY_MB": 16384}, frozenset({"A"}), frozenset({"B"}))
CARD = RequestGroup({"CUSTOM_PCI_10DE_2330": 1}, frozenset({"CUSTOM_X"}))
PATH = "GET /placement/allocation_candidates"


def test_a_query_as_nova_sends_it() -> None:
    """Groups have suffixes of their own, and more than one needs a policy."""
    assert candidates_query(MACHINE, (CARD, CARD), "u1") == (
        "/allocation_candidates?resources=MEMORY_MB:16384,VCPU:8&required=A,!B"
        "&resources_C0=CUSTOM_PCI_10DE_2330:1&required_C0=CUSTOM_X"
        "&resources_C1=CUSTOM_PCI_10DE_2330:1&required_C1=CUSTOM_X"
        "&group_policy=none&in_tree=u1&limit=1000"
    )
    assert (
        candidates_query(RequestGroup({"VCPU": 1}))
        == "/allocation_candidates?resources=VCPU:1&limit=1000"
    )


def test_candidates_are_counted(api: Api) -> None:
    """The answer has the number of candidates."""
    row: dict[str, Any] = {"allocations": {"root": {}, "card": {}}, "mappings": {}}
    api.answers[PATH] = (200, {"allocation_requests": [row, row], "provider_summaries": {}})
    answer = candidates(connect("test", api.clouds), candidates_query(MACHINE, (CARD,)))
    assert (answer.count, answer.error) == (2, "")


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        ((200, {"allocation_requests": [], "provider_summaries": {}}), 0),
        ((400, {"errors": [{"detail": "No such trait(s): CUSTOM_X."}]}), 0),
        ((503, {}), None),
    ],
)
def test_no_candidates(api: Api, reply: tuple[int, Any], count: int | None) -> None:
    """None found is 0, also where nothing has the trait; a service that fails is no answer."""
    api.answers[PATH] = reply
    assert candidates(connect("test", api.clouds), candidates_query(MACHINE)).count == count


def test_no_answer_in_time(api: Api) -> None:
    """A query that is not answered is what nova would meet, and no error of ours."""
    api.answers[PATH] = api.hang
    answer = candidates(connect("test", api.clouds, timeout=0.5), candidates_query(MACHINE))
    assert answer.count is None
    assert answer.error
    assert answer.seconds >= 0.5


def test_not_allowed(api: Api) -> None:
    """Who may not ask Placement is told so."""
    api.answers[PATH] = (403, {})
    with pytest.raises(CloudError) as caught:
        candidates(connect("test", api.clouds), candidates_query(MACHINE))
    assert caught.value.http_status == 403


def test_a_failed_server(api: Api) -> None:
    """Its flavor as it was made with, its fault, and the last words of each error's traceback."""
    flavor = {"original_name": "g1", "vcpus": 8, "ram": 16384, "disk": 40, "ephemeral": 0,
              "extra_specs": {"pci_passthrough:alias": "h100:1"}}  # fmt: skip
    server = {"id": "5d1f", "name": "s", "status": "ERROR", "flavor": flavor, "image": {"id": "i"},
              "fault": {"message": "No valid host was found. ", "code": 500},
              "OS-EXT-AZ:availability_zone": ""}  # fmt: skip
    claim = {"event": "compute__do_build_and_run_instance", "result": "Success", "host": "gpu-02"}
    event = {"event": "compute__do_build_and_run_instance", "result": "Error", "host": "gpu-01",
             "traceback": "Traceback ...\nnova.exception.ComputeResourcesUnavailable: Insufficient "
             "compute resources: Claim pci failed.\n"}  # fmt: skip
    action = {
        "action": "create",
        "request_id": "req-1",
        "instance_uuid": "5d1f",
        "events": [event, claim],
    }
    api.answers |= {
        "GET /compute/v2.1/servers/5d1f": (200, {"server": server}),
        "GET /compute/v2.1/servers/5d1f/os-instance-actions": (200, {"instanceActions": [action]}),
        "GET /compute/v2.1/servers/5d1f/os-instance-actions/req-1":
            (200, {"instanceAction": action}),
    }  # fmt: skip
    found = failed_server(connect("test", api.clouds), "5d1f")
    assert (found.flavor, found.disk_gb, found.zone) == ("g1", 40, None)
    assert found.extra_specs == {"pci_passthrough:alias": "h100:1"}
    assert found.fault == "No valid host was found. "
    assert found.tried == ("gpu-01", "gpu-02")
    assert [(each.host, each.message) for each in found.failures] == [
        ("gpu-01", "Insufficient compute resources: Claim pci failed.")
    ]


@pytest.mark.parametrize(
    ("sizes", "on_volume", "asked"),
    [((40, 0, 0), False, 40), ((40, 5, 1), False, 46), ((40, 5, 1024), False, 46),
     ((40, 5, 1025), False, 47), ((40, 0, 0), True, 0), ((40, 5, 512), True, 6)],
)  # fmt: skip
def test_disk_that_is_asked_for(sizes: tuple[int, int, int], on_volume: bool, asked: int) -> None:
    """Swap counts in whole GiB, rounded up; of a server on a volume the root disk does not."""
    assert disk_asked(*sizes, on_volume=on_volume) == asked
