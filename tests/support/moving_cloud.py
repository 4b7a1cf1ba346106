"""A cloud whose servers move as nova's do: states, actions, migrations and allocations.

Source of the states: nova, doc/source/reference/vm-states.rst and nova/compute/manager.py. Each
look at a server is its next state, so nothing here waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from openstack.connection import Connection

from support.openstack_api import Answer, Api
from wholecard.cloud.client.connection import connect

COMPUTE, PLACEMENT = "/compute/v2.1", "/placement"
CLASS = "CUSTOM_PCI_10DE_2330"
ALIAS = "pci_passthrough:alias"

Step = Callable[[], None]


@dataclass
class MovingServer:
    """A server; `steps` are what its next looks do."""

    id: str
    name: str
    host: str
    vm_state: str = "active"
    task: str | None = None
    locked: bool = False
    specs: dict[str, str] = field(default_factory=lambda: {ALIAS: "h100:1"})
    image: dict[str, Any] | None = None
    groups: list[str] = field(default_factory=list)
    fault: str = ""
    former: str = "active"
    source: str = ""
    steps: list[Step] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    migrations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """nova/api/openstack/common.py, `_STATE_MAP`."""
        words = {"active": "ACTIVE", "stopped": "SHUTOFF", "error": "ERROR", "paused": "PAUSED",
                 "resized": "VERIFY_RESIZE", "suspended": "SUSPENDED"}  # fmt: skip
        if self.task == "migrating":
            return "MIGRATING"
        if self.task == "rebuilding":
            return "REBUILD"
        if self.task == "resize_reverting":
            return "REVERT_RESIZE"
        if self.task and self.task.startswith("resize_"):
            return "RESIZE"
        return words[self.vm_state]

    def row(self) -> dict[str, Any]:
        """As nova shows it to an administrator."""
        fault = {"fault": {"message": self.fault, "code": 500}} if self.status == "ERROR" else {}
        return {
            "id": self.id, "name": self.name, "status": self.status, "metadata": {},
            "OS-EXT-STS:vm_state": self.vm_state, "OS-EXT-STS:task_state": self.task,
            "OS-EXT-SRV-ATTR:host": self.host, "locked": self.locked,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": self.host,
            "flavor": {"original_name": "gpu", "vcpus": 4, "ram": 8192, "disk": 40, "ephemeral": 0,
                       "swap": 0, "extra_specs": self.specs},
            "image": {"id": "i1", "properties": {}} if self.image is None else self.image,
            "server_groups": self.groups, "pinned_availability_zone": None, **fault,
        }  # fmt: skip


@dataclass
class MovingCloud:
    """Hosts with so many cards each, servers on them, and what Placement has of both.

    `fail` is what a move does instead of its last step: `error`, `back`, `deleted`.
    """

    api: Api
    hosts: dict[str, int]
    servers: dict[str, MovingServer] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    allocations: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    traits: dict[str, list[str]] = field(default_factory=dict)
    fail: str = ""
    lose_cards: bool = False
    other_card: bool = False
    fault: str = "Disk is full"
    count: int = 0
    _conn: Connection | None = None

    def connection(self) -> Connection:
        """As a command connects to it, once."""
        if self._conn is None:
            self._conn = connect("test", self.api.clouds, timeout=5)
        return self._conn

    @property
    def moves(self) -> list[str]:
        """The moves that were asked for: `a migrate`, `a confirmResize`."""
        return [f"{server.name} {action['action']}" for server in self.servers.values()
                for action in server.actions]  # fmt: skip

    def add(self, name: str, host: str, cards: int = 1, **fields: Any) -> MovingServer:
        """A server with so many cards of the host's free ones."""
        if cards != 1 and "specs" not in fields:
            fields["specs"] = {ALIAS: f"h100:{cards}"} if cards else {}
        server = MovingServer(f"00000000-0000-4000-8000-{len(self.servers):012}", name, host,
                              **fields)  # fmt: skip
        self.servers[server.id] = server
        if server.vm_state == "resized":
            server.former = "active"
        self._claim(server.id, host, cards)
        path = f"{COMPUTE}/servers/{server.id}"
        self.api.answers |= {
            f"GET {path}": lambda: self._shown(server),
            f"POST {path}/action": lambda: self._act(server),
            f"GET {path}/os-instance-actions": lambda: (
                200, {"instanceActions": list(reversed(server.actions))}),
        }  # fmt: skip
        return server

    def held(self, consumer: str) -> list[str]:
        """The names of the cards' providers that this consumer holds."""
        return sorted(uuid for uuid in self.allocations.get(consumer, {}) if "_" in uuid)

    def finish_steps(self) -> None:
        """Let every server reach the end of what it does."""
        for server in self.servers.values():
            while server.steps:
                server.steps.pop(0)()

    def _claim(self, consumer: str, host: str, cards: int) -> None:
        amounts = {"VCPU": 4, "MEMORY_MB": 8192, "DISK_GB": 40}
        held = self.allocations.setdefault(consumer, {})
        held[host] = amounts
        free = [card for card in self.cards(host) if not self._used(card)]
        for card in free[:cards]:
            held[card] = {CLASS: 1}
        self._publish(consumer)

    def _release(self, consumer: str) -> dict[str, dict[str, int]]:
        rows = self.allocations.pop(consumer, {})
        self._publish(consumer)
        return rows

    def cards(self, host: str) -> list[str]:
        """The providers of the host's cards; their uuid is their name."""
        return [f"{host}_0000:{0x41 + number:02X}:00.0" for number in range(self.hosts[host])]

    def _used(self, provider: str) -> int:
        return sum(
            row.get(CLASS, 0) for rows in self.allocations.values()
            for uuid, row in rows.items() if uuid == provider
        )  # fmt: skip

    def _publish(self, consumer: str) -> None:
        self.generations[consumer] = self.generations.get(consumer, 0) + 1

        def shown() -> Answer:
            rows = self.allocations.get(consumer, {})
            return 200, {
                "allocations": {uuid: {"resources": row} for uuid, row in rows.items()},
                "consumer_generation": self.generations[consumer],
                "project_id": "p", "user_id": "u", "consumer_type": "INSTANCE",
            }  # fmt: skip

        self.api.answers[f"GET {PLACEMENT}/allocations/{consumer}"] = shown

    def _shown(self, server: MovingServer) -> Answer:
        if server.id not in self.servers:
            return 404, {"itemNotFound": {"message": "Instance not found", "code": 404}}
        if server.steps:
            server.steps.pop(0)()
        if server.id not in self.servers:
            return 404, {"itemNotFound": {"message": "Instance not found", "code": 404}}
        return 200, {"server": server.row()}

    def _record(self, server: MovingServer, action: str, *events: dict[str, Any]) -> None:
        self.count += 1
        request = f"req-{self.count}"
        when = f"2026-11-30T12:00:{self.count:02}"
        head = {"action": action, "request_id": request, "start_time": when, "message": None}
        server.actions.append(head)
        path = f"{COMPUTE}/servers/{server.id}"
        self.api.requests[f"{path}/action"] = request
        self.api.answers[f"GET {path}/os-instance-actions/{request}"] = (
            200, {"instanceAction": {**head, "events": list(events)}},
        )  # fmt: skip

    def _act(self, server: MovingServer) -> Answer:
        body = json.loads(self.api.current.body)
        name, value = next(iter(body.items()))
        return {
            "migrate": self._migrate, "os-migrateLive": self._live, "evacuate": self._evacuate,
            "confirmResize": self._confirm, "revertResize": self._revert,
        }[name](server, value or {})  # fmt: skip

    def _migrate(self, server: MovingServer, body: dict[str, Any]) -> Answer:
        if server.vm_state not in ("active", "stopped") or server.task:
            return conflict("Cannot 'migrate' instance while it is in another state")
        source, to = server.host, body["host"]
        server.former, server.source, server.task = server.vm_state, source, "resize_prep"
        event = {"event": "compute_resize_instance", "host": source, "result": "Success",
                 "start_time": "2026-11-30T12:00:00.000000",
                 "finish_time": "2026-11-30T12:01:30.000000"}  # fmt: skip
        if self.fail == "back":
            event |= {"event": "cold_migrate", "result": "Error",
                      "details": "No valid host was found."}  # fmt: skip
        self._record(server, "migrate", event)
        migration = {"id": self.count, "uuid": f"m-{server.id}", "updated_at": None,
                     "source_node": source, "dest_node": to, "status": "migrating",
                     "migration_type": "migration", "instance_uuid": server.id,
                     "source_compute": source, "dest_compute": to,
                     "created_at": f"2026-11-30T12:00:{self.count:02}"}  # fmt: skip
        server.migrations.append(migration)

        def claim() -> None:
            cards = len(self.held(server.id))
            self.allocations[migration["uuid"]] = self._release(server.id)
            self._publish(migration["uuid"])
            self._claim(server.id, to, 0 if self.lose_cards else cards + self.other_card)
            server.task = "resize_migrating"

        def arrive() -> None:
            server.task, server.host = "resize_migrated", to

        def verify() -> None:
            server.task, server.vm_state, migration["status"] = None, "resized", "finished"

        # The first look sees resize_prep.
        steps = [_nothing, claim, arrive, lambda: _task(server, "resize_finish"), verify]
        server.steps = self._failing(server, steps)
        return 202, {}

    def _failing(self, server: MovingServer, steps: list[Step]) -> list[Step]:
        def error() -> None:
            server.task, server.vm_state, server.fault = None, "error", self.fault

        def back() -> None:
            server.task = None

        def deleted() -> None:
            del self.servers[server.id]

        ends = {"error": error, "back": back, "deleted": deleted}
        return [*steps[:2], ends[self.fail]] if self.fail in ends else steps

    def _confirm(self, server: MovingServer, _: dict[str, Any]) -> Answer:
        if server.vm_state != "resized":
            return conflict("Cannot 'confirmResize' instance while it is not resized")
        self._record(server, "confirmResize")

        def done() -> None:
            self._release(f"m-{server.id}")
            server.vm_state = server.former
            server.migrations[-1]["status"] = "confirmed"

        server.steps = [_nothing, done]
        return 204, {}

    def _revert(self, server: MovingServer, _: dict[str, Any]) -> Answer:
        if server.vm_state != "resized":
            return conflict("Cannot 'revertResize' instance while it is not resized")
        self._record(server, "revertResize")
        server.task = "resize_reverting"

        def done() -> None:
            self.allocations[server.id] = self._release(f"m-{server.id}")
            server.migrations[-1]["status"] = "reverted"
            server.vm_state, server.task, server.host = server.former, None, server.source

        server.steps = [_nothing, done]
        return 202, {}

    def _live(self, server: MovingServer, body: dict[str, Any]) -> Answer:
        self._record(server, "live-migration")
        server.task = "migrating"

        def done() -> None:
            cards = len(self.held(server.id))
            self._release(server.id)
            self._claim(server.id, body["host"], cards)
            server.task, server.host = None, body["host"]

        server.steps = self._failing(server, [_nothing, _nothing, done])
        return 202, {}

    def _evacuate(self, server: MovingServer, body: dict[str, Any]) -> Answer:
        if self.services[server.host]["state"] == "up":
            message = f"Compute service of {server.host} is still in use."
            return 400, {"badRequest": {"message": message, "code": 400}}
        event: dict[str, Any] = {"event": "compute_rebuild_instance", "host": body["host"],
                                 "result": None, "start_time": "2026-11-30T12:00:00.000000",
                                 "finish_time": None}  # fmt: skip
        self._record(server, "evacuate", event)
        server.task = "rebuilding"

        def stopped() -> None:
            # Seen on nova 34: no task any more, and not on its new host yet.
            server.task, server.vm_state = None, "stopped"

        def done() -> None:
            event["result"] = "Success"
            # The allocation then names both hosts, until the old one's nova-compute starts.
            self._claim(server.id, body["host"], len(self.held(server.id)))
            server.task, server.host, server.vm_state = None, body["host"], "stopped"

        server.steps = self._failing(server, [_nothing, stopped, _nothing, done])
        return 200, {}

    def listed(self) -> Answer:
        """nova's answer to GET /servers/detail."""
        query = parse_qs(self.api.current.query)
        host = query.get("host", [""])[0]
        rows = [server.row() for server in self.servers.values() if host in ("", server.host)]
        return 200, {"servers": rows}

    def candidates(self) -> Answer:
        """Placement's answer: a host is a candidate where its cards that are free suffice."""
        query = parse_qs(self.api.current.query)
        wanted = sum(CLASS in value for values in query.values() for value in values)
        trees = query.get("in_tree") or list(self.hosts)
        found = [host for host in trees
                 if sum(not self._used(card) for card in self.cards(host)) >= wanted]  # fmt: skip
        return 200, {
            "allocation_requests": [{"allocations": {host: {}}} for host in found],
            "provider_summaries": {host: {"root_provider_uuid": host} for host in found},
        }

    def put_allocations(self) -> Answer:
        """Placement's answer to POST /allocations, which is guarded by consumers' generations."""
        body = json.loads(self.api.current.body)
        for consumer, row in body.items():
            if row["consumer_generation"] != self.generations[consumer]:
                return 409, {"errors": [{"code": "placement.concurrent_update"}]}
        for consumer, row in body.items():
            self.allocations[consumer] = {
                uuid: each["resources"] for uuid, each in row["allocations"].items()
            }
            self._publish(consumer)
        return 204, {}

    def put_service(self, host: str) -> Answer:
        """nova's answer to PUT /os-services/ID (compute API 2.53)."""
        service = self.services[host]
        service |= json.loads(self.api.current.body)
        if service["status"] == "enabled":
            service["disabled_reason"] = None
        return 200, {"service": service}


