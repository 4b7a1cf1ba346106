"""What a guest's report says of the cards that its server was to have: findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wholecard.cloud.proving.asked_devices import AskedDevice, is_gpu
from wholecard.cloud.proving.gpu_fabric import fabric_finding
from wholecard.cloud.proving.slice_sizes import size_finding
from wholecard.core import Finding, Severity
from wholecard.guest.proof.comparison import compare
from wholecard.guest.proof.record import Proof, ProofContainer, ProofGpu
from wholecard.guest.proof.report import ProofError

# Whose display functions a tool or DRM must count; another accelerator may have neither.
_GPU_MAKERS = ("10de", "1002")
_TOOLS_OF = {"10de": ("nvidia-smi",), "1002": ("amd-smi", "rocm-smi")}


@dataclass(frozen=True)
class Required:
    """What the run asks of each guest: its nonce, containers, a benchmark, a driver in any case."""

    nonce: str
    containers: int = 0
    bench: int = 0
    driver: bool = False


def report_findings(
    devices: Sequence[AskedDevice],
    proof: Proof | None,
    required: Required,
    own: frozenset[str],
    error: ProofError | None = None,
) -> list[Finding]:
    """What is wrong with a guest's report; empty, or notes alone, where all is as asked for.

    A report that is not ours, or cannot be read, is the only finding.
    """
    if error is not None:
        return [Finding("WC407", "guest", Severity.ERROR, error.brief, error.resolution)]
    if proof is not None and _is_foreign(proof, required):
        return [_foreign(proof)]
    expected = [want for device in devices if (want := device.expected()) is not None]
    findings = compare(expected, proof, own)
    if proof is None or not proof.complete:
        return findings
    return findings + _complete_findings(devices, proof, required)


def _complete_findings(
    devices: Sequence[AskedDevice], proof: Proof, required: Required
) -> list[Finding]:
    """What is wrong beyond the devices' identity, in a report of which nothing is missing."""
    findings = [_uncountable(device) for device in devices if device.expected() is None]
    for device in devices:
        findings += _device_findings(device, proof, required)
    findings += _benchmark_findings(proof, required)
    findings += _container_findings(proof, required)
    if not any(finding.rule == "WC408" for finding in findings):
        findings += _problems(proof, required)
    return findings


def _is_foreign(proof: Proof, required: Required) -> bool:
    """Whether the report begins with a nonce that is not this run's."""
    return proof.machine is not None and proof.nonce != required.nonce


def _foreign(proof: Proof) -> Finding:
    if not proof.nonce:
        message = "the guest's report has no nonce: its agent was not given this run's"
        fix = "The agent reads it from the config drive or user data: check that the image can "
        return Finding("WC406", "guest", Severity.ERROR, message, fix + "mount an ISO 9660 disk.")
    return Finding(
        "WC406", "guest", Severity.ERROR,
        f"the console has a report with the nonce {proof.nonce}, which is not this run's",
        "The report was made for another server or was copied: do not trust this image.",
    )  # fmt: skip


def _uncountable(device: AskedDevice) -> Finding:
    return Finding(
        "WC401", device.name, Severity.ERROR,
        f"the server has {device.name} and its guest sees no device for it",
        "Compare the server's <hostdev> elements with its flavor, and check its IOMMU group.",
    )  # fmt: skip


def _device_findings(device: AskedDevice, proof: Proof, required: Required) -> list[Finding]:
    function = device.function
    if function is None:
        return []
    findings = []
    if not any(function.bars):
        findings.append(Finding(
            "WC434", device.name, Severity.ERROR,
            f"{device.name} ({function.id} at {function.address}) has no memory mapped in the "
            "guest",
            "The guest's address space is too small for the card's BARs: use UEFI "
            "(hw_firmware_type=uefi), and the flavor's hw:maxphysaddr_mode=passthrough.",
        ))  # fmt: skip
    wrong_size = size_finding(device.name, device.memory_mib, function, proof)
    findings += [wrong_size] if wrong_size else []
    counted = [gpu for gpu in proof.gpus if gpu.address == function.address]
    findings += filter(None, (fabric_finding(device.name, function, gpu) for gpu in counted))
    if is_gpu(function) and not counted:
        findings.append(_not_counted(device, proof, required))
    return findings


