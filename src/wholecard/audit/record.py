"""What the four views say, as records, and a disagreement between them.

The names are nova's and Placement's own. `None` for a whole view is "not read"; an empty tuple is
"read, and nothing is there". Times are naive UTC, as nova's database has them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.core import Finding, Severity
from wholecard.core.quick_record import quick_record
from wholecard.core.rules import RULES
from wholecard.host.facts.host import Host

# nova/db/main/api.py, migration_get_in_progress_by_host_and_node: a migration with another status
# is in progress; `finished` is a resize that waits for its confirmation.
ENDED = frozenset({"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"})
# migration_get_in_progress_and_error_by_host_and_node: in `error` it still keeps devices.
FORGOTTEN = ENDED - {"error"}


class View(enum.StrEnum):
    """A place that knows which server has which card."""

    SYSFS = "sysfs"
    LIBVIRT = "libvirt"
    NOVA = "nova"
    PLACEMENT = "placement"


@quick_record(frozen=True, slots=True)
class PciDevice:
    """A row of nova's `pci_devices` (nova/db/main/models.py, `PciDevice`).

    `host` is the hypervisor's host name (`compute_nodes.hypervisor_hostname`). `extra_info` is
    JSON text as nova wrote it. `deleted` is 0 for a row that counts, else the row's own id.
    """

    id: int
    host: str
    compute_node_id: int
    address: str
    vendor_id: str
    product_id: str
    dev_type: str
    status: str
    instance_uuid: str | None = None
    request_id: str | None = None
    numa_node: int | None = None
    parent_addr: str | None = None
    label: str = ""
    extra_info: str = "{}"
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    deleted: int = 0

    @property
    def is_held(self) -> bool:
        """Whether a server has it, or is about to."""
        return self.status in ("claimed", "allocated")


@quick_record(frozen=True, slots=True)
class PciRequest:
    """One entry of a server's `pci_requests` (nova/objects/instance_pci_requests.py).

    A request of the flavor has an `alias_name`; one of a Neutron port has none.
    """

    request_id: str
    count: int
    alias_name: str | None = None


@quick_record(frozen=True, slots=True)
class Instance:
    """A row of nova's `instances`; `pci_requests` is None where it was not read.

    `host` is nova-compute's host, `node` the hypervisor's host name; both None for a server that
    has none. `vgpus` is how many VGPU its flavor asks for.
    """

    uuid: str
    host: str | None
    node: str | None
    vm_state: str | None
    task_state: str | None = None
    power_state: int | None = None
    deleted: bool = False
    project_id: str | None = None
    name: str = ""
    pci_requests: tuple[PciRequest, ...] | None = None
    vgpus: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def was_never_built(self) -> bool:
        """Whether its build failed before it had a host: mostly it is in cell0 then."""
        return self.vm_state == "error" and not (self.host or self.node)


@dataclass(frozen=True, slots=True)
class Migration:
    """A row of nova's `migrations`. While it runs, its `uuid` holds the source's allocation."""

    id: int
    uuid: str
    status: str
    migration_type: str
    instance_uuid: str
    source_compute: str | None = None
    dest_compute: str | None = None
    source_node: str | None = None
    dest_node: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@quick_record(frozen=True, slots=True)
class ComputeNode:
    """A row of nova's `compute_nodes`: its `uuid` is Placement's root provider."""

    id: int
    uuid: str
    host: str
    hypervisor_hostname: str
    cell: str = ""


@quick_record(frozen=True, slots=True)
class ComputeService:
    """nova-compute on `host`: whether it reports, whether it is disabled or forced down."""

    host: str
    is_up: bool
    disabled: bool = False
    forced_down: bool = False
    last_seen_up: datetime | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of libvirt: `hostdevs` are the host's PCI addresses it has, `mdevs` UUIDs.

    `state` is `running`, `paused`, `shut off` or what virsh says.
    """

    uuid: str
    name: str
    state: str
    hostdevs: tuple[str, ...] = ()
    mdevs: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether it has its devices now; one that is shut off only names them."""
        return self.state not in ("shut off", "crashed")


@dataclass(frozen=True, slots=True)
class Mdev:
    """A mediated device in sysfs, or one that mdevctl only has defined (`active` False)."""

    uuid: str
    parent: str
    type_id: str
    active: bool = True


@quick_record(frozen=True, slots=True)
class ConsumerAllocation:
    """What one consumer (a server's id, a migration's, another service's) holds of a provider."""

    consumer: str
    provider_uuid: str
    resource_class: str
    used: int
    project_id: str = ""
    user_id: str = ""
    consumer_generation: int | None = None


@quick_record(frozen=True, slots=True)
class HostViews:
    """All that the views say of one host, by its hypervisor's host name.

    `devices` are nova's rows that are not deleted, and those that are deleted in half. `providers`
    is None where Placement was not read, and also where it has no provider of this host: `unread`
    says which. `unread` has, for a view that could not be read here, the reason as a sentence.
    `device_specs` are the texts of nova-compute's `device_spec`, None where they are not known.
    """

    host: str
    compute_node: ComputeNode | None = None
    sysfs: Host | None = None
    domains: tuple[Domain, ...] | None = None
    mdevs: tuple[Mdev, ...] | None = None
    devices: tuple[PciDevice, ...] | None = None
    providers: ProviderTree | None = None
    allocations: tuple[ConsumerAllocation, ...] | None = None
    unread: Mapping[View, str] = field(default_factory=dict)
    device_specs: tuple[str, ...] | None = None

    def has(self, view: View) -> bool:
        """Whether this view was read."""
        return view not in self.unread


@dataclass(frozen=True, slots=True)
class CloudViews:
    """What concerns more than one host.

    `instances` are nova's servers by uuid: those that live, and deleted ones that nova still has
    (until `db archive_deleted_rows`). `migrations` are all that are in progress or in error, and
    those whose uuid holds an allocation. `services` are by nova-compute's host. `holdings` are, for
    a consumer that holds something on more than one host, those hosts' names. `now` is the
    database's clock.
    """

    instances: Mapping[str, Instance]
    migrations: tuple[Migration, ...] = ()
    services: Mapping[str, ComputeService] = field(default_factory=dict)
    holdings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    now: datetime | None = None

    def migrations_of(self, server: str) -> Iterator[Migration]:
        """The migrations of a server."""
        return (row for row in self.migrations if row.instance_uuid == server)


@dataclass(frozen=True)
class Disagreement:
    """One thing on which two views disagree.

    `rule` is a code of `core.rules`; `host` the hypervisor's host name; `address` a function's
    address, a provider's name or empty; `server` the server's uuid or empty. `facts` are the values
    by which a repair finds the thing again and guards itself (a row's id, status and instance_uuid,
    a provider's uuid and generation, a consumer); `fact_names` has their names. `pending` says why
    it may pass by itself, empty where nothing is in flight: such a one is looked at twice before it
    counts. `says` is what each view says of the device, in a few words.
    """

    rule: str
    host: str
    address: str
    message: str
    fix: str = ""
    server: str = ""
    severity: Severity | None = None
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    pending: str = ""
    says: Mapping[View, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def subject(self) -> str:
        """`gpu-01 0000:88:00.0`."""
        return f"{self.host} {self.address}".strip()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same disagreement in two audits."""
        return self.rule, self.host, self.address, self.server

    def finding(self) -> Finding:
        """It as every command's findings are."""
        severity = self.severity or RULES[self.rule].severity
        return Finding(self.rule, self.subject, severity, self.message, self.fix)