def _nothing() -> None:
    """A look that finds the server as it was."""


def _task(server: MovingServer, task: str) -> None:
    server.task = task


def conflict(message: str) -> Answer:
    """nova's 409."""
    return 409, {"conflictingRequest": {"message": message, "code": 409}}


def moving_cloud(api: Api, hosts: dict[str, int] | None = None) -> MovingCloud:
    """Two hosts with two cards each and one without, unless `hosts` says otherwise."""
    cloud = MovingCloud(api, hosts or {"gpu-01": 2, "gpu-02": 2, "gpu-03": 0})
    api.answers |= {
        f"GET {COMPUTE}/servers/detail": cloud.listed,
        f"GET {COMPUTE}/os-services": lambda: (200, {"services": list(cloud.services.values())}),
        f"GET {COMPUTE}/os-aggregates": (200, {"aggregates": []}),
        f"GET {COMPUTE}/os-server-groups": lambda: (200, {"server_groups": cloud.groups}),
        f"GET {COMPUTE}/os-hypervisors/detail": lambda: (200, {"hypervisors": [
            {"id": name, "hypervisor_hostname": name, "service": {"host": name}, "state": "up",
             "status": "enabled"} for name in cloud.hosts]}),
        f"GET {COMPUTE}/os-migrations": lambda: (200, {"migrations": [
            row for server in cloud.servers.values() for row in server.migrations]}),
        f"GET {PLACEMENT}/allocation_candidates": cloud.candidates,
        f"POST {PLACEMENT}/allocations": cloud.put_allocations,
        f"GET {PLACEMENT}/traits": (200, {"traits": []}),
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for host in cloud.hosts:
        cloud.services[host] = {
            "id": f"s-{host}", "binary": "nova-compute", "host": host, "state": "up",
            "status": "enabled", "disabled_reason": None, "forced_down": False,
        }  # fmt: skip
        api.answers[f"PUT {COMPUTE}/os-services/s-{host}"] = (
            lambda host=host: cloud.put_service(host)  # type: ignore[misc]
        )
        for name in (host, *cloud.cards(host)):
            rows.append(_provide(cloud, host, name))
    api.answers[f"GET {PLACEMENT}/resource_providers"] = (200, {"resource_providers": rows})
    return cloud


def give_trait(api: Api, provider: str, *traits: str) -> None:
    """Give a provider traits, as Placement lists them: those in use, and who has each."""
    listed: Any = api.answers[f"GET {PLACEMENT}/resource_providers"]

    def providers() -> Answer:
        wanted = parse_qs(api.current.query).get("required")
        having = {provider} if wanted and wanted[0] in traits else set()
        rows = listed[1]["resource_providers"]
        return 200, {"resource_providers": [
            row for row in rows if wanted is None or row["uuid"] in having]}  # fmt: skip

    api.answers |= {
        f"GET {PLACEMENT}/resource_providers": providers,
        f"GET {PLACEMENT}/traits": (200, {"traits": list(traits)}),
    }


def _provide(cloud: MovingCloud, host: str, name: str) -> dict[str, Any]:
    row = {"uuid": name, "name": name, "root_provider_uuid": host, "generation": 1,
           "parent_provider_uuid": None if name == host else host}  # fmt: skip
    totals = {CLASS: 1} if name != host else {"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 1000}
    path = f"GET {PLACEMENT}/resource_providers/{name}"

    def usages() -> Answer:
        used = dict.fromkeys(totals, 0)
        for rows in cloud.allocations.values():
            for resource_class, amount in rows.get(name, {}).items():
                used[resource_class] += amount
        return 200, {"usages": used}

    def consumers() -> Answer:
        rows: dict[str, Any] = {
            who: {"resources": held[name]}
            for who, held in cloud.allocations.items()
            if name in held
        }
        return 200, {"allocations": rows}

    inventories = {key: {"reserved": 0, "allocation_ratio": 1.0, "total": n, "max_unit": n}
                   for key, n in totals.items()}  # fmt: skip
    cloud.api.answers |= {
        path: (200, row),
        f"{path}/inventories": (200, {"inventories": inventories}),
        f"{path}/usages": usages,
        f"{path}/traits": lambda: (200, {"traits": cloud.traits.get(name, [])}),
        f"{path}/allocations": consumers,
    }
    return row