def _not_counted(device: AskedDevice, proof: Proof, required: Required) -> Finding:
    function = device.function
    if function is None:
        raise ValueError("a device without a function is not counted")
    tools = _TOOLS_OF.get(function.vendor, ())
    said = [problem for problem in proof.problems if problem.source in tools]
    name = f"{device.name} ({function.id} at {function.address})"
    if said:
        why = f"{said[0].source} ended with status {said[0].exit}: {said[0].text}"
        return Finding("WC408", device.name, Severity.ERROR,
                       f"no driver in the guest counts {name}; {why}",
                       "Read the guest's kernel log: the driver refused the card, or does not fit "
                       "the kernel.")  # fmt: skip
    if function.driver and function.vendor in _GPU_MAKERS:
        return Finding("WC408", device.name, Severity.ERROR,
                       f"{function.driver} is bound to {name}, and neither a tool of its vendor "
                       "nor DRM counts it",
                       "Read the guest's kernel log for the driver's messages.")  # fmt: skip
    severity = Severity.ERROR if required.driver else Severity.NOTE
    return Finding("WC408", device.name, severity,
                   f"the guest has {name} and no driver that counts it",
                   "The image has no driver for this card; install one to use it.")  # fmt: skip


def _benchmark_findings(proof: Proof, required: Required) -> list[Finding]:
    if not required.bench:
        return []
    said = [problem.text for problem in proof.problems if problem.source == "wholecard-bench"]
    fix = "Install wholecard-bench in the image, with the extra for its cards."
    if not proof.benchmarks:
        why = said[0] if said else "the guest reports no result"
        return [Finding("WC431", "benchmark", Severity.ERROR, f"n-body did not run: {why}", fix)]
    return [
        Finding("WC431", "benchmark", Severity.ERROR,
                f"n-body on {result.devices} device(s) fails its own check of the result",
                "The card computes wrongly: test its memory, and read the guest's kernel log.")
        for result in proof.benchmarks
        if not result.passed
    ]  # fmt: skip


def _container_findings(proof: Proof, required: Required) -> list[Finding]:
    if not required.containers:
        return []
    if len(proof.containers) < required.containers:
        said = [problem.text for problem in proof.problems
                if problem.source in ("containers", "podman", "docker")]  # fmt: skip
        why = said[0] if said else f"{len(proof.containers)} reported"
        return [Finding("WC432", "containers", Severity.ERROR,
                        f"{required.containers} containers did not run side by side: {why}",
                        "Use an image with podman or docker and a CDI specification.")]  # fmt: skip
    findings = []
    for container in proof.containers:
        wrong = _container_wrong(container, required.containers)
        if wrong:
            findings.append(Finding("WC432", f"container {container.index}", Severity.ERROR, wrong,
                                    "Read what the engine says about the CDI device in the "
                                    "guest."))  # fmt: skip
    return findings


def _container_wrong(container: ProofContainer, asked: int) -> str:
    name = f"container {container.index}"
    if container.exit != 0:
        return f"{name} ended with status {container.exit}: {container.text}"
    if (container.together or 0) < asked:
        return f"{name} saw {container.together or 0} of {asked} containers run at one time"
    if not container.devices and not container.gpus:
        return f"{name} has no device of a card"
    return ""


def _problems(proof: Proof, required: Required) -> list[Finding]:
    """Tools that failed, without those that have a finding of their own."""
    known = {"containers", "podman", "docker"} if required.containers else set()
    known |= {"wholecard-bench"} if required.bench else set()
    return [
        Finding("WC433", problem.source, Severity.WARNING,
                f"{problem.source} ended in the guest with status {problem.exit}: {problem.text}",
                "Run it in the guest by hand.")
        for problem in proof.problems
        if problem.source not in known
    ]  # fmt: skip


def shared_gpus(reports: Iterable[tuple[str, Proof | None]]) -> list[Finding]:
    """WC435 for each GPU of which two servers report the UUID; they run at one time."""
    seen: dict[str, str] = {}
    findings = []
    for server, proof in reports:
        for uuid in dict.fromkeys(_uuids(proof.gpus if proof else ())):
            other = seen.setdefault(uuid, server)
            if other != server:
                findings.append(Finding(
                    "WC435", server, Severity.ERROR,
                    f"{server} and {other} report the same GPU, {uuid}",
                    "One of the reports is not genuine, or the hypervisor gave a card twice.",
                ))  # fmt: skip
    return findings


def _uuids(gpus: Iterable[ProofGpu]) -> list[str]:
    return [gpu.uuid for gpu in gpus if gpu.uuid]
