"""A cloud whose servers boot, and whose guests print what a test wants them to print."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from openstack.connection import Connection

from support.openstack_api import Answer, Api
from support.proofs import console_of
from wholecard.cloud.client.connection import connect
from wholecard.guest.proof.record import GuestMachine, Proof, ProofFunction, ProofGpu

COMPUTE = "/compute/v2.1"
ALIAS = "pci_passthrough:alias"
H100 = ProofFunction(
    "0000:01:00.0", ("0000:00:02.0", "0000:01:00.0"), "10de", "2330", "030200", "10de", "16c1",
    "nvidia", 4, (16 << 20, 0, 128 << 30, 0, 32 << 20, 0), numa=0, link=(32.0, 16),
    max_link=(32.0, 16),
)  # fmt: skip
H100_2 = replace(H100, address="0000:02:00.0", path=("0000:00:03.0", "0000:02:00.0"))
VIRTIO = replace(
    H100, address="0000:00:01.0", path=("0000:00:01.0",), vendor="1af4", device="1041",
    pci_class="020000", driver="virtio-pci",
)  # fmt: skip
GPUS = tuple(
    ProofGpu("nvidia-smi", function.address, "NVIDIA H100 80GB HBM3", 81559, f"GPU-{number}",
             "580.65.06")
    for number, function in enumerate((H100, H100_2))
)  # fmt: skip


def guest_of(nonce: str, *functions: ProofFunction, **more: Any) -> Proof:
    """A complete report of these functions, with one GPU of nvidia-smi for each H100."""
    machine = GuestMachine(nonce, "linux", "6.12.0", "Debian GNU/Linux 13 (trixie)", 8, 1, 32768)
    gpus = tuple(gpu for gpu in GPUS if gpu.address in {each.address for each in functions})
    return Proof(machine, functions, (), complete=True, **{"gpus": gpus, **more})


# What a guest prints: from its server's row, and how often its console was read before.
Guest = Callable[["ProofServer", int], str]


def honest(*functions: ProofFunction, **more: Any) -> Guest:
    """A guest that reports these functions with its own nonce."""
    return lambda server, _: (
        "[    0.0] Linux\n" + console_of(guest_of(server.nonce, *functions, **more))
    )


@dataclass
class ProofServer:
    """A server as the API has it, and how it gets on."""

    id: str
    name: str
    metadata: dict[str, str]
    user_data: str
    body: dict[str, Any]
    statuses: list[str]
    guest: Guest
    fault: str = ""
    reads: int = 0
    deleted: bool = False
    host: str | None = "gpu-01"

    @property
    def nonce(self) -> str:
        """What its config drive has."""
        return self.metadata.get("wholecard_nonce", "")

    def row(self) -> dict[str, Any]:
        """As nova shows it; each look may be its next state."""
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        fault = {"fault": {"message": self.fault, "code": 500}} if status == "ERROR" else {}
        return {
            "id": self.id, "name": self.name, "status": status, "metadata": self.metadata,
            "OS-EXT-STS:task_state": "spawning" if status == "BUILD" else None,
            "OS-EXT-SRV-ATTR:host": self.host, "flavor": {}, **fault,
        }  # fmt: skip


@dataclass
class ProofCloud:
    """The cloud; `guests` are taken one by one by the servers that are created, the last again."""

    api: Api
    guests: list[Guest]
    extra_specs: dict[str, str] = field(default_factory=lambda: {ALIAS: "h100:1"})
    statuses: list[str] = field(default_factory=lambda: ["BUILD", "ACTIVE"])
    fault: str = ""
    servers: dict[str, ProofServer] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    # How often Placement still has allocations after the deletion, by resource class.
    held: int = 1
    resource_class: str = "CUSTOM_PCI_10DE_2330"
    placement_forbidden: bool = False
    # The names of the providers of which each server has one, by uuid, beside the host's own.
    cards: dict[str, str] = field(default_factory=dict)
    refuse: Answer | None = None
    refuse_after: int = 0
    # Where a server is in the end; None: where nova was asked to put it, or on gpu-01.
    moved_to: str | None = None

    def connection(self) -> Connection:
        """As a command connects to it."""
        return connect("test", self.api.clouds, timeout=5)

    @property
    def running(self) -> list[str]:
        """The names of the servers that exist."""
        return [server.name for server in self.servers.values() if not server.deleted]

    def add(self, name: str, metadata: dict[str, str], body: dict[str, Any]) -> ProofServer:
        """A server, created now."""
        guest = self.guests.pop(0) if len(self.guests) > 1 else self.guests[0]
        server = ProofServer(str(uuid.uuid4()), name, metadata, body.get("user_data", ""), body,
                             list(self.statuses), guest, self.fault)  # fmt: skip
        server.host = self.moved_to or body.get("host", "gpu-01")
        self.servers[server.id] = server
        path = f"{COMPUTE}/servers/{server.id}"
        self.api.answers |= {
            f"GET {path}": lambda: self._shown(server),
            f"DELETE {path}": lambda: self._delete(server),
            f"POST {path}/action": lambda: self._console(server),
            f"GET /placement/allocations/{server.id}": lambda: self._allocations(server),
        }
        return server

    def create(self) -> Answer:
        """nova's answer to POST /servers."""
        if self.refuse is not None and len(self.servers) >= self.refuse_after:
            return self.refuse
        body = json.loads(self.api.sent[-1])["server"]
        server = self.add(body["name"], body.get("metadata", {}), body)
        return 202, {"server": {"id": server.id, "links": []}}

    def listed(self) -> Answer:
        """nova's answer to GET /servers/detail."""
        rows = [server.row() for server in self.servers.values() if not server.deleted]
        return 200, {"servers": rows}

    def _shown(self, server: ProofServer) -> Answer:
        if server.deleted:
            return 404, {"itemNotFound": {"message": "Instance not found", "code": 404}}
        return 200, {"server": server.row()}

    def _delete(self, server: ProofServer) -> Answer:
        server.deleted = True
        return 204, {}

    def _console(self, server: ProofServer) -> Answer:
        server.reads += 1
        return 200, {"output": server.guest(server, server.reads)[-100 * 1024 :]}

    def _allocations(self, server: ProofServer) -> Answer:
        if self.placement_forbidden:
            return 403, {"errors": [{"detail": "Access was denied"}]}
        if server.deleted:
            self.held -= 1
        if server.deleted and self.held < 0:
            return 200, {"allocations": {}}
        if self.cards:
            rows = {uuid: {"resources": {self.resource_class: 1}} for uuid in self.cards}
            return 200, {"allocations": {"rp": {"resources": {"VCPU": 8}}, **rows}}
        return 200, {"allocations": {"rp": {"resources": {self.resource_class: 1, "VCPU": 8}}}}

    def providers(self) -> Answer:
        """Placement's answer to GET /resource_providers."""
        rows = [{"uuid": uuid, "name": name, "generation": 1, "root_provider_uuid": "rp",
                 "parent_provider_uuid": "rp"} for uuid, name in self.cards.items()]  # fmt: skip
        own = {"uuid": "rp", "name": "gpu-01", "generation": 1, "root_provider_uuid": "rp",
               "parent_provider_uuid": None}  # fmt: skip
        return 200, {"resource_providers": [own, *rows]}


