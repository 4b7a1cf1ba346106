"""The four views in memory: a consistent cloud by counts, and changes to single things of it.

The shape is that of nova's own `assert_placement_pci_view`: each card with its row, its provider
and who has it. `FixedViews` is a `Views`; every `with_…` gives a changed copy.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from support import hosts
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
    PciRequest,
)
from wholecard.audit.views.source import Views
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.pci import Function

NOW = datetime(2026, 11, 30, 12, 0, 0)
LONG_AGO = NOW - timedelta(days=1)
IDS = "10de:2330"
CLASS = "CUSTOM_PCI_10DE_2330"
TRAITS = frozenset({"COMPUTE_MANAGED_PCI_DEVICE", "OWNER_NOVA"})


def an_id(*words: object) -> str:
    """A uuid that is the same for the same words."""
    return str(uuids.uuid5(uuids.NAMESPACE_OID, " ".join(map(str, words))))


@dataclass(frozen=True)
class FixedViews:
    """A cloud's views as they are; `hosts` in the order of their names.

    `every` are all hosts of the cloud where `hosts` are only some, for who holds what where.
    """

    cloud: CloudViews
    hosts: tuple[HostViews, ...]
    every: tuple[HostViews, ...] = ()

    def cloud_views(self) -> CloudViews:
        return replace(self.cloud, holdings=self._holdings())

    def host_views(self) -> Iterator[HostViews]:
        yield from self.hosts

    def close(self) -> None:
        """Nothing is open."""

    def only(self, names: Sequence[str] | None) -> FixedViews:
        """These hosts alone."""
        if names is None:
            return self
        some = tuple(host for host in self.hosts if host.host in names)
        return replace(self, hosts=some, every=self.hosts)

    def _holdings(self) -> dict[str, frozenset[str]]:
        hosts: dict[str, set[str]] = {}
        for host in self.every or self.hosts:
            for row in host.allocations or ():
                hosts.setdefault(row.consumer, set()).add(host.host)
        return {consumer: frozenset(at) for consumer, at in hosts.items() if len(at) > 1}

    def host(self, name: str) -> HostViews:
        return next(host for host in self.hosts if host.host == name)

    def row(self, host: str, address: str) -> PciDevice:
        return next(row for row in self.host(host).devices or () if row.address == address)

    def provider(self, host: str, address: str) -> ResourceProvider:
        tree = self.host(host).providers
        assert tree is not None
        name = f"{host}_{address.upper()}"
        return next(provider for provider in tree.below if provider.name == name)

    def with_host(self, name: str, **changes: Any) -> FixedViews:
        changed = (replace(host, **changes) if host.host == name else host for host in self.hosts)
        return replace(self, hosts=tuple(changed))

    def with_cloud(self, **changes: Any) -> FixedViews:
        return replace(self, cloud=replace(self.cloud, **changes))

    def with_row(self, host: str, address: str, **changes: Any) -> FixedViews:
        """A row changed, as by raw SQL: `updated_at` stays."""
        rows = self.host(host).devices or ()
        changed = (replace(row, **changes) if row.address == address else row for row in rows)
        return self.with_host(host, devices=tuple(changed))

    def without_row(self, host: str, address: str) -> FixedViews:
        rows = self.host(host).devices or ()
        return self.with_host(host, devices=tuple(row for row in rows if row.address != address))

    def and_row(self, host: str, row: PciDevice) -> FixedViews:
        return self.with_host(host, devices=(*(self.host(host).devices or ()), row))

    def with_instance(self, uuid: str, **changes: Any) -> FixedViews:
        instance = self.cloud.instances.get(uuid) or Instance(uuid, None, None, "active")
        instances = {**self.cloud.instances, uuid: replace(instance, **changes)}
        return self.with_cloud(instances=instances)

    def with_migration(self, **fields: Any) -> FixedViews:
        number = len(self.cloud.migrations) + 1
        defaults: dict[str, Any] = {
            "id": number, "uuid": an_id("migration", number), "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
        }  # fmt: skip
        return self.with_cloud(
            migrations=(*self.cloud.migrations, Migration(**{**defaults, **fields}))
        )

    def with_service(self, host: str, **changes: Any) -> FixedViews:
        service = replace(self.cloud.services[host], **changes)
        return self.with_cloud(services={**self.cloud.services, host: service})

    def with_domain(self, host: str, uuid: str, **changes: Any) -> FixedViews:
        """A domain changed, or made."""
        domains = self.host(host).domains or ()
        old = next((domain for domain in domains if domain.uuid == uuid), None)
        new = replace(old or Domain(uuid, f"instance-{uuid[:8]}", "running"), **changes)
        others = tuple(domain for domain in domains if domain.uuid != uuid)
        return self.with_host(host, domains=(*others, new))

    def without_domain(self, host: str, uuid: str) -> FixedViews:
        domains = self.host(host).domains or ()
        return self.with_host(host, domains=tuple(row for row in domains if row.uuid != uuid))

    def with_provider(self, host: str, address: str, **changes: Any) -> FixedViews:
        """A provider changed; `inventory` has the changes of its one inventory."""
        old = self.provider(host, address)
        if inventory := changes.pop("inventory", None):
            assert old.inventories is not None
            changes["inventories"] = (replace(old.inventories[0], **inventory),)
        return self._with_below(
            host, lambda provider: replace(provider, **changes) if provider is old else provider
        )

    def without_provider(self, host: str, address: str) -> FixedViews:
        old = self.provider(host, address)
        gone = self._with_below(host, lambda provider: None if provider is old else provider)
        rows = self.host(host).allocations or ()
        return gone.with_host(
            host, allocations=tuple(row for row in rows if row.provider_uuid != old.uuid)
        )

    def and_provider(self, host: str, provider: ResourceProvider) -> FixedViews:
        tree = self.host(host).providers
        assert tree is not None
        return self.with_host(host, providers=replace(tree, below=(*tree.below, provider)))

    def _with_below(
        self, host: str, change: Callable[[ResourceProvider], ResourceProvider | None]
    ) -> FixedViews:
        tree = self.host(host).providers
        assert tree is not None
        below = tuple(new for new in map(change, tree.below) if new is not None)
        return self.with_host(host, providers=replace(tree, below=below))

    def allocate(self, host: str, address: str, consumer: str, used: int = 1) -> FixedViews:
        """One more consumer of a device; address empty for the host's own provider."""
        tree = self.host(host).providers
        assert tree is not None
        provider = self.provider(host, address) if address else tree.root
        row = ConsumerAllocation(
            consumer, provider.uuid, CLASS if address else "VCPU", used, "project", "user", 1
        )
        rows = (*(self.host(host).allocations or ()), row)
        return self.with_host(host, allocations=rows)._counted(host)

    def free(self, host: str, address: str, consumer: str = "") -> FixedViews:
        """No allocation of this device any more (of this consumer); address empty for the host."""
        tree = self.host(host).providers
        assert tree is not None
        uuid = (self.provider(host, address) if address else tree.root).uuid
        rows = tuple(
            row for row in self.host(host).allocations or ()
            if row.provider_uuid != uuid or (consumer and row.consumer != consumer)
        )  # fmt: skip
        return self.with_host(host, allocations=rows)._counted(host)

    def _counted(self, host: str) -> FixedViews:
        """With each inventory's `used` as the allocations have it."""
        used: dict[tuple[str, str], int] = {}
        for row in self.host(host).allocations or ():
            key = row.provider_uuid, row.resource_class
            used[key] = used.get(key, 0) + row.used

        def counted(provider: ResourceProvider) -> ResourceProvider:
            inventories = tuple(
                replace(row, used=used.get((provider.uuid, row.resource_class), 0))
                for row in provider.inventories or ()
            )
            return replace(provider, inventories=inventories)

        return self._with_below(host, counted)


