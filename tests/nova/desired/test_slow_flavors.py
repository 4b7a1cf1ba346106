"""Why a flavor will be slow: one note a flavor, with the facts of the hosts that have its cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from support.hosts import GIB
from support.small_cloud import card
from support.small_cloud import facts as small
from support.tuned_site import facts
from wholecard.core.releases import release
from wholecard.host.facts.host import Host, HugePagePool
from wholecard.nova.desired.slow_flavors import missing_pages, slow_flavors
from wholecard.nova.desired.tuned_flavors import tuned_site
from wholecard.site.model import Site

KINDS = {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}}
TWO = facts()
ONE_NODE = small([card("0000:41:00.0")], cpus=((0, "0-15"),), sockets=1)
SHARED = "CPUs are shared with other servers (cpu_policy)"
SMALL = "memory is in pages of 4 KiB (hugepages)"
EMULATOR = "QEMU's own threads run on the guest's CPUs (emulator_threads_policy)"
ANYWHERE = "CPUs and memory are on any NUMA node (numa_nodes)"
FAR = "the cards may be of another NUMA node (numa_policy)"
ON_BOTH = ": gpu-01 has h100 on NUMA nodes 0, 1"


def site(flavor: Mapping[str, Any]) -> Site:
    """A site with one flavor."""
    whole = {"ram": 16384, "vcpus": 16, "cards": {"h100": 1}, **flavor}
    return Site.model_validate({"release": "2026.2", "cards": KINDS, "hosts": {"gpu-01": {}},
                                "flavors": {"f": whole}})  # fmt: skip


def notes(flavor: Mapping[str, Any], host: Host | None, series: str = "2026.2") -> list[str]:
    """What is said of the flavor."""
    hosts = {} if host is None else {"gpu-01": host}
    tuned = tuned_site(site(flavor), hosts, release(series))
    return [one.what for one in slow_flavors(tuned, hosts, release(series))]


@pytest.mark.parametrize(
    ("flavor", "host", "reasons"),
    [
        ({}, TWO, [SHARED, SMALL, ANYWHERE + ON_BOTH]),
        ({}, ONE_NODE, [SHARED, SMALL]),
        ({}, None, [SHARED, SMALL]),
        ({"tuned": True}, TWO, []),
        ({"tuned": True}, None, []),
        ({"tuned": False}, TWO, []),
        ({"cards": {}}, TWO, []),
        ({"cpu_policy": "shared", "hugepages": "small"}, TWO, []),
        ({"cpu_policy": "dedicated"}, TWO, [SMALL, EMULATOR]),
        ({"cpu_policy": "dedicated", "hugepages": "1G", "emulator_threads_policy": "share",
          "numa_policy": "required"}, TWO, []),
        ({"cpu_policy": "dedicated", "hugepages": "1G", "emulator_threads_policy": "share",
          "numa_policy": "preferred"}, TWO, []),
        ({"tuned": True, "cards": {"h100": 5}, "vcpus": 15}, TWO, [
            f"no NUMA node has the cards and room for 15 CPUs (numa_nodes, vcpus){ON_BOTH}",
            "a core is shared with another server: the guest has 15 CPUs on a NUMA node, an odd "
            "number, and a core of gpu-01 has two threads (vcpus)"]),
        ({"extra_specs": {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "2MB",
                          "hw:numa_nodes": "1"}}, ONE_NODE, [EMULATOR]),
    ],
)  # fmt: skip
def test_reasons(flavor: Mapping[str, Any], host: Host | None, reasons: list[str]) -> None:
    """Each reason once, with the first host that has it; what the flavor sets is a choice."""
    if host is not None:
        host = dataclasses.replace(host, cpu=dataclasses.replace(host.cpu, isolated="2-15"))
    text = f"flavors.f will be slower than its cards allow: {'; '.join(reasons)}"
    assert notes(flavor, host) == ([text] if reasons else [])


def test_flavors_with_the_same_reasons() -> None:
    """One cause is said once: flavors with the same reasons are in one note, at the first."""
    one = site({})
    flavors = {f"f{number}": one.flavors["f"] for number in range(6)}
    made = one.model_copy(update={"flavors": flavors})
    (note,) = slow_flavors(made, {"gpu-01": TWO}, release("2026.2"))
    assert note.keys == ("flavors", "f0")
    assert note.what.startswith(
        "the flavors f0, f1, f2, f3 and 2 more will be slower than their cards allow: CPUs are"
    )


def test_an_alias_that_prefers() -> None:
    """The policy preferred of a kind of card lets nova give a card of another node."""
    made = site({"cpu_policy": "dedicated", "hugepages": "1G", "emulator_threads_policy": "share"})
    kind = made.cards["h100"].model_copy(update={"numa_policy": "preferred"})
    made = made.model_copy(update={"cards": {"h100": kind}})
    (note,) = slow_flavors(made, {"gpu-01": TWO}, release("2026.2"))
    assert note.what.endswith(f"allow: {FAR}{ON_BOTH}")


def test_before_emulator_threads() -> None:
    """Nothing is said of a key that the release does not have."""
    assert EMULATOR not in notes({"cpu_policy": "dedicated"}, ONE_NODE, "ocata")[0]


def test_hosts_that_isolate_nothing() -> None:
    """One note for all hosts of pinned flavors; none where no flavor pins."""
    bare = {name: facts(isolated="") for name in ("gpu-01", "gpu-02")}
    pinned, floating = ({"tuned": True}, {"tuned": False})
    found = [list(slow_flavors(tuned_site(site(one), bare, release("2026.2")), bare,
                               release("2026.2"))) for one in (pinned, floating)]  # fmt: skip
    assert [one.what for one in found[0]] == [
        "gpu-01 and 1 more isolate no CPUs: the host's own processes run on the CPUs that servers "
        "are pinned to"
    ]
    assert found[1] == []


def _on_node(node: int, count: int) -> Host:
    pages = (HugePagePool(GIB, count, count), HugePagePool(GIB, count, count, node))
    return small([card("0000:41:00.0", 0)], pages=pages)


@pytest.mark.parametrize(
    ("flavor", "host", "words"),
    [
        ({"hugepages": "1G"}, small(), "no host has any"),
        ({"hugepages": "1G"}, small(pages=(HugePagePool(GIB, 16, 16),)), ""),
        ({"hugepages": "2M"}, _on_node(0, 16), "no host has any"),
        ({"hugepages": "1G", "numa_policy": "required"}, _on_node(0, 16), ""),
        ({"hugepages": "1G", "numa_policy": "required"}, _on_node(1, 16), "beside the cards"),
        ({"tuned": True, "vcpus": 8}, small(), "no host has any"),
        ({}, small(), ""),
    ],
)
def test_missing_pages(flavor: Mapping[str, Any], host: Host, words: str) -> None:
    """Huge pages that no host has, in all or on the cards' NUMA node, are a warning."""
    hosts = {"gpu-01": host}
    made = tuned_site(site(flavor), hosts, release("2026.2"))
    found = [one.what for one in missing_pages(made, hosts, release("2026.2"))]
    assert len(found) == bool(words)
    assert all(words in one for one in found)
