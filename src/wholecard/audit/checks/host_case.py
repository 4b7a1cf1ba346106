"""What the checks of one host look at: its views, indexed by address, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache

from wholecard.audit import fact_names as names
from wholecard.audit.checks.cloud_case import CloudCase, Place
from wholecard.audit.checks.what_views_say import what_views_say
from wholecard.audit.record import (
    ConsumerAllocation,
    Disagreement,
    Domain,
    HostViews,
    Migration,
    PciDevice,
    View,
)
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.core.quick_record import quick_record
from wholecard.core.rules import Severity
from wholecard.pci import Function
from wholecard.pci.address import parse_numbers

MANAGED = "COMPUTE_MANAGED_PCI_DEVICE"
_CYBORG = "OWNER_CYBORG"
# https://pci-ids.ucw.cz/read/PD: network controllers.
_NETWORK = "02"
_CHILD_TYPES = frozenset({"type-VF", "vdpa"})


@quick_record(frozen=True, slots=True)
class DeviceProvider:
    """nova's provider of a device: its address, nova's rows for it, and who holds something of it.

    `holders` are the servers that hold rows of it, with how many.
    """

    provider: ResourceProvider
    address: str
    rows: tuple[PciDevice, ...] = ()
    allocations: tuple[ConsumerAllocation, ...] = ()
    holders: Mapping[str, int] = field(default_factory=dict)

    def counted(self) -> dict[str, int]:
        """How many Placement counts for each consumer."""
        counted: dict[str, int] = {}
        for row in self.allocations:
            counted[row.consumer] = counted.get(row.consumer, 0) + row.used
        return counted

    def capacity(self) -> int | None:
        """How many can be allocated, None where its inventory is not known."""
        inventory = next(iter(self.provider.inventories or ()), None)
        return None if inventory is None else inventory.total - inventory.reserved


class HostCase:
    """One host beside the cloud.

    `rows` are nova's rows that count, by address; None where nova's database was not read, and so
    `functions` by address without sysfs. `users` are the active domains that have a function.
    `providers` are nova's own for devices, by address, None where Placement was not read; `novas`
    are the uuids of these and of mediated devices' parents, `foreign` the addresses of Cyborg's.
    `doubles` are rows for an address that another row of the host has.
    """

    def __init__(self, host: HostViews, cloud: CloudCase):
        self.host = host
        self.cloud = cloud
        self.doubles: list[PciDevice] = []
        self.rows = self._rows() if host.devices is not None else None
        self.domains = {domain.uuid: domain for domain in host.domains or ()}
        self.users = self._users()
        self.functions = (
            {_text(f.address.domain, f.address.bus, f.address.slot, f.address.function): f
             for f in host.sysfs.functions}
            if host.sysfs is not None else None
        )  # fmt: skip
        self.allocations: dict[str, list[ConsumerAllocation]] = {}
        for allocation in host.allocations or ():
            self.allocations.setdefault(allocation.provider_uuid, []).append(allocation)
        self.foreign: set[str] = set()
        self.novas: set[str] = set()
        self.providers = self._providers() if self.has_placement else None

    @property
    def has_placement(self) -> bool:
        """Whether Placement was read: providers and allocations, or that there are none."""
        return self.host.has(View.PLACEMENT) and self.host.allocations is not None

    @property
    def name(self) -> str:
        """The hypervisor's host name."""
        return self.host.host

    def _rows(self) -> dict[str, PciDevice]:
        rows: dict[str, PciDevice] = {}
        own = self.host.compute_node.id if self.host.compute_node else None
        for row in self.host.devices or ():
            if row.deleted != 0:
                continue
            other = rows.get(row.address)
            if other is None:
                rows[row.address] = row
            elif row.compute_node_id == own and other.compute_node_id != own:
                rows[row.address] = row
                self.doubles.append(other)
            else:
                self.doubles.append(row)
        return rows

    def _users(self) -> dict[str, list[Domain]]:
        users: dict[str, list[Domain]] = {}
        for domain in self.host.domains or ():
            if domain.hostdevs and domain.is_active:
                for address in domain.hostdevs:
                    users.setdefault(address, []).append(domain)
        return users

    def _providers(self) -> dict[str, DeviceProvider]:
        """nova's providers of devices, by address."""
        found: dict[str, DeviceProvider] = {}
        tree = self.host.providers
        if tree is None:
            return found
        below = self._rows_by_provider()
        prefix = f"{self.name}_"
        for provider in tree.below:
            address = _address_in(provider.name)
            if _CYBORG in provider.traits:
                self.foreign.add(address)
                continue
            if not address:
                # Of mediated devices' parents: `gpu-01_pci_0000_84_00_0`. Neutron's are named
                # after agents and bridges: `gpu-01:Open vSwitch agent:br-ex`.
                if provider.name.startswith(prefix):
                    self.novas.add(provider.uuid)
                continue
            rows = below.get(address, ())
            if MANAGED not in provider.traits and not rows:
                continue
            self.novas.add(provider.uuid)
            found[address] = DeviceProvider(
                provider, address, tuple(rows),
                tuple(self.allocations.get(provider.uuid, ())), _holders(rows),
            )  # fmt: skip
        return found

    def _rows_by_provider(self) -> dict[str, list[PciDevice]]:
        """The rows by the address that their provider is named after."""
        below: dict[str, list[PciDevice]] = {}
        for row in (self.rows or {}).values():
            below.setdefault(_provider_address(row), []).append(row)
        return below

    def provider_of(self, row: PciDevice) -> DeviceProvider | None:
        """The provider of a row's device, None where Placement has none."""
        if self.providers is None:
            return None
        return self.providers.get(_provider_address(row))

    def place(self, server: str) -> Place:
        """What the server has to do with this host."""
        return self.cloud.place(server, self.host)

    def is_free(self, row: PciDevice) -> bool:
        """Whether nobody here has it: nova can give it away, at the latest when it is corrected."""
        if not row.is_held:
            return row.status == "available"
        return self.place(row.instance_uuid or "") in (Place.GONE, Place.ELSEWHERE)

    def is_of_a_port(self, row: PciDevice) -> bool:
        """Whether the device came by a Neutron port, as far as that is known.

        Placement does not have it, and a domain shows it as a hostdev or, with macvtap and vDPA, in
        another way. nova/objects/instance_pci_requests.py, `source`: a request of a port has no
        alias. Where the requests were not read, a network function may be a port's.
        """
        if row.dev_type == "vdpa":
            return True
        instance = self.cloud.instance(row.instance_uuid or "")
        requests = instance.pci_requests if instance is not None else None
        if requests is not None:
            return any(
                request.request_id == row.request_id and request.alias_name is None
                for request in requests
            )
        function = (self.functions or {}).get(row.address)
        return function is not None and function.class_code.startswith(_NETWORK)

    def service(self) -> str:
        """`up`, `down`, `disabled`, `forced down`, or empty where nova has no such service."""
        service = self.cloud.service_of(self.host)
        if service is None:
            return ""
        if service.forced_down:
            return "forced down"
        if not service.is_up:
            return "down"
        return "disabled" if service.disabled else "up"

    @property
    def is_down(self) -> bool:
        """Whether nova-compute is known not to run, so that it corrects nothing."""
        return self.service() in ("down", "forced down")

    def fails_start(self, device: DeviceProvider | None) -> bool:
        """Whether nova-compute fails at its start, and in each periodic run, because of the device.

        It writes into Placement what its rows say of a server that has an allocation on this host
        and no move in progress, and Placement refuses more than it has. Sources:
        nova/compute/pci_placement_translator.py, PciResourceProvider.update_allocations;
        nova/compute/manager.py, _update_available_resource_for_node (ReshapeFailed).
        """
        if device is None or (capacity := device.capacity()) is None:
            return False
        counted = device.counted()
        here = {row.consumer for row in self.shared_allocations()}
        migrations = filter(None, map(self.cloud.migration, counted))
        moving = {row.instance_uuid for row in migrations if self.cloud.is_live(row)}
        written = {server: rows for server, rows in device.holders.items()
                   if server in here - moving and counted.get(server) != rows}  # fmt: skip
        return bool(written) and sum({**counted, **written}.values()) > capacity

    def disagreement(
        self,
        rule: str,
        address: str,
        message: str,
        fix: str,
        *,
        server: str = "",
        row: PciDevice | None = None,
        device: DeviceProvider | None = None,
        allocation: ConsumerAllocation | None = None,
        migration: Migration | None = None,
        more: Mapping[str, str] | None = None,
        severity: Severity | None = None,
        pending: str = "",
    ) -> Disagreement:
        """The disagreement with its facts and `more`, and with what each view says of it."""
        row = row or (self.rows or {}).get(address)
        device = device or (self.providers or {}).get(address)
        facts = {
            **self._host_facts(address),
            **_row_facts(row),
            **_provider_facts(device.provider if device else None, allocation),
            **_consumer_facts(allocation),
            **_migration_facts(migration),
            **(more or {}),
        }
        if self.fails_start(device):
            facts[names.START_FAILS] = "yes"
        says = what_views_say(self, address, row, device, allocation)
        return Disagreement(
            rule, self.name, address, message, fix, server, severity, facts, pending, says
        )

    def _host_facts(self, address: str) -> dict[str, str]:
        facts = {}
        node = self.host.compute_node
        if node is not None:
            facts = {names.COMPUTE_NODE: str(node.id), names.CELL: node.cell}
        if service := self.service():
            facts[names.SERVICE] = service
        if users := self.users.get(address):
            facts[names.DOMAIN] = ",".join(domain.uuid for domain in users)
        return facts

    def shared_allocations(self) -> Iterator[ConsumerAllocation]:
        """The allocations of the host's own provider and of all below it."""
        return (row for rows in self.allocations.values() for row in rows)


