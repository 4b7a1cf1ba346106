"""The candidates queries about one host, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from support.nova_conf import conf
from support.openstack_api import Api
from support.small_cloud import cloud, host, request
from wholecard.cloud.client.connection import connect
from wholecard.explain.evidence.evidence import CandidatesQuery, Evidence
from wholecard.explain.evidence.placement import queries
from wholecard.explain.evidence.requested_devices import requested_devices

PINNED = {"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"}
FOUND: dict[str, Any] = {
    "allocation_requests": [{"allocations": {}, "mappings": {}}],
    "provider_summaries": {},
}
NONE: dict[str, Any] = {"allocation_requests": [], "provider_summaries": {}}


def queried(api: Api, evidence: Evidence, answers: Iterable[Any]) -> tuple[CandidatesQuery, ...]:
    """What was asked about the host, where Placement answers this, one after the other."""
    left = iter(answers)
    api.answers["GET /placement/allocation_candidates"] = lambda: (200, next(left))
    asked = queries(
        connect("test", api.clouds), evidence, host(placement=True), requested_devices(evidence)
    )
    assert next(left, None) is None
    return asked


@pytest.mark.parametrize("again", [FOUND, NONE])
def test_a_pinned_guest_is_asked_about_twice(api: Api, again: Any) -> None:
    """In vain for PCPU, nova asks for VCPU, without a CPU more for the emulator."""
    evidence = cloud(request=request(specs=PINNED))
    parts = [] if again is FOUND else [NONE]
    (last,) = queried(api, evidence, [NONE, again, *parts])
    vcpu = "resources=DISK_GB:40,MEMORY_MB:16384,VCPU:8"
    pcpu = "resources=DISK_GB:40,MEMORY_MB:16384,PCPU:9"
    assert (vcpu if again is FOUND else pcpu) in last.text
    assert last.has_candidates is (again is FOUND)


def test_a_pinned_guest_is_asked_about_once(api: Api) -> None:
    """Not where the workaround turns the second query off."""
    off = conf("scheduler.conf", workarounds={"disable_fallback_pcpu_query": "true"})
    evidence = cloud(request=request(specs=PINNED), scheduler=off)
    (last,) = queried(api, evidence, [NONE, NONE])
    assert "PCPU:9" in last.text


def test_all_that_the_flavor_asks_for(api: Api) -> None:
    """Custom classes and traits are in the query, and each group of the flavor is its own."""
    specs = {"resources:CUSTOM_NVME": "1", "hw:tpm_version": "2.0", "resources1:CUSTOM_X": "2",
             "trait1:CUSTOM_T": "required"}  # fmt: skip
    (whole,) = queried(api, cloud(request=request(specs=specs)), [FOUND])
    assert whole.demand == "groups"
    assert "resources=CUSTOM_NVME:1,DISK_GB:40,MEMORY_MB:16384,VCPU:8" in whole.text
    assert "COMPUTE_SECURITY_TPM_2_0,COMPUTE_SECURITY_TPM_SECRET_SECURITY_USER" in whole.text
    assert "resources_C0=CUSTOM_X:2&required_C0=CUSTOM_T" in whole.text
