"""A proof for a terminal: what was asked for, a table for each server, the findings."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.cloud.proving.gpu_fabric import fabric_text
from wholecard.cloud.proving.record import ProveReport, ServerProof
from wholecard.core import Severity
from wholecard.core.report_text import WIDTH, findings_text, table
from wholecard.core.units import counted, size_text
from wholecard.guest.proof.record import ProofFunction, ProofGpu

_HEAD = ("DEVICE", "IDS", "IN THE GUEST", "DRIVER", "BARS", "LINK", "NUMA", "COUNTED AS")


def report_text(report: ProveReport, width: int = WIDTH) -> str:
    """The report as text, without an end of line; findings are wrapped at `width` columns."""
    blocks = [asked_text(report), *(server_text(server) for server in report.servers)]
    if report.notes:
        blocks.append("\n".join(f"note: {note}" for note in report.notes))
    if report.kept:
        kept = " ".join(server.id for server in report.servers)
        blocks.append(f"kept: delete them with\n  openstack server delete {kept}")
    findings = report.all_findings
    if any(finding.severity is not Severity.NOTE for finding in findings):
        blocks.append(findings_text(findings, width))
    elif findings:
        blocks.append("\n".join(f"{each.rule} note {each.subject}: {each.message}"
                                for each in findings))  # fmt: skip
    blocks.append(outcome(report))
    return "\n\n".join(blocks)


def asked_text(report: ProveReport) -> str:
    """One sentence on what the flavor asks for."""
    parts = [
        f"{devices.count} x {devices.name} ({', '.join(devices.ids) or 'ids not known'})"
        for devices in report.asked
    ]
    host = f"; host {report.host}" if report.host else ""
    return f"flavor {report.flavor} asks for {', '.join(parts)}; image {report.image}{host}"


def server_text(server: ServerProof) -> str:
    """A server's line, its guest's line and its devices."""
    lines = [f"{server.name}: {', '.join(_server_words(server))}"]
    if server.proof and server.proof.machine:
        machine = server.proof.machine
        lines.append(
            f"  guest: {machine.os or machine.agent}, kernel {machine.kernel}, "
            f"{counted(machine.cpus, 'CPU')}, {size_text(machine.memory_mib << 20)}"
        )
    if server.devices:
        rows = [device_row(server, index) for index in range(len(server.devices))]
        lines += [f"  {line}" for line in table(_HEAD, rows).splitlines()]
    if server.proof:
        lines += [f"  {line}" for line in extra_lines(server)]
    if server.console_end:
        lines += ["  the console ends with:",
                  *(f"    {line}" for line in server.console_end.splitlines())]  # fmt: skip
    return "\n".join(lines)


def _server_words(server: ServerProof) -> Iterator[str]:
    yield "proved" if server.proved else "NOT PROVED"
    host = f" on {server.host}" if server.host else ""
    active = server.seconds_to_active
    yield f"{server.status}{host}" + ("" if active is None else f" after {active:.1f} s")
    if server.seconds_to_report is not None:
        yield f"report after {server.seconds_to_report:.1f} s"
    yield {True: "card free again", False: "card NOT free", None: "card free again: not checked"}[
        server.freed
    ]


def device_row(server: ServerProof, index: int) -> tuple[str, ...]:
    """One device's cells, in the order of the table."""
    device = server.devices[index]
    function = device.function
    ids = function.id if function else "|".join(device.ids) or "-"
    if function is None:
        return (device.name, ids, "NOT SEEN", "-", "-", "-", "-", "-")
    counted_as = "; ".join(gpu_text(gpu) for gpu in server.gpus_at(function.address))
    return (device.name, ids, function.address, function.driver or "none", bars_text(function),
            link_text(function), str(function.numa) if function.numa >= 0 else "-",
            counted_as or "-")  # fmt: skip


def bars_text(function: ProofFunction) -> str:
    """The sizes of the BARs that are in use."""
    return ", ".join(size_text(size) for size in function.bars if size) or "NONE"


def link_text(function: ProofFunction) -> str:
    """The link's speed and width, with the maximum where it is another."""
    if function.link is None:
        return "-"
    speed, width = function.link
    now = f"{speed:g} GT/s x{width}"
    if function.max_link in (None, function.link):
        return now
    return f"{now} of {function.max_link[0]:g} GT/s x{function.max_link[1]}"


def gpu_text(gpu: ProofGpu) -> str:
    """What a driver says of a GPU: `nvidia-smi: NVIDIA H100, 79.6 GiB, 580.65.06`."""
    memory = size_text(gpu.memory_mib << 20) if gpu.memory_mib else None
    words = [word for word in (gpu.name, memory, gpu.version, fabric_text(gpu)) if word]
    return f"{gpu.source}: {', '.join(words) or 'yes'}"


def speed_text(gflops: float) -> str:
    """`1,234.5 GFLOP/s`; an emulated processor's `0.025 GFLOP/s` keeps its digits."""
    return f"{gflops:,.1f} GFLOP/s" if gflops >= 1 else f"{gflops:.2g} GFLOP/s"


def extra_lines(server: ServerProof) -> list[str]:
    """The benchmark's and the containers' lines."""
    if server.proof is None:
        return []
    lines = []
    for result in server.proof.benchmarks:
        speed = "no figure" if result.gflops is None else speed_text(result.gflops)
        checked = "its check passed" if result.passed else "its check FAILED"
        lines.append(f"{result.name}: {speed}, {result.bodies:,} bodies, {result.backend} on "
                     f"{counted(result.devices, 'device')}, {checked}")  # fmt: skip
    for container in server.proof.containers:
        seen = ", ".join(container.devices) or "no device"
        gpus = f", {counted(container.gpus, 'GPU')} by nvidia-smi" if container.gpus else ""
        lines.append(f"container {container.index} ({container.engine}): status {container.exit}, "
                     f"{container.together or 0} at one time, {seen}{gpus}")  # fmt: skip
    return lines


def outcome(report: ProveReport) -> str:
    """The last line: how many servers are proved."""
    proved = sum(server.proved for server in report.servers)
    word = "proved" if report.proved else "NOT PROVED"
    servers = counted(len(report.servers), "server")
    return f"{word}: {proved} of {servers}, {report.seconds:.0f} s"
