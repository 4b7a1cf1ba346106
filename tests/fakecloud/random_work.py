"""Random work of users and operators from a seed, several things at a time, through nova's API.

Which things are possible depends on how nova is with the ones before, and that on its timing: a
seed gives the same choices among the same states, not the same run.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from fakecloud.fake_cloud import HOSTS, WAIT, FakeCloud, wait_for
from simulator.oracle import Found, Oracle
from wholecard.audit.report import AuditReport

MICROVERSION = "2.74"
SETTLED = 300.0
# The cards of a flavor, by its name.
FLAVORS = {"card1": 1, "card2": 2, "card3": 3}
IN_WORK = (
    "queued", "accepted", "preparing", "running", "pre-migrating", "migrating", "post-migrating",
    "confirming", "reverting",
)  # fmt: skip
SERVICES = ("nova-conductor", "nova-scheduler", "nova-api", "placement", *HOSTS)
ACTIONS: Mapping[str, Any] = {
    "migrate": {"migrate": None}, "confirm": {"confirmResize": None},
    "revert": {"revertResize": None}, "shelve": {"shelve": None}, "unshelve": {"unshelve": None},
    "reboot": {"reboot": {"type": "HARD"}},
}  # fmt: skip

_SERVERS = "SELECT uuid, host, vm_state, task_state FROM instances WHERE deleted = 0 ORDER BY id"


@dataclass(frozen=True)
class Server:
    """A row of nova's `instances`."""

    uuid: str
    host: str | None
    vm_state: str
    task_state: str | None


