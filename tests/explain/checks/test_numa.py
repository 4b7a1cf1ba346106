"""The guest's NUMA nodes on a host: isolated emulator threads, and those that share nothing."""

from __future__ import annotations

import pytest

from support.small_cloud import cloud, compute, host, request
from wholecard.explain.explain import explain

PINNED = {"hw:cpu_policy": "dedicated"}
ISOLATE = PINNED | {"hw:emulator_threads_policy": "isolate"}
SHARE = PINNED | {"hw:emulator_threads_policy": "share"}


@pytest.mark.parametrize(
    ("specs", "vcpus", "words"),
    [
        (PINNED, 8, ""),
        (PINNED, 9, "has 8 CPUs for pinning, the guest needs 9"),
        (ISOLATE, 7, ""),
        (ISOLATE, 8, "has 8 CPUs for pinning, the guest needs 8 and 1 for the emulator's threads"),
        (SHARE, 8, ""),
        (ISOLATE | {"hw:numa_nodes": "2"}, 14, ""),
        (ISOLATE | {"hw:numa_nodes": "2"}, 16, "needs 8 and 1 for the emulator's threads"),
    ],
)
def test_cpus_for_pinning(specs: dict[str, str], vcpus: int, words: str) -> None:
    """Isolated emulator threads take one CPU more beside the guest's first node."""
    conf = compute(compute={"cpu_dedicated_set": "8-15,24-31"})
    (only,) = explain(
        cloud(request=request(specs=specs, vcpus=vcpus), hosts=(host(conf=conf),))
    ).hosts
    assert (only.failed.rule if only.failed else "") == ("WC317" if words else "")
    assert words in (only.failed.says if only.failed else "")


@pytest.mark.parametrize(("sets", "is_told"), [({"cpu_shared_set": "0-7"}, False), ({}, True)])
def test_emulator_threads_that_share(sets: dict[str, str], is_told: bool) -> None:
    """Without cpu_shared_set the policy share leaves QEMU's threads on the guest's CPUs."""
    conf = compute(compute={"cpu_dedicated_set": "8-15,24-31", **sets})
    (only,) = explain(cloud(request=request(specs=SHARE), hosts=(host(conf=conf),))).hosts
    (numa,) = [check for check in only.checks if check.name == "NUMA"]
    assert ("no [compute] cpu_shared_set" in numa.warning) is is_told
