"""What nova asks Placement for besides cards, and which aggregates it takes."""

from __future__ import annotations

import pytest

from differential import placement
from differential.environments import RELEASES
from support.small_cloud import request
from wholecard.core.releases import release
from wholecard.nova.flavor.resource_request import resource_request

RENEW = "the cases have changed: ask the novas again with `make renew-nova`"


@pytest.mark.parametrize("major", RELEASES)
def test_same_as_recorded(major: int) -> None:
    """On each case we ask for what nova of this release asked for, or refuse as it did."""
    asked, answers = placement.recorded(major)
    assert asked == placement.digest(), RENEW
    outcome = placement.compared(major, answers)
    assert outcome.differences == []
    assert outcome.cases == placement.COUNT
    assert min(outcome.seen[each] for each in placement.KINDS) > placement.COUNT // 20


@pytest.mark.parametrize(
    ("series", "specs", "amounts", "required"),
    [
        ("stein", {"hw:cpu_policy": "dedicated"}, {"VCPU": 8}, ""),
        ("train", {"hw:cpu_policy": "dedicated"}, {"PCPU": 8}, ""),
        ("train", {"resources_A:VGPU": "1", "resources2:VGPU": "1"}, {"VCPU": 8}, ""),
        ("stein", {"hw:cpu_thread_policy": "require"}, {"VCPU": 8}, ""),
        ("victoria", {"hw:tpm_version": "1.2"}, {"VCPU": 8}, "COMPUTE_SECURITY_TPM_1_2"),
        ("ussuri", {"hw:tpm_version": "1.2"}, {"VCPU": 8}, ""),
        ("wallaby", {"os:secure_boot": "required"}, {"VCPU": 8},
         "COMPUTE_SECURITY_UEFI_SECURE_BOOT"),
        ("victoria", {"os:secure_boot": "required"}, {"VCPU": 8}, ""),
    ],
)  # fmt: skip
def test_by_the_release(
    series: str, specs: dict[str, str], amounts: dict[str, int], required: str
) -> None:
    """A key counts from the release on that reads it; PCPU and traits of threads since Train.

    By nova/scheduler/utils.py at the tags of those releases, which no environment here runs.
    """
    asked = resource_request(request(specs=specs), release(series))
    assert asked.machine.resources == {**amounts, "MEMORY_MB": 16384, "DISK_GB": 40}
    assert asked.machine.required == frozenset(required.split())
