"""Changes against an API that refuses: conflicts tried again, and what has to stay is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError, GoneError
from wholecard.cloud.operations.aggregates import CreateAggregate
from wholecard.cloud.operations.flavors import CreateFlavor, SetExtraSpecs
from wholecard.cloud.operations.traits import TRIES, CreateTrait, SetHostTraits
from wholecard.core.marks import MADE

if TYPE_CHECKING:
    from support.openstack_api import Answer, Api

TRAITS = "/placement/resource_providers/u/traits"
SET = SetHostTraits("h", "u", (("CUSTOM_A", None, "set"), ("CUSTOM_B", "set", None)))
FLAVORS = "/compute/v2.1/flavors/detail"
AGGREGATES = "/compute/v2.1/os-aggregates"


def provider_of(api: Api, conflicts: int) -> list[int]:
    """A provider that another one writes meanwhile so many times; its generations that were put."""
    generations = [7]

    def get() -> Answer:
        traits = ["CUSTOM_B", "HW_X"]
        return 200, {"resource_provider_generation": generations[-1], "traits": traits}

    def put() -> Answer:
        if len(generations) > conflicts:
            return 200, {}
        generations.append(generations[-1] + 1)
        return 409, {"errors": [{"detail": "generation conflict"}]}

    api.answers[f"GET {TRAITS}"] = get
    api.answers[f"PUT {TRAITS}"] = put
    return generations


@pytest.mark.parametrize("conflicts", [0, 1, TRIES - 1])
def test_traits_keep_others(api: Api, conflicts: int) -> None:
    """Traits are set beside those that others set, read anew after each conflict."""
    provider_of(api, conflicts)
    SET.put(connect("test", api.clouds), SET.state_after)
    last = [body for key, body in zip(api.asked, api.sent, strict=True) if key == f"PUT {TRAITS}"]
    assert len(last) == conflicts + 1
    assert json.loads(last[-1]) == {
        "resource_provider_generation": 7 + conflicts,
        "traits": ["CUSTOM_A", "HW_X"],
    }


def test_traits_give_up(api: Api) -> None:
    """A provider that changes each time is given up, in words."""
    provider_of(api, TRIES)
    with pytest.raises(CloudError, match=f"changed {TRIES} times"):
        SET.put(connect("test", api.clouds), SET.state_after)


@pytest.mark.parametrize(
    ("status", "note"),
    [(204, None), (404, None), (409, "trait CUSTOM_A stays: a provider has it")],
)
def test_a_trait_in_use_stays(api: Api, status: int, note: str | None) -> None:
    """A trait that a provider has stays, and that is told; one that is gone is well."""
    api.answers["DELETE /placement/traits/CUSTOM_A"] = (status, {})
    change = CreateTrait("CUSTOM_A")
    assert change.put(connect("test", api.clouds), change.state_before) == note


def aggregate(metadata: dict[str, str], *hosts: str) -> dict[str, Any]:
    return {"aggregates": [{"id": 1, "name": "g", "metadata": metadata, "hosts": hosts}]}


@pytest.mark.parametrize(
    ("there", "state"),
    [
        ({"aggregates": []}, None),
        (aggregate({"wholecard": "made", "k": "v"}, "a"), "made"),
        (aggregate({"availability_zone": "z"}), "half made"),
        (aggregate({"k": "v"}), "not ours"),
        (aggregate({}, "a"), "not ours"),
    ],
)
def test_whose_an_aggregate_is(api: Api, there: dict[str, Any], state: str | None) -> None:
    """An aggregate is ours by its mark, and may be when nothing is in it yet."""
    api.answers[f"GET {AGGREGATES}"] = (200, there)
    assert CreateAggregate("g", "z").look(connect("test", api.clouds)) == {"g": state}


def test_an_aggregate_in_use_stays(api: Api) -> None:
    """What is in an aggregate of ours keeps it, and that is told."""
    api.answers[f"GET {AGGREGATES}"] = (200, aggregate({"wholecard": "made", "k": "v"}, "a"))
    note = CreateAggregate("g").unmake(connect("test", api.clouds), None, half=False)
    assert note == "aggregate g stays: it has k, a"
    assert not [key for key in api.asked if key.startswith("DELETE")]


def test_a_flavor_that_is_gone(api: Api) -> None:
    """Extra specs of a flavor that somebody deleted are absent, and cannot be put."""
    api.answers[f"GET {FLAVORS}"] = (200, {"flavors": []})
    conn = connect("test", api.clouds)
    change = SetExtraSpecs("f", (("k", "1", "2"),))
    assert change.look(conn) == {"k": None}
    with pytest.raises(GoneError, match="the flavor f is gone"):
        change.put(conn, change.state_after)
    create = CreateFlavor("f", 1, 1, 0)
    assert create.look(conn) == create.state_before
    assert create.unmake(conn, None, half=False) is None


@pytest.mark.parametrize("missing", ["GET", "PUT"])
def test_a_provider_that_is_gone(api: Api, missing: str) -> None:
    """A provider that is gone, before or after its traits were read, is named with what to do."""
    provider_of(api, 0)
    api.answers[f"{missing} {TRAITS}"] = (404, {"errors": [{"detail": "No such provider"}]})
    with pytest.raises(GoneError, match="the provider of h is gone from Placement") as caught:
        SET.put(connect("test", api.clouds), SET.state_after)
    assert "wait until Placement has its provider" in caught.value.resolution


@pytest.mark.parametrize(("ours", "made"), [(True, "f1"), (False, None), (None, None)])
def test_what_an_interrupted_run_had_made(api: Api, ours: bool | None, made: str | None) -> None:
    """After an interruption an object of ours is known by its mark; another's is never taken."""
    rows = [] if ours is None else [
        {"id": "f1", "name": "f", "ram": 1, "vcpus": 1, "disk": 1, "links": [], "extra_specs": {},
         "description": MADE if ours else "another's", "os-flavor-access:is_public": True}
    ]  # fmt: skip
    groups = [] if ours is None else [
        {"id": 7, "name": "f", "metadata": {"wholecard": "made"} if ours else {}, "hosts": []}
    ]  # fmt: skip
    api.answers[f"GET {FLAVORS}"] = (
        200, {"flavors": rows},
    )  # fmt: skip
    api.answers[f"GET {AGGREGATES}"] = (200, {"aggregates": groups})
    conn = connect("test", api.clouds)
    assert CreateFlavor("f", 1, 1, 1).made(conn) == made
    assert CreateAggregate("f").made(conn) == (made and "7")