@dataclass
class RandomWork:
    """The work on a cloud; `refused` are answers of nova's API with HTTP 4xx, by what was asked."""

    cloud: FakeCloud
    seed: int
    operations: int = 0
    audits: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        conn = self.cloud.conn
        run = self.cloud.bench.run
        self.cloud.bench.control.inside().run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "/lab/empty.qcow2", "1M"], timeout=30
        )
        conn.create_image("empty", filename=str(run / "empty.qcow2"), disk_format="qcow2",
                          container_format="bare", wait=True, timeout=60)  # fmt: skip
        self.image = str(conn.image.find_image("empty", ignore_missing=False).id)
        self.flavors = {}
        for name, count in FLAVORS.items():
            flavor = conn.compute.create_flavor(name=name, ram=1024, vcpus=1, disk=1)
            specs = {"pci_passthrough:alias": f"h100:{count}"}
            conn.compute.create_flavor_extra_specs(flavor, specs)
            self.flavors[name] = str(flavor.id)

    # What happens.

    def servers(self) -> list[Server]:
        """nova's servers that are not deleted."""
        return [Server(*row) for row in self.cloud.rows("cell1", _SERVERS)]

    def turn(self, most: int) -> int:
        """Up to `most` operations side by side; they may still be in work. How many it were."""
        chosen = self._chosen(min(most, self.random.choice((1, 1, 2, 3, 4))))
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(lambda one: self._do(*one), chosen))
        self.operations += len(chosen)
        return len(chosen)

    def settle(self) -> None:
        """Wait until nova works on nothing. Raises AssertionError where it does not end."""
        began = time.monotonic()
        assert wait_for(self._is_settled, SETTLED), (self.servers(), self.log[-20:])
        self._log(f"  settled after {time.monotonic() - began:.1f} s")

    def decide(self) -> None:
        """Every resize that waits is confirmed, and every server in error deleted."""
        for server in self.servers():
            if server.vm_state == "resized":
                self._do("confirm", server.uuid)
        # Those that found no host are in cell0.
        for failed in self.cloud.conn.compute.servers(details=False, status="ERROR"):
            self._do("delete", failed.id)
        self.settle()

    def _chosen(self, count: int) -> list[tuple[str, str]]:
        """What is done next: by chance, of what is possible now, each on another server."""
        chosen: list[tuple[str, str]] = []
        free = self.servers()
        for _ in range(count):
            choices: list[tuple[float, str, Server | None]] = [(4.0, "boot", None)]
            if not any(kind == "restart" for kind, _ in chosen):
                choices.append((3.0, "restart", None))
            for one in free:
                choices += [(weight, kind, one) for kind, weight in possible(one)]
            weights = [weight for weight, _, _ in choices]
            _, kind, server = self.random.choices(choices, weights)[0]
            if server is None:
                names = SERVICES if kind == "restart" else tuple(FLAVORS)
                chosen.append((kind, self.random.choice(names)))
            else:
                free.remove(server)
                chosen.append((kind, server.uuid))
        if len(chosen) > 1:
            # A service that is killed in the middle of a move leaves what the oracle cannot tell.
            chosen = [one for one in chosen if one[0] != "restart"] or chosen[:1]
        return chosen

    def _do(self, kind: str, what: str) -> None:
        self.done[kind] += 1
        began = time.monotonic()
        if kind == "restart":
            self._restart(what)
            status = 0
        elif kind == "boot":
            body = {"name": "random", "imageRef": self.image, "flavorRef": self.flavors[what],
                    "networks": "none"}  # fmt: skip
            status = self._ask("/servers", {"server": body})
        elif kind == "delete":
            answer = self.cloud.conn.compute.delete(f"/servers/{what}", timeout=120)
            status = int(answer.status_code)
        else:
            status = self._ask(f"/servers/{what}/action", self._action(kind))
        if status >= 400:
            self.refused[f"{kind} {status}"] += 1
        self._log(f"{kind} {what}: {status}, {time.monotonic() - began:.1f} s")

    def _action(self, kind: str) -> Mapping[str, Any]:
        if kind == "rebuild":
            return {"rebuild": {"imageRef": self.image}}
        if kind == "resize":
            return {"resize": {"flavorRef": self.flavors[self.random.choice(tuple(FLAVORS))]}}
        body: Mapping[str, Any] = ACTIONS[kind]
        return body

    def _ask(self, path: str, body: Mapping[str, Any]) -> int:
        answer = self.cloud.conn.compute.post(
            path, json=body, microversion=MICROVERSION, timeout=120
        )
        assert answer.status_code < 500, (path, body, answer.text)
        return int(answer.status_code)

    def _restart(self, name: str) -> None:
        if name in HOSTS:
            self.cloud.restart_compute(name)
        else:
            self.cloud.bench.restart(name)

    def _is_settled(self) -> bool:
        if any(one.task_state or one.vm_state == "building" for one in self.servers()):
            return False
        statuses = ", ".join(f"'{status}'" for status in IN_WORK)
        moves = self.cloud.rows("cell1", f"SELECT id FROM migrations WHERE status IN ({statuses})")
        return not moves and not self.cloud.build_requests()

    def _log(self, line: str) -> None:
        self.log.append(f"{self.operations}: {line}")
        print(self.log[-1], flush=True)

    # What is seen.

    def audit(self, settled: bool) -> AuditReport:
        """An audit now; of a cloud at rest it waits for nova's own corrections."""
        self.audits += 1
        return self.cloud.audit(WAIT if settled else None)

    def expected(self) -> Found:
        """What an audit of a cloud at rest has to find now, from its tables."""
        return Oracle(self._read, self.cloud.told(), ()).expected()

    def _read(self, database: str, statement: str) -> list[Any]:
        """The rows of a SELECT; of servers those of cell0 too, which found no host."""
        rows = self.cloud.rows(database, statement)
        if "FROM instances" in statement:
            of_cell0 = statement.replace("FROM instances", "FROM nova_cell0.instances")
            rows += self.cloud.rows(database, of_cell0)
        return rows


def possible(server: Server) -> list[tuple[str, float]]:
    """What can be done with a server, and how often it is."""
    if server.task_state:
        return []
    if server.vm_state == "active":
        return [("delete", 0.7), ("resize", 0.5), ("migrate", 0.5), ("shelve", 0.2),
                ("rebuild", 0.2), ("reboot", 0.2)]  # fmt: skip
    if server.vm_state == "resized":
        return [("confirm", 2.0), ("revert", 1.0), ("delete", 0.2)]
    if server.vm_state == "shelved_offloaded":
        return [("unshelve", 1.0), ("delete", 0.3)]
    return [("delete", 3.0)]
