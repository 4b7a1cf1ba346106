"""Flavors against hosts, `resources:` beside cards, and quotas against flavors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from support import hosts
from support.small_cloud import card, facts
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.flavor_checks import flavor_errors, flavor_warnings
from wholecard.pci import Function, IommuGroup
from wholecard.site.model import Site

# Four H100, two on each of two NUMA nodes with 16 threads and 128 GiB.
FOUR = facts([card(f"0000:{0x41 + number:02x}:00.0", number // 2) for number in range(4)])
SMALL = {"ram": 8192, "vcpus": 4}
KINDS = {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}}
TAKES = {"gpu-01": FOUR}


def site(flavor: Mapping[str, Any], facts: Mapping[str, Host] = TAKES, **more: Any) -> Site:
    """A site with one flavor, `f`."""
    data: dict[str, Any] = {
        "release": "2025.2",
        "cards": KINDS,
        "hosts": {name: {"facts": f"{name}.json"} for name in facts},
        "flavors": {"f": {**SMALL, **flavor}},
    }
    return Site.model_validate({**data, **more})


def errors(made: Site, facts: Mapping[str, Host] = TAKES) -> list[tuple[str, str]]:
    """The last key of each error, and what is wrong."""
    found = flavor_errors(made, facts, release(made.release))
    return [(".".join(map(str, one.keys[2:])), one.what) for one in found]


@pytest.mark.parametrize(
    ("flavor", "key", "words"),
    [
        ({"cards": {"h100": 4}}, "", ""),
        ({"cards": {"h100": 8}}, "cards.h100", "has 4 h100, 8 are requested"),
        ({"cards": {"h100": 1}, "ram": 256 << 10}, "", ""),
        ({"cards": {"h100": 1}, "ram": 4 << 20}, "ram", "has 262144 MiB of RAM"),
        ({"cards": {"h100": 1}, "vcpus": 32}, "", ""),
        ({"cards": {"h100": 1}, "vcpus": 600}, "vcpus", "has 32 threads"),
        ({"numa_nodes": 2}, "", ""),
        ({"numa_nodes": 4}, "numa_nodes", "has 2 NUMA nodes"),
        ({"numa_nodes": 1, "vcpus": 24}, "numa_nodes", "has 0 NUMA nodes with its share"),
        ({"numa_nodes": 1, "cards": {"h100": 3}, "numa_policy": "required"}, "cards.h100",
         "has 2 h100 on 1 NUMA nodes"),
        ({"numa_nodes": 2, "cards": {"h100": 4}, "numa_policy": "required"}, "", ""),
        # nova's default, legacy, is as strict where the cards' nodes are known (run on nova 34).
        ({"numa_nodes": 1, "cards": {"h100": 3}}, "cards.h100", "has 2 h100 on 1 NUMA nodes"),
        ({"numa_nodes": 1, "cards": {"h100": 3}, "numa_policy": "preferred"}, "", ""),
        ({"cpu_policy": "dedicated", "vcpus": 17}, "vcpus", "has 0 NUMA nodes with its share"),
        ({"cpu_policy": "dedicated", "vcpus": 16}, "", ""),
        ({"cpu_policy": "dedicated", "vcpus": 16, "emulator_threads_policy": "isolate"}, "vcpus",
         "has 0 NUMA nodes with its share"),
        ({"locked_memory": "true"}, "", "nova refuses it: locked_memory is set, and no page size"),
        ({"emulator_threads_policy": "isolate"}, "",
         "emulator_threads_policy: isolate needs pinned CPUs"),
        ({"cpu_thread_policy": "require"}, "", "a policy of CPU threads needs pinned CPUs"),
        ({"cpu_policy": "dedicated", "cpu_dedicated_mask": "0-1"}, "",
         "cpu_dedicated_mask needs the CPU policy mixed"),
        ({"numa_nodes": 2, "vcpus": 3}, "", "3 CPUs and 8192 MiB do not divide evenly"),
        ({"cards": {"h100": 4}, "extra_specs": {"resources:CUSTOM_PCI_10DE_2330": "1"}},
         "cards.h100", "5 are requested"),
        ({"extra_specs": {"hw:pcihole64": "1"}}, "extra_specs.hw:pcihole64", "no extra spec"),
        ({"extra_specs": {"hw:cpu_policy": "Dedicated"}}, "extra_specs.hw:cpu_policy",
         "not one of nova's values"),
    ],
)  # fmt: skip
def test_a_flavor_that_no_host_takes(flavor: Mapping[str, Any], key: str, words: str) -> None:
    """What no host could ever give is an error, with the key that is too large."""
    found = errors(site(flavor))
    assert [one[0] for one in found] == ([key] if words else [])
    assert all(words in one[1] for one in found)


@pytest.mark.parametrize(
    ("counts", "is_error"),
    [({}, False), ({"h100": 8}, False), ({"h100": 2}, True)],
)
def test_a_host_without_facts(counts: Mapping[str, int], is_error: bool) -> None:
    """A host whose facts are missing may take the flavor, unless the site says how many it has."""
    made = site({"cards": {"h100": 8}},
                hosts={"gpu-01": {"facts": "gpu-01.json"}, "new": {"cards": counts}})  # fmt: skip
    assert bool(errors(made)) is is_error


def test_one_host_is_enough() -> None:
    """A flavor that is too large for one host and fits another is none."""
    both = {"a": facts([card("0000:41:00.0")]), "b": FOUR}
    assert errors(site({"cards": {"h100": 4}}, both), both) == []


def test_an_extra_function_without_its_card() -> None:
    """A flavor that asks for the audio alone takes the card's group from everybody."""
    audio = hosts.function("0000:41:00.1", "10de:22ba", "040300", driver="vfio-pci")
    one = {"gpu-01": facts([card("0000:41:00.0"), audio])}
    kinds = {**KINDS, "sound": {"match": [{"vendor": "10de", "product": "22ba"}],
                                "extra_function": True}}  # fmt: skip
    for cards, count in (({"sound": 1}, 1), ({"h100": 1, "sound": 1}, 0), ({"h100": 1}, 0)):
        found = errors(site({"cards": cards}, one, cards=kinds), one)
        assert len(found) == count
        assert all("without h100" in what for _, what in found)


