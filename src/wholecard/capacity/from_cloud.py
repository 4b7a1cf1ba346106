"""What a running cloud has, by the audit's readers: Placement, nova, and hosts' facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from openstack.connection import Connection

from wholecard.audit.record import CloudViews, HostViews, View
from wholecard.audit.request import AuditWatcher
from wholecard.audit.views.combined_views import CombinedViews
from wholecard.audit.views.open_views import AuditSources, opened_views
from wholecard.capacity.record import CardUnits, HostStock, Kind, Stock, units_of
from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.connection import connect
from wholecard.cloud.operations.flavors import flavors
from wholecard.core.releases import LATEST, Release
from wholecard.explain.evidence.card_providers import address_in
from wholecard.explain.evidence.from_cloud import release_of
from wholecard.host.facts.host import Host
from wholecard.nova.flavor.numa_fit import NumaNodes, numa_nodes
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match.placement import resource_class_for

# Standard classes of devices below a host (os_resource_classes); others there are networks.
_DEVICES = ("CUSTOM_", "VGPU", "PGPU", "PCI_DEVICE", "FPGA")
_DISABLED = "COMPUTE_STATUS_DISABLED"
# Blazar makes a flavor of that name for each of its reservations.
_RESERVED = "reservation:"
_NO_NODES = "NUMA nodes and free huge pages of some hosts (--databases, --facts)"
_NO_CPUS = "which CPUs of a NUMA node are in use"


class HeldUnits(NamedTuple):
    """Units, and the ids of what holds some of them: servers, and migrations in progress."""

    units: CardUnits
    holders: tuple[str, ...] = ()


def cloud_stock(sources: AuditSources, release: Release | None, watcher: AuditWatcher) -> Stock:
    """What the cloud has now. Raises WholecardError where nova cannot be read.

    Without a cloud's API, that is from databases alone, no flavor is known.
    """
    conn = _connection(sources)
    hosts, notes = [], dict[str, None]()
    with opened_views(sources) as views:
        states = _service_states(conn, views)
        watcher.look(len(states), again=False)
        for host in views.host_views():
            hosts.append(_host(host, states))
            watcher.host(host.host)
            if View.PLACEMENT in host.unread:
                notes[host.unread[View.PLACEMENT]] = None
    having = tuple(host for host in hosts if host.cards)
    notes[_NO_CPUS if all(host.nodes for host in having) else _NO_NODES] = None
    empty = Stock("databases", having, release=release or LATEST, not_known=tuple(notes))
    if conn is None:
        return empty
    release = release or release_of(conn) or LATEST
    return replace(empty, source=sources.cloud, flavors=tuple(_requests(conn)), release=release)


def _connection(sources: AuditSources) -> Connection | None:
    if sources.conn is not None or not sources.cloud:
        return sources.conn
    return connect(sources.cloud, sources.clouds_file)


def _service_states(conn: Connection | None, views: CombinedViews) -> dict[str, str]:
    """By nova-compute's host why it gives nothing, empty where it does."""
    if conn is None:
        return states_of(views.cloud_views())
    return {
        row.host: _state(row.state == "up", row.status == "enabled")
        for row in compute_services(conn)
        if row.binary == "nova-compute"
    }


def states_of(cloud: CloudViews) -> dict[str, str]:
    """The same of what is read already."""
    return {row.host: _state(row.is_up, not row.disabled) for row in cloud.services.values()}


def _state(up: bool, enabled: bool) -> str:
    if not enabled:
        return "nova-compute is disabled"
    return "" if up else "nova-compute is down"


def _host(host: HostViews, states: Mapping[str, str]) -> HostStock:
    cards = tuple(held.units for held in held_units(host))
    closed = closed_because(host, states)
    stock = HostStock(host.host, cards, nodes=free_nodes(host.sysfs), closed=closed)
    if host.providers is None:
        return stock
    own = host.providers.root
    return replace(stock, machine=own.inventories, traits=own.traits)


def closed_because(host: HostViews, states: Mapping[str, str]) -> str:
    """Why nova gives nothing on this host, empty where it does; `states` are of its services."""
    service = host.compute_node.host if host.compute_node else host.host
    closed = states.get(service, "nova knows no nova-compute there")
    disabled = host.providers is not None and _DISABLED in host.providers.root.traits
    return closed or (_state(up=True, enabled=False) if disabled else "")


def held_units(host: HostViews) -> Iterator[HeldUnits]:
    """The host's units by Placement, and by nova where Placement has no function of it."""
    in_placement = tuple(_in_placement(host, _numa_nodes(host)))
    yield from in_placement
    if not any(":" in held.units.name for held in in_placement):
        yield from _in_nova(host)


def _numa_nodes(host: HostViews) -> dict[str, int | None]:
    """The NUMA node of each function, by nova's rows, else by the host's facts."""
    functions = host.sysfs.functions if host.sysfs else ()
    nodes = {str(row.address): row.numa_node for row in functions}
    return nodes | {row.address.lower(): row.numa_node for row in host.devices or ()}


def _in_placement(host: HostViews, nodes: Mapping[str, int | None]) -> Iterator[HeldUnits]:
    holders: dict[tuple[str, str], dict[str, None]] = {}
    for held in host.allocations or ():
        holders.setdefault((held.provider_uuid, held.resource_class), {})[held.consumer] = None
    for provider in host.providers.below if host.providers else ():
        name = address_in(provider) or provider.name
        # A parent of mediated devices: `gpu-01_pci_0000_84_00_0`.
        address = name if ":" in name else name.rpartition("_pci_")[2].replace("_", ":", 2)
        for row in provider.inventories or ():
            if row.resource_class.startswith(_DEVICES):
                node = nodes.get(address.replace("_", "."))
                units = units_of(name, row, provider.traits, node)
                key = provider.uuid, row.resource_class
                yield HeldUnits(units, tuple(holders.get(key, ())))


def _in_nova(host: HostViews) -> Iterator[HeldUnits]:
    """Cards that Placement does not have, by nova's rows of them."""
    for row in host.devices or ():
        if not row.deleted:
            kind = Kind(resource_class_for(None, row.vendor_id, row.product_id))
            # `unavailable` is a PF whose VFs are given, or the reverse.
            off = int(not row.is_held and row.status != "available")
            units = CardUnits(row.address, kind, 1, int(row.is_held), off, row.numa_node)
            yield HeldUnits(units, (row.instance_uuid,) if row.instance_uuid else ())


def free_nodes(facts: Host | None) -> NumaNodes | None:
    """The host's NUMA nodes with the huge pages that are free, None where it has none."""
    nodes = numa_nodes(facts) if facts else None
    if facts is None or nodes is None:
        return None
    free = {(pool.node, pool.size // 1024): pool.free for pool in facts.memory.hugepages}
    left = []
    for node in nodes.nodes:
        pages = tuple((size, free.get((node.id, size), 0)) for size, _ in node.pages)
        used = node.ram_mb * 1024 - node.small_kib - sum(size * count for size, count in pages)
        left.append(replace(node, ram_mb=node.ram_mb - used // 1024, pages=pages))
    return replace(nodes, nodes=tuple(left))


def _requests(conn: Connection) -> Iterator[ServerRequest]:
    for row in flavors(conn):
        if not row.name.startswith(_RESERVED):
            disk = row.disk_gb + row.more_disk_gb
            yield ServerRequest(row.name, "the cloud", row.extra_specs, row.vcpus, row.ram_mb, disk)
