"""Whether the NVLink fabric of a GPU is set up, as the guest's driver says. Pure.

Sources: NVML API reference, "Fabric definitions" and nvmlGpuFabricInfo_v3_t (states not supported,
not started, in progress, completed; a status that counts only with completed; a summary of health,
which older drivers lack), in the words of `nvidia-smi -q`. A driver asks Fabric Manager where the
GPU's board has NVSwitches, also for one GPU of it alone (github.com/NVIDIA/open-gpu-kernel-modules,
gpu.c, _gpuDetectNvswitchSupport), and CUDA fails with error 802 until the state is completed. Not
run on hardware.
"""

from __future__ import annotations

from wholecard.core import Finding, Severity
from wholecard.guest.proof.record import ProofFunction, ProofGpu

_COMPLETED, _SUCCESS, _HEALTHY = "Completed", "Success", "Healthy"
_ON_THE_HOST = (
    "On the host Fabric Manager must run, and the partition with exactly the server's GPUs be "
    "active: docs/how-to/nvswitch-boards.md. A server with one GPU that needs no NVLink can load "
    "the driver with NVreg_NvLinkDisable=1."
)
_FIXES = {
    "In Progress": "Shortly after the boot that is normal, and the agent has waited half a minute. "
    "Prove again with --keep and read nvidia-smi -q in the guest; where it stays so, the driver "
    f"gets no answer. {_ON_THE_HOST}",
    _COMPLETED: "nvidia-smi nvlink -s in the guest shows links that are down. On the host read "
    "Fabric Manager's log; fmpm --get-nvlink-failed-devices names what failed.",
}


def fabric_text(gpu: ProofGpu) -> str:
    """`fabric Completed`, with what is not well behind it; empty where no fabric is known."""
    if not gpu.fabric_state:
        return ""
    return f"fabric {_words(gpu)}"


def fabric_finding(name: str, function: ProofFunction, gpu: ProofGpu) -> Finding | None:
    """WC439 where the GPU has a fabric that is not complete and well."""
    completed = gpu.fabric_state == _COMPLETED
    if not gpu.fabric_state or (completed and not _not_well(gpu)):
        return None
    effect = "" if completed else ": CUDA fails with error 802, and there is no NVLink"
    return Finding(
        "WC439", name, Severity.ERROR,
        f"the fabric of {name} ({function.id} at {function.address}) is {_words(gpu)}{effect}",
        _FIXES.get(gpu.fabric_state, _ON_THE_HOST),
    )  # fmt: skip


def _words(gpu: ProofGpu) -> str:
    return " ".join((gpu.fabric_state or "", *_not_well(gpu)))


def _not_well(gpu: ProofGpu) -> list[str]:
    """A status and a health that are not good; both count only where the state is completed."""
    if gpu.fabric_state != _COMPLETED:
        return []
    status = gpu.fabric_status not in (None, _SUCCESS)
    health = gpu.fabric_health not in (None, _HEALTHY)
    return [
        *([f"(status {gpu.fabric_status})"] if status else ()),
        *([f"(health {gpu.fabric_health})"] if health else ()),
    ]
