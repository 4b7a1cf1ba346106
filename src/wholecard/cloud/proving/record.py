"""What a proof was asked and what came out, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wholecard.cloud.proving.asked_devices import AskedDevice, AskedDevices
from wholecard.core import Finding, Severity
from wholecard.guest.proof.record import Proof, ProofGpu


@dataclass(frozen=True)
class ServerProof:
    """One server: how it booted, what its guest reported, how that was judged.

    `status` is nova's last one, `host` None for a user who is not an administrator. Seconds are
    since the request, None where it did not come so far. `freed` is True where Placement has no
    allocation of it any more, None where that is not known. `console_end` is the console's last
    lines where the report did not come.
    """

    name: str
    id: str
    status: str
    host: str | None
    fault: str
    devices: tuple[AskedDevice, ...]
    proof: Proof | None
    findings: tuple[Finding, ...]
    seconds_to_active: float | None = None
    seconds_to_report: float | None = None
    console_bytes: int = 0
    console_end: str = ""
    freed: bool | None = None

    @property
    def proved(self) -> bool:
        """Whether nothing is wrong with it."""
        return all(finding.severity is Severity.NOTE for finding in self.findings)

    def gpus_at(self, address: str) -> tuple[ProofGpu, ...]:
        """What the guest's drivers count at this address."""
        gpus = self.proof.gpus if self.proof else ()
        return tuple(gpu for gpu in gpus if gpu.address == address)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        proof = self.proof or Proof(None, (), (), complete=False)
        return {
            "name": self.name,
            "id": self.id,
            "status": self.status,
            "host": self.host,
            "fault": self.fault,
            "proved": self.proved,
            "seconds_to_active": _rounded(self.seconds_to_active),
            "seconds_to_report": _rounded(self.seconds_to_report),
            "console_bytes": self.console_bytes,
            "freed": self.freed,
            "guest": vars(proof.machine) if proof.machine else None,
            "devices": [self._device_json(device) for device in self.devices],
            "benchmarks": [vars(each) for each in proof.benchmarks],
            "containers": [vars(each) for each in proof.containers],
            "problems": [vars(each) for each in proof.problems],
            "findings": [finding.to_json() for finding in self.findings],
        }

    def _device_json(self, device: AskedDevice) -> dict[str, Any]:
        function = device.function
        seen = vars(function) | {"id": function.id} if function else None
        counted = [gpu.to_json() for gpu in self.gpus_at(function.address)] if function else []
        return {"name": device.name, "ids": device.ids, "function": seen, "gpus": counted}


@dataclass(frozen=True)
class ProveReport:
    """The whole run. `notes` are sentences on what was not checked, or was cleaned up before.

    `host` is the one that was to be proved, empty where nova chose.
    """

    cloud: str
    flavor: str
    image: str
    run: str
    asked: tuple[AskedDevices, ...]
    servers: tuple[ServerProof, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    host: str = ""

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Those of the run, then each server's, whose name is in the subject if it is not alone."""
        several = len(self.servers) > 1
        named = (
            replace(finding, subject=f"{server.name} {finding.subject}")
            if several and finding.subject != server.name
            else finding
            for server in self.servers
            for finding in server.findings
        )
        return (*self.findings, *named)

    @property
    def proved(self) -> bool:
        """Whether all servers are proved and nothing else is wrong."""
        return all(finding.severity is Severity.NOTE for finding in self.all_findings)

    def to_json(self) -> Mapping[str, Any]:
        """A plain dictionary."""
        return {
            "cloud": self.cloud,
            "flavor": self.flavor,
            "image": self.image,
            "host": self.host or None,
            "run": self.run,
            "proved": self.proved,
            "seconds": round(self.seconds, 1),
            "asked": [vars(each) for each in self.asked],
            "servers": [server.to_json() for server in self.servers],
            "findings": [finding.to_json() for finding in self.findings],
            "notes": self.notes,
            "kept": self.kept,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
