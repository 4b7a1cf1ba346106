"""What `tuned` sets on a flavor, by release, by the flavor's own keys and by the hosts' facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from support.small_cloud import card
from support.small_cloud import facts as small
from support.tuned_site import facts
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.flavor_specs import derived_specs
from wholecard.nova.desired.tuned_flavors import tuned_site
from wholecard.site.model import Site

KINDS = {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}}
NEAR = {"gpu-01": facts()}
UNREPORTED = {"gpu-01": small([card("0000:41:00.0", -1)])}
CARD = {"cards": {"h100": 1}}
PINNED = {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large"}
ALL = PINNED | {"hw:emulator_threads_policy": "isolate", "hw:locked_memory": "true"}


def specs(flavor: Mapping[str, Any], series: str, hosts: Mapping[str, Host]) -> dict[str, str]:
    """The extra specs of a tuned flavor, without its alias."""
    whole = {"ram": 16384, "vcpus": 16, "tuned": True, **flavor}
    made = Site.model_validate(
        {"release": series, "cards": KINDS, "hosts": {"gpu-01": {}}, "flavors": {"f": whole}}
    )
    found = derived_specs(tuned_site(made, hosts, release(series)).flavors["f"])
    return {key: value for key, value in found.items() if key != "pci_passthrough:alias"}


def near(nodes: int) -> dict[str, str]:
    return {"hw:numa_nodes": str(nodes), "hw:pci_numa_affinity_policy": "required"}


PREFERRED = {"hw:pci_numa_affinity_policy": "preferred"}


@pytest.mark.parametrize(
    ("flavor", "series", "hosts", "expected"),
    [
        ({}, "2026.2", {}, ALL),
        ({}, "yoga", {}, PINNED | {"hw:emulator_threads_policy": "isolate"}),
        ({}, "ocata", {}, PINNED),
        (CARD, "train", NEAR, PINNED | {"hw:emulator_threads_policy": "isolate",
                                        "hw:numa_nodes": "1"}),
        (CARD, "2026.2", {}, ALL | PREFERRED),
        (CARD, "2026.2", NEAR, ALL | near(1)),
        ({"cards": {"h100": 4}}, "2026.2", NEAR, ALL | near(1)),
        ({"cards": {"h100": 5}}, "2026.2", NEAR, ALL | near(2)),
        # 96 CPUs and one for the emulator do not fit one node; 15 do not divide by two.
        ({**CARD, "vcpus": 96}, "2026.2", NEAR, ALL | near(2)),
        ({"cards": {"h100": 5}, "vcpus": 15}, "2026.2", NEAR, ALL | PREFERRED),
        (CARD, "2026.2", UNREPORTED, ALL | PREFERRED),
        ({"cards": {"h100": 5}, "numa_nodes": 1}, "2026.2", NEAR,
         ALL | PREFERRED | {"hw:numa_nodes": "1"}),
        ({**CARD, "numa_policy": "socket"}, "2026.2", NEAR,
         ALL | {"hw:numa_nodes": "1", "hw:pci_numa_affinity_policy": "socket"}),
        ({"cpu_policy": "shared"}, "2026.2", {},
         {"hw:cpu_policy": "shared", "hw:mem_page_size": "large", "hw:locked_memory": "true"}),
        ({"extra_specs": {"hw:cpu_policy": "shared"}}, "2026.2", {},
         {"hw:mem_page_size": "large", "hw:locked_memory": "true"}),
        ({"hugepages": "1G", "locked_memory": False, "emulator_threads_policy": "share"}, "2026.2",
         {}, {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "1048576",
              "hw:locked_memory": "false", "hw:emulator_threads_policy": "share"}),
    ],
)  # fmt: skip
def test_what_tuned_sets(
    flavor: Mapping[str, Any], series: str, hosts: Mapping[str, Host], expected: dict[str, str]
) -> None:
    """Every key that the flavor leaves open and the release reads; nodes by the facts alone."""
    assert specs(flavor, series, hosts) == expected


def test_the_number_of_nodes_that_most_hosts_have() -> None:
    """Where hosts differ, the number with which the flavor fits on the most of them."""
    one_each = facts()
    apart = dataclasses.replace(one_each, functions=tuple(
        one for one in one_each.functions if one.address.bus in (0x19, 0x99)))  # fmt: skip
    hosts = {"gpu-01": facts(), "b": apart, "c": apart}
    assert specs({"cards": {"h100": 2}}, "2026.2", hosts) == ALL | near(2)
