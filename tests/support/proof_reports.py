"""Reports of proofs for what is made of them: text, JUnit XML, the page."""

from __future__ import annotations

from dataclasses import replace

from support.proof_cloud import GPUS, H100, H100_2, VIRTIO, guest_of
from wholecard.cloud.proving.asked_devices import AskedDevice, AskedDevices, unknown_notes
from wholecard.cloud.proving.judgement import Required, report_findings
from wholecard.cloud.proving.record import ProveReport, ServerProof
from wholecard.core import Finding, Severity
from wholecard.guest.proof.comparison import MACHINE_OWN
from wholecard.guest.proof.record import (
    Proof,
    ProofBenchmark,
    ProofContainer,
    ProofProblem,
)

ASKED = (AskedDevices("h100", 2, ("10de:2330",), "the site file site.yaml"),)
GOOD_PROOF = guest_of(
    "aaaaaaaa", VIRTIO, H100, replace(H100_2, link=(16.0, 8)),
    gpus=(replace(GPUS[0], fabric_state="Completed", fabric_status="Success"), GPUS[1]),
    benchmarks=(ProofBenchmark("nbody", "cuda", 65536, 2, 41234.56, passed=True),),
    containers=tuple(
        ProofContainer(index, "podman", 0, 2, 2, ("/dev/nvidia0", "/dev/nvidia1"), "")
        for index in range(2)
    ),
)  # fmt: skip
BAD_PROOF = replace(
    guest_of("bbbbbbbb", VIRTIO, replace(H100, driver=None)),
    gpus=(),
    problems=(ProofProblem("nvidia-smi", 9, "NVIDIA-SMI has failed"),),
)


def server(name: str, proof: Proof | None, *functions: int, **more: object) -> ServerProof:
    """A server whose devices are the report's functions of these positions, -1 for none."""
    devices = tuple(
        AskedDevice(f"h100 {number} of 2", ("10de:2330",),
                    proof.functions[at] if proof and at >= 0 else None)
        for number, at in enumerate(functions, 1)
    )  # fmt: skip
    nonce = proof.nonce if proof else ""
    findings = report_findings(devices, proof, Required(nonce), MACHINE_OWN)
    values = {"status": "ACTIVE", "host": "gpu-01", "fault": "", "seconds_to_active": 21.5,
              "seconds_to_report": 64.0, "console_bytes": 40000, "freed": True}  # fmt: skip
    return ServerProof(name=name, id=f"id-{name}", devices=devices, proof=proof,
                       findings=tuple(findings), **{**values, **more})  # type: ignore[arg-type]  # fmt: skip


GOOD = ProveReport(
    "prod", "gpu.2", "debian-13", "5f0c12ab", ASKED,
    (server("wholecard-proof-5f0c12ab-1", GOOD_PROOF, 1, 2),), 71.2,
)  # fmt: skip
REFUSED = Finding(
    "WC409", "wholecard-proof-5f0c12ab-3", Severity.ERROR,
    "the server is in ERROR: No valid host was found. \x1b[31m</pre><script>",
    "Keep the server (--keep) and run:\nwholecard explain --cloud prod --server id-3",
)  # fmt: skip
UNKNOWN = AskedDevices("audio", 1)
BAD = ProveReport(
    "prod", "gpu.2", "debian-13", "5f0c12ab", (*ASKED, UNKNOWN),
    (
        server("wholecard-proof-5f0c12ab-1", BAD_PROOF, 1, -1),
        server("wholecard-proof-5f0c12ab-2", None, freed=None, seconds_to_report=None,
               console_end="[  4.2] Kernel panic - not syncing: \x1b]0;owned\x07VFS\n"),
        replace(
            server("wholecard-proof-5f0c12ab-3", None, status="ERROR", host=None, freed=None,
                   seconds_to_active=None, seconds_to_report=None),
            findings=(REFUSED,),
        ),
    ),
    912.0, ("Placement was not asked: cannot read the allocations of id-1: it is not allowed.",),
    findings=tuple(unknown_notes((UNKNOWN,))),
)  # fmt: skip
