"""The audit's own comparison of a bench, and what can be broken there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from support.repair_bench import (
    ADDRESS,
    CARD1,
    CARD2,
    CLASS,
    MIGRATION,
    NOW,
    ROOT1,
    ROOT2,
    A,
    B,
    Bench,
    holding,
)
from support.repair_cloud import provider
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
    View,
)
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.repair.planning import RepairFilter
from wholecard.repair.record import RepairReport
from wholecard.repair.remedies.case import RepairOptions
from wholecard.repair.request import RepairRequest, apply, plan

GONE = "cccccccc-0000-4000-8000-000000000003"
OTHER = "eeeeeeee-0000-4000-8000-000000000004"
_PLACES = {"gpu-01": (1, ROOT1), "gpu-02": (2, ROOT2)}


def spare(host: int, number: int) -> tuple[str, str, int]:
    """A free card: its address, its provider's uuid, its row's id."""
    return (
        f"0000:c{number}:00.0",
        f"{host}0000000-0000-4000-8000-0000000000c{number}",
        host * 10 + number,
    )


@dataclass
class Datacenter:
    """Server A on gpu-01 and B on gpu-02 with a card each, and three free cards on each host."""

    bench: Bench
    instances: dict[str, Instance] = field(default_factory=dict)
    migrations: list[Migration] = field(default_factory=list)
    options: RepairOptions = RepairOptions(beyond_restart=True)  # noqa: RUF009 -- it is frozen
    # 0 looks a second time at once, None does not.
    wait: float | None = 0

    def __post_init__(self) -> None:
        providers = {}
        for number, (host, (_, root)) in enumerate(_PLACES.items(), 1):
            for each in range(1, 4):
                address, uuid, row = spare(number, each)
                self.bench.add_row(row, address, compute_node_id=number, request_id="r-old")
                providers[uuid] = provider(f"{host}_{address.upper()}", root)
        self.bench.change(providers=providers, consumers={
            A: holding(ROOT1, CARD1), B: holding(ROOT2, CARD2)
        })  # fmt: skip
        for number, (host, server) in enumerate((("gpu-01", A), ("gpu-02", B)), 1):
            self.bench.add_row(number, compute_node_id=number, status="allocated",
                               instance_uuid=server, request_id=f"r{number}")  # fmt: skip
            self.add_server(server, host, (ADDRESS,))

    def add_server(self, uuid: str, host: str, hostdevs: tuple[str, ...] = ()) -> None:
        """A server that runs, with its domain."""
        self.instances[uuid] = Instance(uuid, host, host, "active", created_at=datetime(2026, 1, 1))
        domain = Domain(uuid, f"instance-{uuid[:4]}", "running", hostdevs)
        self.bench.hosts.by_host[host] = (*self.bench.hosts.by_host[host], domain)
        self.bench.change(servers={uuid: {
            "status": "ACTIVE", "OS-EXT-SRV-ATTR:hypervisor_hostname": host
        }})  # fmt: skip

    def cloud_views(self) -> CloudViews:
        services = {host: ComputeService(host, is_up=True) for host in _PLACES}
        return CloudViews(self.instances, tuple(self.migrations), services, now=NOW)

    def host_views(self) -> Iterator[HostViews]:
        state = self.bench.cloud.state
        connection = sqlite3.connect(self.bench.database)
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM pci_devices")]
        connection.close()
        for host, (number, root) in _PLACES.items():
            tree = {
                uuid: row for uuid, row in state["providers"].items()
                if uuid == root or row["name"].startswith(f"{host}_")
            }  # fmt: skip
            allocations = tuple(
                ConsumerAllocation(consumer, uuid, name, used, row["project"], row["user"],
                                   row["generation"])
                for consumer, row in state["consumers"].items()
                for uuid, amounts in row["held"].items() if uuid in tree
                for name, used in amounts.items()
            )  # fmt: skip
            below = [
                _provider(uuid, row, allocations) for uuid, row in tree.items() if uuid != root
            ]
            yield HostViews(
                host,
                ComputeNode(number, root, host, host, "cell1"),
                domains=self.bench.hosts.by_host[host],
                mdevs=(),
                devices=tuple(
                    _device(host, row) for row in rows if row["compute_node_id"] == number
                ),
                providers=ProviderTree(_provider(root, tree[root], allocations), tuple(below)),
                allocations=allocations,
                unread={View.SYSFS: "It is not there."},
            )

    def audit(self) -> AuditReport:
        return audit_views(lambda _: nullcontext(self), self.wait, AuditWatcher())

    @property
    def rules(self) -> list[str]:
        """The rules of what disagrees now."""
        return sorted(row.rule for row in self.audit().disagreements)

    def request(self, *rules: str) -> RepairRequest:
        return RepairRequest(self.bench.context, self.audit, self.bench.journal, self.options,
                             RepairFilter(frozenset(rules)))  # fmt: skip

    def repair(self, *rules: str) -> RepairReport:
        return apply(self.request(*rules))

    def plan_text(self) -> str:
        return str(plan(self.request()).plan)

    def put(self, change: Callable[[dict[str, dict[str, dict[str, object]]]], None]) -> None:
        """Change Placement's state behind everybody's back."""
        state = self.bench.cloud.state
        change(state)
        self.bench.cloud.write(state)


def _device(host: str, row: dict[str, object]) -> PciDevice:
    names = ("id", "compute_node_id", "address", "vendor_id", "product_id", "dev_type", "status",
             "instance_uuid", "request_id", "numa_node", "parent_addr", "label", "extra_info",
             "deleted")  # fmt: skip
    times = {
        name: datetime.fromisoformat(str(row[name])) if row[name] else None
        for name in ("created_at", "updated_at", "deleted_at")
    }
    return PciDevice(host=host, **{name: row[name] for name in names}, **times)  # type: ignore[arg-type]


def _provider(
    uuid: str, row: dict[str, object], allocations: tuple[ConsumerAllocation, ...]
) -> ResourceProvider:
    inventories = tuple(
        Inventory(name, each["total"], each["reserved"],
                  sum(a.used for a in allocations if a.provider_uuid == uuid))
        for name, each in row["inventories"].items()  # type: ignore[attr-defined]
    )  # fmt: skip
    return ResourceProvider(
        str(row["name"]), uuid, row["parent"], generation=row["generation"],  # type: ignore[arg-type]
        inventories=inventories, traits=frozenset(row["traits"]),  # type: ignore[call-overload]
    )  # fmt: skip


# Each breaks another thing; the key is the rule that must name it.
def _deleted_servers_row(made: Datacenter) -> None:
    made.bench.sql(
        "UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE id = 11", GONE
    )


def _row_on_old_host(made: Datacenter) -> None:
    made.bench.sql(
        "UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE id = 21", A
    )


def _freed_row(made: Datacenter) -> None:
    made.bench.sql("UPDATE pci_devices SET status = 'available', instance_uuid = NULL WHERE id = 1")


def _half_deleted(made: Datacenter) -> None:
    made.bench.add_row(30, "0000:e1:00.0", status="removed", dev_id=None)


def _claimed_for_ever(made: Datacenter) -> None:
    made.bench.sql("UPDATE pci_devices SET status = 'claimed', instance_uuid = ? WHERE id = 12", A)


def _nobodys_allocation(made: Datacenter) -> None:
    made.bench.change(consumers={GONE: holding(ROOT1, spare(1, 3)[1])})


def _dead_migration(made: Datacenter) -> None:
    made.migrations.append(Migration(
        7, MIGRATION, "error", "live-migration", B, "gpu-02", "gpu-01", "gpu-02", "gpu-01"
    ))  # fmt: skip
    made.bench.change(consumers={MIGRATION: holding(spare(2, 2)[1], type="MIGRATION")})


def _two_hosts(made: Datacenter) -> None:
    def change(state: dict[str, dict[str, dict[str, object]]]) -> None:
        held: dict[str, object] = state["consumers"][B]["held"]  # type: ignore[assignment]
        held |= {ROOT1: {"VCPU": 1}, spare(1, 1)[1]: {CLASS: 1}}

    made.put(change)


def _not_allocated(made: Datacenter) -> None:
    def change(state: dict[str, dict[str, dict[str, object]]]) -> None:
        del state["consumers"][B]["held"][CARD2]  # type: ignore[attr-defined]

    made.put(change)


def _allocated_without(made: Datacenter) -> None:
    def change(state: dict[str, dict[str, dict[str, object]]]) -> None:
        state["consumers"][A]["held"][spare(1, 2)[1]] = {CLASS: 1}  # type: ignore[index]

    made.put(change)


def _swapped(made: Datacenter) -> None:
    def change(state: dict[str, dict[str, dict[str, object]]]) -> None:
        state["consumers"][A]["held"].pop(CARD1)  # type: ignore[attr-defined]

    made.add_server(OTHER, "gpu-01")
    made.bench.change(consumers={OTHER: holding(ROOT1, CARD1)})
    made.put(change)


def _provider_without_row(made: Datacenter) -> None:
    made.bench.change(providers={
        "10000000-0000-4000-8000-0000000000f1": provider("gpu-01_0000:F1:00.0", ROOT1)
    })  # fmt: skip


def _wrong_parent(made: Datacenter) -> None:
    made.put(lambda state: state["providers"][spare(2, 3)[1]].update(parent=CARD2))


def _reserved(made: Datacenter) -> None:
    def change(state: dict[str, dict[str, dict[str, object]]]) -> None:
        state["providers"][spare(2, 1)[1]]["inventories"][CLASS]["reserved"] = 1  # type: ignore[index]

    made.put(change)


FAULTS: dict[str, Callable[[Datacenter], None]] = {
    "WC511": _deleted_servers_row,
    "WC513": _freed_row,
    "WC514": _swapped,
    "WC515": _row_on_old_host,
    "WC516": _half_deleted,
    "WC519": _claimed_for_ever,
    "WC520": _nobodys_allocation,
    "WC521": _dead_migration,
    "WC522": _two_hosts,
    "WC523": _not_allocated,
    "WC524": _allocated_without,
    "WC526": _provider_without_row,
    "WC528": _wrong_parent,
    "WC532": _reserved,
}