def proof_cloud(api: Api, *guests: Guest) -> ProofCloud:
    """A cloud with a flavor `gpu` for one H100 and an image `debian`."""
    cloud = ProofCloud(api, list(guests) or [honest(VIRTIO, H100)])
    cloud.image = {"id": "i1", "name": "debian", "status": "active", "disk_format": "qcow2"}
    api.answers |= {
        f"GET {COMPUTE}/flavors/detail": lambda: (200, {"flavors": [_flavor(cloud)]}),
        "GET /image/v2/images": lambda: (200, {"images": [cloud.image]}),
        f"POST {COMPUTE}/servers": cloud.create,
        f"GET {COMPUTE}/servers/detail": cloud.listed,
        f"GET {COMPUTE}/os-services": (
            200,
            {
                "services": [
                    _compute("gpu-01"),
                    _compute("gpu-02"),
                    _compute("gpu-03", state="down"),
                    _compute("gpu-04", status="disabled", disabled_reason="new firmware"),
                    _compute("scheduler", binary="nova-scheduler"),
                ]
            },
        ),
    }
    return cloud


def _compute(host: str, **more: str) -> dict[str, Any]:
    return {"id": host, "binary": "nova-compute", "host": host, "state": "up",
            "status": "enabled", "disabled_reason": None, **more}  # fmt: skip


def script_of(server: ProofServer) -> str:
    """The user data, as cloud-init finds it."""
    return base64.b64decode(server.user_data).decode()


def _flavor(cloud: ProofCloud) -> dict[str, Any]:
    return {
        "id": "f1", "name": "gpu", "ram": 32768, "vcpus": 8, "disk": 20, "links": [],
        "description": None, "os-flavor-access:is_public": True,
        "extra_specs": cloud.extra_specs,
    }  # fmt: skip