@lru_cache(maxsize=65536)
def _text(domain: int, bus: int, slot: int, function: int) -> str:
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


@lru_cache(maxsize=65536)
def _address_at_end(text: str) -> str:
    return text.lower() if parse_numbers(text) else ""


def _address_in(name: str) -> str:
    """The address in `<hypervisor>_<ADDRESS>`, empty where the provider is not named so."""
    return _address_at_end(name.rpartition("_")[2])


def _provider_address(row: PciDevice) -> str:
    """A VF's provider is its PF's (nova/compute/pci_placement_translator.py, CHILD_TYPES)."""
    child = row.dev_type in _CHILD_TYPES
    return row.parent_addr if child and row.parent_addr else row.address


def _holders(rows: Sequence[PciDevice]) -> Mapping[str, int]:
    """The servers that hold some of these rows, with how many."""
    holders: dict[str, int] = {}
    for row in rows:
        if row.instance_uuid and row.is_held:
            holders[row.instance_uuid] = holders.get(row.instance_uuid, 0) + 1
    return holders


def address_of(function: Function) -> str:
    """The function's address as nova writes it."""
    address = function.address
    return _text(address.domain, address.bus, address.slot, address.function)


def _row_facts(row: PciDevice | None) -> dict[str, str]:
    if row is None:
        return {}
    return {
        names.ROW_ID: str(row.id),
        names.ROW_STATUS: row.status,
        names.ROW_INSTANCE: row.instance_uuid or "",
        names.ROW_UPDATED: row.updated_at.isoformat() if row.updated_at else "",
        names.COMPUTE_NODE: str(row.compute_node_id),
    }


