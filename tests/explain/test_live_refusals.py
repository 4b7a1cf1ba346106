"""Why a live migration was refused, by nova's, libvirt's and QEMU's sentences."""

from __future__ import annotations

import pytest

from support.small_cloud import cloud
from wholecard.core.finding import Severity
from wholecard.explain.evidence.evidence import Refusal
from wholecard.explain.explain import explain
from wholecard.explain.live_refusals import LIVE, LIVE_MESSAGES, live_kind_of

ID = "5405c0d9-69d8-4e74-9e45-bdc3642d7b32"
# As nova 34, libvirt 11.3 and QEMU 10.0 say them.
SAID = [
    (
        "Migration pre-check error: This request does not explicitly request live-migratable "
        "devices.",
        "live-devices",
    ),
    (
        "Migration pre-check error: Cannot live migrate VIF with related PCI, Neutron does not "
        "support required port binding extension.",
        "live-ports",
    ),
    (
        f"Migration pre-check error: Unable to migrate {ID}: Either libvirt or QEMU version for "
        "compute service target are too old than the supported ones : (QEMU: 8.1.0, "
        "libvirt: 8.6.0)",
        "live-versions",
    ),
    (
        f"Unable to migrate {ID}: Source mdev types ['nvidia-558'] are not supported by this "
        "compute : ['nvidia-559'] ",
        "live-types",
    ),
    (
        f"Unable to migrate {ID}: Source mdevs ['a'] are not fully mapped for this compute : {{}} ",
        "live-too-few",
    ),
    (
        "PCI device spec is configured for live_migratable but it's not supported by libvirt.",
        "live-key",
    ),
    (
        "Migration pre-check error: Unacceptable CPU info: CPU doesn't have compatibility.",
        "live-cpu",
    ),
    ("VFIO migration is not supported with postcopy migration", "live-post-copy"),
    (
        "operation failed: cannot migrate domain: 0000:03:10.0: VFIO migration is not supported in "
        "kernel",
        "live-no-state",
    ),
    (
        "cannot migrate domain: aa618089: VFIO device doesn't support device and IOMMU dirty "
        "tracking",
        "live-dirty",
    ),
    (
        "Requested operation is not valid: cannot migrate a domain with <hostdev mode='subsystem' "
        "type='usb'>",
        "live-hostdev",
    ),
    ("Migration pre-check error: Timeout while checking", "live-check"),
]


@pytest.mark.parametrize(("message", "kind"), SAID)
def test_said(message: str, kind: str) -> None:
    """Each sentence is of its kind, and the finding says what it means and what would change it."""
    assert live_kind_of(message) == kind
    answer = explain(cloud(refusal=Refusal(message, "--error")))
    (finding,) = answer.findings
    assert (finding.rule, finding.severity) == ("WC357", Severity.ERROR)
    assert LIVE[kind].why in finding.message
    assert all(rule in finding.message for rule in LIVE[kind].rules)
    assert finding.fix == LIVE[kind].fix
    assert not answer.undecided


def test_each_kind_is_seen() -> None:
    """There is a sentence for each row, and a cause for each kind."""
    kinds = [kind for kind, _, _ in LIVE_MESSAGES]
    assert kinds == list(LIVE)
    assert {kind for _, kind in SAID} == set(kinds)


def test_another_refusal() -> None:
    """What is not about a live migration is explained as before."""
    assert live_kind_of("No valid host was found. ") is None