def look(views: Views) -> Callable[[tuple[str, ...] | None], AbstractContextManager[Views]]:
    """What the audit opens again and again: the same views, of the hosts that it names."""

    def opened(names: tuple[str, ...] | None) -> AbstractContextManager[Views]:
        return nullcontext(views.only(names) if isinstance(views, FixedViews) else views)

    return opened


def looks(*views: FixedViews) -> Callable[[tuple[str, ...] | None], AbstractContextManager[Views]]:
    """One after the other, the last one for ever."""
    left = list(views)

    def opened(names: tuple[str, ...] | None) -> AbstractContextManager[Views]:
        return nullcontext((left.pop(0) if len(left) > 1 else left[0]).only(names))

    return opened


def addresses(cards: int) -> tuple[str, ...]:
    """The GPUs' addresses: `0000:41:00.0` and on."""
    return tuple(f"0000:{0x41 + number:02x}:00.0" for number in range(cards))


def server_of(host: str, number: int) -> str:
    """The id of the host's server of that number."""
    return an_id("server", host, number)


def audit_cloud(
    names: int | Sequence[str] = 2,
    cards: int = 4,
    given: int = 2,
    per_server: int = 1,
    audio: bool = False,
    placement: bool = True,
) -> FixedViews:
    """A cloud in which all four views agree.

    Each host has `cards`, of which the first `given` are with servers, `per_server` each; `audio`
    gives each card a second function, which goes with it. `placement` is report_in_placement.
    """
    if isinstance(names, int):
        names = [f"gpu-{number:02}" for number in range(1, names + 1)]
    instances: dict[str, Instance] = {}
    made = [
        _host(name, number, cards, given, per_server, audio, placement, instances)
        for number, name in enumerate(names, 1)
    ]
    services = {name: ComputeService(name, is_up=True, last_seen_up=NOW) for name in names}
    return FixedViews(CloudViews(instances, services=services, now=NOW), tuple(made))