def _provider_facts(
    provider: ResourceProvider | None, allocation: ConsumerAllocation | None
) -> dict[str, str]:
    if provider is None:
        return {names.PROVIDER: allocation.provider_uuid} if allocation else {}
    facts = {names.PROVIDER: provider.uuid}
    if provider.generation is not None:
        facts[names.GENERATION] = str(provider.generation)
    inventories = provider.inventories or ()
    inventory = provider.inventory(allocation.resource_class) if allocation else None
    inventory = inventory or (inventories[0] if inventories else None)
    if inventory is not None:
        facts |= {
            names.RESOURCE_CLASS: inventory.resource_class,
            names.TOTAL: str(inventory.total),
            names.RESERVED: str(inventory.reserved),
            names.USED: str(inventory.used),
        }
    return facts


def _consumer_facts(allocation: ConsumerAllocation | None) -> dict[str, str]:
    if allocation is None:
        return {}
    facts = {names.CONSUMER: allocation.consumer, names.RESOURCE_CLASS: allocation.resource_class}
    if allocation.consumer_generation is not None:
        facts[names.CONSUMER_GENERATION] = str(allocation.consumer_generation)
    return facts


def _migration_facts(migration: Migration | None) -> dict[str, str]:
    if migration is None:
        return {}
    return {
        names.MIGRATION: migration.uuid,
        names.MIGRATION_ID: str(migration.id),
        names.MIGRATION_STATUS: migration.status,
    }
