"""What is said of a report: each rule fires, and stays quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from support.proof_cloud import GPUS, H100, H100_2, VIRTIO, guest_of
from wholecard.cloud.proving.asked_devices import AskedDevice
from wholecard.cloud.proving.judgement import Required, report_findings, shared_gpus
from wholecard.core import Finding
from wholecard.guest.proof.comparison import MACHINE_OWN
from wholecard.guest.proof.record import (
    Proof,
    ProofBenchmark,
    ProofContainer,
    ProofFunction,
    ProofProblem,
)
from wholecard.guest.proof.report import ProofError

NONCE = "0a1b2c3d"
NO_TOOL = ProofProblem("wholecard-bench", 127, "wholecard-bench is not installed in this image")
NVIDIA_SMI = ProofProblem("nvidia-smi", 9, "NVIDIA-SMI has failed")
SLOW = ProofBenchmark("nbody", "cuda", 65536, 1, 5.0, passed=True)
RAN = ProofContainer(0, "podman", 0, 1, 0, ("/dev/nvidia0",), "")


def judged(
    function: ProofFunction | None = H100, required: Mapping[str, Any] | None = None, **more: Any
) -> list[Finding]:
    """The findings on a guest with this function in place of the card."""
    functions = (VIRTIO, *((function,) if function else ()))
    device = AskedDevice("h100", ("10de:2330",), function)
    return report_findings(
        [device], guest_of(NONCE, *functions, **more), Required(NONCE, **(required or {})),
        MACHINE_OWN,
    )  # fmt: skip


def rules(findings: list[Finding]) -> list[tuple[str, str]]:
    """Codes with their weight."""
    return [(finding.rule, finding.severity.value) for finding in findings]


def test_all_is_well() -> None:
    """A card with its driver, counted, mapped: no finding."""
    assert judged() == []


@pytest.mark.parametrize(
    ("function", "more", "expected"),
    [
        (None, {}, [("WC401", "error")]),
        (replace(H100, bars=()), {}, [("WC434", "error")]),
        (replace(H100, driver=None), {"gpus": ()}, [("WC408", "note")]),
        (H100, {"gpus": ()}, [("WC408", "error")]),
        (replace(H100, driver=None), {"gpus": (), "problems": (NVIDIA_SMI,)}, [("WC408", "error")]),
        (H100, {"gpus": (replace(GPUS[0], source="drm"),)}, []),
        # Gaudi's driver has no DRM device.
        (replace(H100, vendor="1da3", pci_class="120000", driver="habanalabs"), {"gpus": ()},
         [("WC408", "note")]),
        # A sound function is no GPU.
        (replace(H100, pci_class="040300"), {"gpus": ()}, []),
        (H100, {"problems": (NVIDIA_SMI,)}, [("WC433", "warning")]),
    ],
)  # fmt: skip
def test_devices(
    function: ProofFunction | None, more: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """What a card lacks in the guest is one finding, with the tool's own words where it spoke."""
    assert rules(judged(function, **more)) == expected


def test_a_driver_that_is_required() -> None:
    """With it a card without any driver is an error."""
    driverless = replace(H100, driver=None)
    assert rules(judged(driverless, {"driver": True}, gpus=())) == [("WC408", "error")]


@pytest.mark.parametrize(
    ("required", "more", "expected"),
    [
        ({}, {"problems": (NO_TOOL,)}, ["WC433"]),
        ({"bench": 1024}, {"problems": (NO_TOOL,)}, ["WC431"]),
        ({"bench": 1024}, {}, ["WC431"]),
        ({"bench": 1024}, {"benchmarks": (SLOW,)}, []),
        ({"bench": 1024}, {"benchmarks": (replace(SLOW, passed=False),)}, ["WC431"]),
        ({"containers": 1}, {"containers": (RAN,)}, []),
        ({"containers": 2}, {"containers": (RAN,)}, ["WC432"]),
        ({"containers": 1}, {"containers": (replace(RAN, exit=126, text="no"),)}, ["WC432"]),
        ({"containers": 1}, {"containers": (replace(RAN, devices=()),)}, ["WC432"]),
        ({"containers": 1}, {"containers": (replace(RAN, devices=(), gpus=1),)}, []),
        ({"containers": 2},
         {"containers": (RAN, replace(RAN, index=1, together=2))}, ["WC432"]),
        ({"containers": 1}, {"problems": (ProofProblem("containers", 1, "no CDI"),)}, ["WC432"]),
    ],
)  # fmt: skip
def test_what_was_asked_to_run(
    required: dict[str, Any], more: dict[str, Any], expected: list[str]
) -> None:
    """A benchmark and containers are judged where they were asked for."""
    assert [finding.rule for finding in judged(required=required, **more)] == expected


@pytest.mark.parametrize(
    ("proof", "error", "rule"),
    [
        (None, None, "WC405"),
        (replace(guest_of(NONCE, VIRTIO), complete=False), None, "WC405"),
        (guest_of("feedfeed", VIRTIO, H100), None, "WC406"),
        (guest_of("", VIRTIO, H100), None, "WC406"),
        (guest_of(NONCE, VIRTIO, H100), ProofError("it cannot be read"), "WC407"),
    ],
)
def test_no_report_of_ours(proof: Proof | None, error: ProofError | None, rule: str) -> None:
    """Without a report of ours there is that one finding, whatever else is in it."""
    device = AskedDevice("h100", ("10de:2330",), None)
    findings = report_findings([device], proof, Required(NONCE), MACHINE_OWN, error)
    assert [finding.rule for finding in findings] == [rule]


def test_one_gpu_twice() -> None:
    """WC435 fires for a UUID of two servers, not for one that two tools of a guest name."""
    twice = guest_of(NONCE, H100, gpus=(GPUS[0], replace(GPUS[0], source="nvidia")))
    other = guest_of(NONCE, H100_2)
    assert shared_gpus([("a", twice), ("b", other), ("c", None)]) == []
    (finding,) = shared_gpus([("a", twice), ("b", guest_of(NONCE, H100))])
    assert (finding.rule, finding.subject) == ("WC435", "b")