def _grouped(functions: list[Function]) -> Host:
    return hosts.host(*functions, group=lambda every: (IommuGroup(7, tuple(every)),))


@pytest.mark.parametrize(
    ("made", "host", "words"),
    [
        (site({"cards": {"h100": 1}}), FOUR, ""),
        (site({"cards": {"h100": 1}, "extra_specs": {"resources:CUSTOM_PCI_10DE_2330": "1"}}),
         FOUR, "again by resources:"),
        (site({"cards": {"h100": 1}}),
         _grouped([card("0000:41:00.0"), card("0000:42:00.0")]), "share an IOMMU group"),
        (site({"cards": {"h100": 2}}),
         _grouped([card("0000:41:00.0"), card("0000:42:00.0")]), ""),
        (site({"cards": {"h100": 4}}, quotas={"p": {"cards": {"h100": 2}}}), FOUR,
         "2 of h100 is less than"),
        (site({"cards": {"h100": 4}}, quotas={"p": {"cards": {"h100": 8}}}), FOUR, ""),
        (site({"cards": {"h100": 1}, "vcpus": 16}, quotas={"p": {"cores": 8}}), FOUR,
         "8 of cores is less than"),
        (site({"cards": {"h100": 4}, "projects": ["q"]}, quotas={"p": {"cards": {"h100": 2}}}),
         FOUR, ""),
    ],
)  # fmt: skip
def test_what_is_probably_not_meant(made: Site, host: Host, words: str) -> None:
    """What is allowed and hardly meant is a warning."""
    found = [one.what for one in flavor_warnings(made, {"gpu-01": host})]
    assert len(found) == bool(words)
    assert all(words in one for one in found)
