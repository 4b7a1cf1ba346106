"""Placement's API as records: the same as its database gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from support.openstack_api import Api, serving
from wholecard.audit.record import ConsumerAllocation
from wholecard.audit.views.placement_api import PlacementApi
from wholecard.audit.views.placement_view import Holdings
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.placement.provider_tree import Inventory

CARD = "CUSTOM_PCI_10DE_2330"
HOSTS = ("gpu-01", "gpu-02")


def inventory(total: int, reserved: int = 0) -> dict[str, Any]:
    return {"total": total, "reserved": reserved, "allocation_ratio": 1.0, "max_unit": total,
            "min_unit": 1, "step_size": 1}  # fmt: skip


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Two hosts of one card each; `s1` holds the first's, `m1` something of both, share is none."""
    with serving(tmp_path) as found:
        providers = [
            ("r1", "gpu-01", None), ("c1", "gpu-01_0000:41:00.0", "r1"), ("r2", "gpu-02", None),
            ("c2", "gpu-02_0000:41:00.0", "r2"), ("x", "share", None),
        ]  # fmt: skip
        rows = [
            {"uuid": uuid, "name": name, "generation": 1, "parent_provider_uuid": parent,
             "root_provider_uuid": parent or uuid}
            for uuid, name, parent in providers
        ]  # fmt: skip
        having = {"COMPUTE_MANAGED_PCI_DEVICE": ["c1", "c2"], "HW_CPU_X86_VMX": ["r1", "r2"]}
        held = {"r1": {"s1": {"VCPU": 4}, "m1": {"VCPU": 2}}, "c1": {"s1": {CARD: 1}},
                "r2": {"m1": {"VCPU": 2}}, "c2": {}, "x": {"s1": {"DISK_GB": 5}}}  # fmt: skip
        found.answers |= {
            "GET /placement/traits": (200, {"traits": sorted(having)}),
        }

        def listed() -> Any:
            (trait,) = parse_qs(found.queries[-1]).get("required", [""])
            some = [row for row in rows if not trait or row["uuid"] in having[trait]]
            return 200, {"resource_providers": some}

        found.answers["GET /placement/resource_providers"] = listed
        for uuid, consumers in held.items():
            path = f"GET /placement/resource_providers/{uuid}"
            found.answers[f"{path}/inventories"] = (
                200,
                {
                    "inventories": {CARD: inventory(1)}
                    if uuid[0] == "c"
                    else {"VCPU": inventory(64)}
                },
            )
            found.answers[f"{path}/allocations"] = (
                200,
                {
                    "resource_provider_generation": 7,
                    "allocations": {
                        name: {"resources": amounts, "consumer_generation": 3}
                        for name, amounts in consumers.items()
                    },
                },
            )
        for consumer in ("s1", "m1"):
            found.answers[f"GET /placement/allocations/{consumer}"] = 200, {
                "allocations": {
                    uuid: {"resources": amounts[consumer]}
                    for uuid, amounts in held.items() if consumer in amounts
                }
            }  # fmt: skip
        yield found


def opened(api: Api) -> PlacementApi:
    # One request after the other, so that the fake server's answers have an order.
    return PlacementApi(connect("test", api.clouds), pauses=(0.0, 0.0), jobs=1)


def test_tree(api: Api) -> None:
    """A host's tree has inventories, usages, traits and generations, and what consumers hold."""
    found = opened(api).trees(HOSTS)
    assert sorted(found) == ["gpu-01", "gpu-02"]
    tree = found["gpu-01"].tree
    assert (tree.root.name, tree.root.generation) == ("gpu-01", 7)
    assert tree.root.traits == {"HW_CPU_X86_VMX"}
    assert tree.root.inventories == (Inventory("VCPU", 64, 0, 6, 1.0, 64),)
    (card,) = tree.below
    assert (card.uuid, card.parent_uuid, card.root_uuid) == ("c1", "r1", "r1")
    assert card.traits == {"COMPUTE_MANAGED_PCI_DEVICE"}
    assert card.inventories == (Inventory(CARD, 1, 0, 1, 1.0, 1),)
    assert ConsumerAllocation("s1", "c1", CARD, 1, consumer_generation=3) in (
        found["gpu-01"].allocations
    )
    assert found["gpu-02"].tree.below[0].inventories == (Inventory(CARD, 1, 0, 0, 1.0, 1),)


def test_holdings(api: Api) -> None:
    """Consumers and the hosts of those that hold on two; what was read for it is not read again."""
    placement = opened(api)
    assert placement.holdings(HOSTS, HOSTS) == Holdings(
        frozenset({"s1", "m1"}), {"m1": frozenset(HOSTS)}
    )
    asked = len(api.asked)
    placement.trees(["gpu-01"])
    assert not [key for key in api.asked[asked:] if "allocations" in key or "inventories" in key]


def test_holdings_of_chosen(api: Api) -> None:
    """With some hosts chosen, each consumer there is asked for: it may hold more elsewhere."""
    assert opened(api).holdings(HOSTS[1:], HOSTS) == Holdings(
        frozenset({"m1"}), {"m1": frozenset(HOSTS)}
    )
    assert "GET /placement/allocations/s1" not in api.asked


def test_vanished(api: Api) -> None:
    """A provider that is deleted meanwhile is left out; a host whose root is, too."""
    gone = (404, {"errors": [{"status": 404, "detail": "gone"}]})
    api.answers["GET /placement/resource_providers/c1/allocations"] = gone
    api.answers["GET /placement/resource_providers/r2/inventories"] = gone
    found = opened(api).trees(HOSTS)
    assert sorted(found) == ["gpu-01"]
    assert found["gpu-01"].tree.below == ()


def test_overloaded(api: Api) -> None:
    """503 is tried again, and is an error where it does not end."""
    answers = iter([503, 503, 200])
    good = api.answers["GET /placement/resource_providers/c1/allocations"]

    def sometimes() -> Any:
        return good if next(answers) == 200 else (503, {})

    api.answers["GET /placement/resource_providers/c1/allocations"] = sometimes
    assert opened(api).trees(["gpu-01"])["gpu-01"].tree.below
    api.answers["GET /placement/resource_providers/c2/allocations"] = (503, {})
    with pytest.raises(CloudError, match=r"gpu-02_0000:41:00.0: the service failed \(HTTP 503\)"):
        opened(api).trees(["gpu-02"])


def test_managed_hosts(api: Api) -> None:
    """Hosts with devices of nova's are known by the traits that nova sets; a share is none."""
    assert opened(api).managed_hosts() == set(HOSTS)
