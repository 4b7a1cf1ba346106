"""WC439: what is said of a GPU's fabric, and what a person sees of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.golden import compare
from support.proof_cloud import GPUS, H100, H100_2, VIRTIO, guest_of
from support.proof_reports import ASKED, GOOD, server
from wholecard.cloud.proving.gpu_fabric import fabric_finding, fabric_text
from wholecard.cloud.proving.junit import junit_xml
from wholecard.cloud.proving.record import ProveReport
from wholecard.cloud.proving.text import report_text
from wholecard.guest.proof.record import ProofGpu

GOLDEN = Path(__file__).parent / "golden"
WELL = ("Completed", "Success", "Healthy")


def gpu(state: str | None, status: str | None = None, health: str | None = None) -> ProofGpu:
    """What nvidia-smi says of the H100."""
    return replace(GPUS[0], fabric_state=state, fabric_status=status, fabric_health=health)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ((None,), ""),
        # A driver that has no state has nothing to say.
        ((None, "Success", "Healthy"), ""),
        (("Completed",), "fabric Completed"),
        (("Completed", "Success"), "fabric Completed"),
        (WELL, "fabric Completed"),
    ],
)
def test_no_finding(said: tuple[str | None, ...], text: str) -> None:
    """No fabric, a driver that does not say, and a fabric that is complete."""
    assert fabric_finding("h100", H100, gpu(*said)) is None
    assert fabric_text(gpu(*said)) == text


@pytest.mark.parametrize(
    ("said", "message", "fix"),
    [
        (("In Progress",), "is In Progress: CUDA fails with error 802",
         "Shortly after the boot that is normal"),
        # NVML: the status counts with completed alone.
        (("In Progress", "Unknown Error"), "is In Progress: CUDA", "Prove again"),
        (("Not Started", "Success"), "is Not Started: CUDA", "On the host Fabric"),
        (("ERR!",), "is ERR!: CUDA", "On the host Fabric"),
        (("Completed", "Unknown Error"), "is Completed (status Unknown Error)", "log"),
        (("Completed", "Success", "Limited Capacity"), "Completed (health Limited Capacity)",
         "nvidia-smi nvlink -s"),
        (("Completed", "Timeout", "Unhealthy"), "(status Timeout) (health Unhealthy)", "fmpm"),
    ],
)  # fmt: skip
def test_finding(said: tuple[str, ...], message: str, fix: str) -> None:
    """It names the GPU, the driver's words, what fails by that, and where to look."""
    finding = fabric_finding("h100 1 of 2", H100, gpu(*said))
    assert finding is not None
    assert (finding.rule, finding.severity.value, finding.subject) == (
        "WC439", "error", "h100 1 of 2",
    )  # fmt: skip
    assert finding.message.startswith("the fabric of h100 1 of 2 (10de:2330 at 0000:01:00.0) is ")
    assert message in finding.message
    assert fix in finding.fix
    assert ("802" in finding.message) == (said[0] != "Completed")


WAITING = ProveReport(
    "prod", "gpu.2", "debian-13", "5f0c12ab", ASKED,
    (
        server(
            "wholecard-proof-5f0c12ab-1",
            guest_of(
                "aaaaaaaa", VIRTIO, H100, H100_2,
                gpus=(
                    gpu("In Progress"),
                    replace(GPUS[1], fabric_state="Completed", fabric_status="Success",
                            fabric_health="Limited Capacity"),
                ),
            ), 1, 2,
        ),
    ), 71.2,
)  # fmt: skip


def test_what_a_person_sees() -> None:
    """The table has the fabric beside the driver's version, and each finding says what to do."""
    compare("fabric.txt", report_text(WAITING) + "\n", GOLDEN)


def test_what_a_program_sees() -> None:
    """JSON has what is known of a fabric and no more; JUnit counts it against the device."""

    def fabrics(report: ProveReport) -> list[dict[str, str]]:
        (one,) = json.loads(json.dumps(report.to_json()))["servers"]
        gpus = [gpu for device in one["devices"] for gpu in device["gpus"]]
        return [{key: gpu[key] for key in gpu if key.startswith("fabric")} for gpu in gpus]

    assert fabrics(WAITING) == [
        {"fabric_state": "In Progress"},
        {"fabric_state": "Completed", "fabric_status": "Success",
         "fabric_health": "Limited Capacity"},
    ]  # fmt: skip
    assert fabrics(GOOD) == [{"fabric_state": "Completed", "fabric_status": "Success"}, {}]
    assert junit_xml(WAITING).count('type="WC439"') == 2