def _host(
    name: str, number: int, cards: int, given: int, per_server: int, audio: bool, placement: bool,
    instances: dict[str, Instance],
) -> HostViews:  # fmt: skip
    node = ComputeNode(number, an_id("node", name), name, name, "cell1")
    functions: list[Function] = []
    rows: list[PciDevice] = []
    below: list[ResourceProvider] = []
    held: list[tuple[str, str, str]] = []
    domains: dict[str, list[str]] = {}
    for card, gpu in enumerate(addresses(cards)):
        server = server_of(name, card // per_server) if card < given else None
        both = [gpu, gpu[:-1] + "1"] if audio else [gpu]
        for address in both:
            ids, code = (IDS, "030200") if address == gpu else ("10de:22ba", "040300")
            functions.append(hosts.bound(address, ids, class_code=code, numa_node=card % 2))
            provider = a_provider(name, address, ids, node.uuid, server is not None)
            rows.append(a_row(node, number * 1000 + len(rows), address, ids, card % 2, server,
                              provider.uuid if placement else ""))  # fmt: skip
            if placement:
                below.append(provider)
            if server is None:
                continue
            asks = both if audio else [""]
            instances[server] = a_server(server, name, card // per_server, per_server * len(asks))
            held.append((server, provider.uuid, class_of(ids)))
            domains.setdefault(server, []).append(address)
    root = ResourceProvider(name, node.uuid, None, node.uuid, 1, (Inventory("VCPU", 64, 0, 4),))
    allocations = [
        ConsumerAllocation(server, uuid, resource_class, 1, "project", "user", 1)
        for server, uuid, resource_class in (held if placement else ())
    ] + [
        ConsumerAllocation(server, node.uuid, "VCPU", 4, "project", "user", 1)
        for server in domains
    ]  # fmt: skip
    return HostViews(
        name, node, hosts.host(*functions),
        tuple(Domain(server, f"instance-{server[:8]}", "running", tuple(has))
              for server, has in domains.items()),
        (), tuple(rows), ProviderTree(root, tuple(below)), tuple(allocations),
    )  # fmt: skip


def class_of(ids: str) -> str:
    """nova's own class for these ids."""
    return f"CUSTOM_PCI_{ids.replace(':', '_').upper()}"


def a_server(server: str, host: str, number: int, cards: int) -> Instance:
    """An ACTIVE server with so many devices."""
    request = PciRequest(an_id("request", server), cards, "h100")
    return Instance(
        server, host, host, "active", None, 1, False, "project", f"train-{number}", (request,), 0,
        LONG_AGO, LONG_AGO,
    )  # fmt: skip


def a_row(
    node: ComputeNode, number: int, address: str, ids: str, numa: int | None, server: str | None,
    provider: str,
) -> PciDevice:  # fmt: skip
    """A row of pci_devices, allocated to the server or available."""
    vendor, product = ids.split(":")
    request = an_id("request", server) if server else None
    return PciDevice(
        number, node.hypervisor_hostname, node.id, address, vendor, product, "type-PCI",
        "allocated" if server else "available", server, request,
        numa, None, f"label_{vendor}_{product}",
        f'{{"rp_uuid": "{provider}"}}' if provider else "{}", LONG_AGO, LONG_AGO,
    )  # fmt: skip


def a_provider(host: str, address: str, ids: str, root: str, used: bool) -> ResourceProvider:
    """A device's provider as nova-compute makes it."""
    name = f"{host}_{address.upper()}"
    inventory = Inventory(class_of(ids), 1, 0, int(used), 1.0, 1)
    return ResourceProvider(name, an_id("provider", name), root, root, 3, (inventory,), TRAITS)
