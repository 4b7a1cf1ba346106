"""The states of nova's own moves, as `stageside.py` recorded them, and as the audit's views.

`golden/moves.json` has, for each move, what any reader of the databases and of libvirt saw after
each commit of nova 34.0.0 and Placement 16.0.0 (nova's functional tests' base: two hosts with three
cards each). `python -m simulator.recorded_moves`, in `tests/`, records it again (2 minutes).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from differential.environments import python_of
from support import hosts
from support.audit_views import LONG_AGO, NOW, TRAITS, FixedViews, an_id
from wholecard.audit.record import (
    CloudViews,
    ComputeNode,
    ComputeService,
    ConsumerAllocation,
    Domain,
    HostViews,
    Instance,
    Migration,
    PciDevice,
)
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.repair.operations.placement import Consumer

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "golden" / "moves.json"
NOVA = 34
HOSTS = ("gpu-01", "gpu-02")
VENDOR, PRODUCT = "10de", "2330"
CLASS = f"CUSTOM_PCI_{VENDOR}_{PRODUCT}".upper()


@dataclass(frozen=True)
class RecordedMove:
    """What was asked of nova, how its API answered where it failed, and what was seen then."""

    name: str
    error: str
    states: tuple[Mapping[str, Any], ...]

    @property
    def last(self) -> Mapping[str, Any]:
        """How it ended."""
        return self.states[-1]


def recorded_moves() -> tuple[RecordedMove, ...]:
    """The moves in the golden file."""
    return tuple(
        RecordedMove(row["name"], row["error"], tuple(row["states"]))
        for row in json.loads(GOLDEN.read_text())
    )


def record() -> None:
    """Asks nova again and writes the golden file."""
    ended = subprocess.run(
        [str(python_of(NOVA)), "-I", "-W", "ignore", str(FOLDER / "stageside.py")],
        capture_output=True, text=True, check=True, timeout=900,
    )  # fmt: skip
    *rows, ending = [json.loads(line) for line in ended.stdout.splitlines()]
    if ending["broken"]:
        raise AssertionError("\n".join(ending["broken"]))
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


@dataclass(frozen=True)
class StateViews:
    """A recorded state as the audit's views; `age` is how long ago nova changed anything."""

    state: Mapping[str, Any]
    age: timedelta = timedelta(0)
    down: Sequence[str] = ()

    def views(self) -> FixedViews:
        """The views."""
        services = {
            host: ComputeService(host, is_up=host not in self.down, forced_down=host in self.down,
                                 last_seen_up=NOW)
            for host in HOSTS
        }  # fmt: skip
        cloud = CloudViews(self._instances, self._migrations, services, now=NOW)
        return FixedViews(cloud, tuple(self._host(host) for host in HOSTS))

    @property
    def _when(self) -> Any:
        return NOW - self.age

    @cached_property
    def _instances(self) -> dict[str, Instance]:
        return {
            uuid: Instance(uuid, host, host, vm_state, task_state, 1, bool(deleted), "project",
                           uuid, None, 0, LONG_AGO, self._when)
            for uuid, vm_state, task_state, host, deleted in self.state["servers"]
        }  # fmt: skip

    @cached_property
    def _migrations(self) -> tuple[Migration, ...]:
        return tuple(
            Migration(number, uuid, status, kind, server, source, dest, source, dest, LONG_AGO,
                      self._when)
            for number, (uuid, kind, status, source, dest, server) in enumerate(
                self.state["migrations"], 1
            )
        )  # fmt: skip

    def _host(self, host: str) -> HostViews:
        node = ComputeNode(HOSTS.index(host) + 1, an_id("node", host), host, host, "cell1")
        rows = [row for row in self.state["rows"] if row[0] == host]
        tree, allocations = self._placement(host, node)
        return HostViews(
            host, node, self._sysfs(host),
            tuple(Domain(server, server, state, tuple(devices))
                  for at, server, state, devices in self.state["domains"] if at == host),
            (), tuple(self._row(node, number, *row[1:]) for number, row in enumerate(rows, 1)),
            tree, allocations,
        )  # fmt: skip

    def _sysfs(self, host: str) -> Any:
        here = {row[1] for row in self.state["rows"] if row[0] == host}
        functions = (
            hosts.bound(address, f"{VENDOR}:{PRODUCT}", numa_node=int(address[9]) % 2)
            for address in sorted(here)
        )
        return hosts.host(*functions)

    def _row(
        self, node: ComputeNode, number: int, address: str, status: str, server: str | None
    ) -> PciDevice:
        provider = an_id("provider", node.host, address)
        return PciDevice(
            node.id * 100 + number, node.host, node.id, address, VENDOR, PRODUCT, "type-PCI",
            status, server, None, int(address[9]) % 2, extra_info=f'{{"rp_uuid": "{provider}"}}',
            created_at=LONG_AGO, updated_at=self._when,
        )  # fmt: skip

    def _placement(
        self, host: str, node: ComputeNode
    ) -> tuple[ProviderTree, tuple[ConsumerAllocation, ...]]:
        used: dict[str, int] = {}
        held = []
        for consumer, name, resource_class, amount in self.state["allocations"]:
            if name.partition("_")[0] != host:
                continue
            uuid = node.uuid if name == host else an_id("provider", host, name[7:].lower())
            used[name] = used.get(name, 0) + amount
            held.append(ConsumerAllocation(consumer, uuid, resource_class, amount))
        below = tuple(
            ResourceProvider(
                name, an_id("provider", host, name[7:].lower()), node.uuid, node.uuid, 1,
                (Inventory(resource_class, total, reserved, used.get(name, 0), 1.0, total),),
                TRAITS,
            )
            for name, resource_class, total, reserved in self.state["inventories"]
            if name.partition("_")[0] == host
        )  # fmt: skip
        root = ResourceProvider(host, node.uuid, None, node.uuid, 1, (Inventory("VCPU", 64),))
        return ProviderTree(root, below), tuple(held)


@dataclass(frozen=True)
class StatePlacement:
    """Placement of a recorded state as a repair's plan reads it."""

    views: StateViews

    def consumer(self, uuid: str) -> Consumer:
        """What a consumer holds."""
        held: dict[str, dict[str, int]] = {}
        for host in self.views.views().hosts:
            for row in host.allocations or ():
                if row.consumer == uuid:
                    held.setdefault(row.provider_uuid, {})[row.resource_class] = row.used
        return Consumer(uuid, held, 1, "project", "user", "INSTANCE")

    def tree(self, provider: str) -> dict[str, str]:
        """The names of all providers of the same host, by uuid."""
        for host in self.views.views().hosts:
            tree = host.providers
            names = {row.uuid: row.name for row in (tree.root, *tree.below)} if tree else {}
            if provider in names:
                return names
        raise KeyError(provider)

    def parent(self, provider: str) -> str | None:
        """The uuid of a provider's parent."""
        root = next(iter(self.tree(provider)))
        return None if provider == root else root

    def traits(self, provider: str) -> frozenset[str]:
        """Every provider's traits."""
        return TRAITS


def states() -> Iterator[tuple[RecordedMove, int, Mapping[str, Any]]]:
    """Every recorded state with its move and its number in it."""
    for move in recorded_moves():
        for number, state in enumerate(move.states):
            yield move, number, state


if __name__ == "__main__":
    record()
