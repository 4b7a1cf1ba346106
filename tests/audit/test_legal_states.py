"""States of a cloud at work, or of a sound one, that an audit says nothing about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support import hosts
from support.audit_views import (
    LONG_AGO,
    NOW,
    FixedViews,
    a_provider,
    a_row,
    addresses,
    an_id,
    audit_cloud,
    server_of,
)
from wholecard.audit.record import Mdev, PciRequest, View
from wholecard.audit.request import compare_views
from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider

OLD, NEW = "gpu-01", "gpu-02"
GIVEN, _, FREE, LAST = addresses(4)
SERVER = server_of(OLD, 0)


def a_cloud() -> FixedViews:
    return audit_cloud(2, cards=4, given=2)


def _moving(views: FixedViews, status: str, kind: str, **changes: object) -> FixedViews:
    """SERVER on its way from OLD to NEW: two rows, its allocation there, the migration's here."""
    views = views.with_migration(
        status=status, migration_type=kind, instance_uuid=SERVER, source_compute=OLD,
        source_node=OLD, dest_compute=NEW, dest_node=NEW, updated_at=NOW - timedelta(minutes=5),
    )  # fmt: skip
    uuid = views.cloud.migrations[-1].uuid
    views = views.free(OLD, GIVEN).free(OLD, "", SERVER).allocate(OLD, GIVEN, uuid)
    views = views.allocate(OLD, "", uuid, 4).allocate(NEW, FREE, SERVER).allocate(NEW, "", SERVER)
    return views.with_row(NEW, FREE, status="allocated", instance_uuid=SERVER).with_instance(
        SERVER, **changes
    )


def verify_resize() -> FixedViews:
    """VERIFY_RESIZE owns twice: rows on both hosts, the migration holds the source."""
    views = _moving(a_cloud(), "finished", "migration", host=NEW, node=NEW, vm_state="resized")
    return views.without_domain(OLD, SERVER).with_domain(NEW, SERVER, hostdevs=(FREE,))


def verify_resize_migrations_unread() -> FixedViews:
    """The same where migrations were not read."""
    return verify_resize().with_cloud(migrations=()).free(OLD, GIVEN).free(OLD, "")


def cold_migrating() -> FixedViews:
    """A cold migration that copies the disk: the server is still at the source."""
    views = _moving(a_cloud(), "migrating", "migration", task_state="resize_migrating")
    return views.with_domain(OLD, SERVER, state="shut off")


def pre_migrating() -> FixedViews:
    """A cold migration that was just accepted."""
    return _moving(a_cloud(), "pre-migrating", "migration", task_state="resize_prep")


def live_migrating() -> FixedViews:
    """A live migration: the target's row is claimed, and its domain is paused with the card."""
    views = _moving(a_cloud(), "running", "live-migration", task_state="migrating")
    views = views.with_row(NEW, FREE, status="claimed")
    return views.with_domain(NEW, SERVER, state="paused", hostdevs=(FREE,))


def live_migration_ends() -> FixedViews:
    """The server is on the target, and the source is not cleaned yet: no task_state any more."""
    views = _moving(a_cloud(), "running", "live-migration", host=NEW, node=NEW)
    return views.without_domain(OLD, SERVER).with_domain(NEW, SERVER, hostdevs=(FREE,))


def reverting() -> FixedViews:
    """A revert on its way back."""
    return _moving(a_cloud(), "reverting", "resize", host=NEW, node=NEW, vm_state="resized",
                   task_state="resize_reverting").without_domain(OLD, SERVER)  # fmt: skip


def same_host_resize() -> FixedViews:
    """A resize on one host: two rows of one server, its own and the migration's allocation."""
    views = a_cloud().with_migration(
        status="finished", migration_type="resize", instance_uuid=SERVER, source_compute=OLD,
        source_node=OLD, dest_compute=OLD, dest_node=OLD,
    )  # fmt: skip
    uuid = views.cloud.migrations[-1].uuid
    views = views.free(OLD, GIVEN).allocate(OLD, GIVEN, uuid).allocate(OLD, FREE, SERVER)
    views = views.with_row(OLD, FREE, status="allocated", instance_uuid=SERVER)
    views = views.with_domain(OLD, SERVER, hostdevs=(FREE,))
    return views.with_instance(SERVER, vm_state="resized")


def same_host_resize_to_another_card() -> FixedViews:
    """The same where nova took another card than Placement: nova corrects that at the end."""
    return same_host_resize().free(OLD, FREE).allocate(OLD, LAST, SERVER)


def evacuating() -> FixedViews:
    """An evacuation that builds the server on the new host; the old one is down."""
    views = a_cloud().with_migration(
        status="pre-migrating", migration_type="evacuation", instance_uuid=SERVER,
        source_compute=OLD, source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    views = views.with_service(OLD, is_up=False).with_instance(
        SERVER, host=NEW, node=NEW, task_state="rebuild_spawning"
    )
    views = views.with_row(NEW, FREE, status="claimed", instance_uuid=SERVER)
    return views.allocate(NEW, FREE, SERVER)


def building() -> FixedViews:
    """A server that is built: claimed, allocated, and no domain yet."""
    new = an_id("new")
    views = a_cloud().with_instance(new, host=OLD, node=OLD, vm_state="building",
                                    task_state="spawning", created_at=NOW)  # fmt: skip
    views = views.with_row(OLD, FREE, status="claimed", instance_uuid=new, updated_at=NOW)
    return views.allocate(OLD, FREE, new)


def _state(vm_state: str, domain: str, **changes: object) -> Callable[[], FixedViews]:
    def views() -> FixedViews:
        return (
            a_cloud().with_instance(SERVER, vm_state=vm_state, **changes)
            .with_domain(OLD, SERVER, state=domain)
        )  # fmt: skip

    return views


def suspended() -> FixedViews:
    """A suspended server: nova took its devices from the domain, which is off."""
    return (
        a_cloud()
        .with_instance(SERVER, vm_state="suspended")
        .with_domain(OLD, SERVER, state="shut off", hostdevs=())
    )


def shelved_offloaded() -> FixedViews:
    """A server that is shelved and offloaded: on no host, with nothing."""
    views = a_cloud().with_instance(SERVER, vm_state="shelved_offloaded", host=None, node=None)
    views = views.with_row(OLD, GIVEN, status="available", instance_uuid=None)
    return views.free(OLD, GIVEN).free(OLD, "", SERVER).without_domain(OLD, SERVER)


def error_without_host() -> FixedViews:
    """A server that found no host: in ERROR, with nothing."""
    return a_cloud().with_instance(an_id("e"), vm_state="error", host=None, node=None)


def evacuated_and_cleaned() -> FixedViews:
    """An evacuation whose old host came back and cleaned up."""
    views = a_cloud().with_migration(
        status="completed", migration_type="evacuation", instance_uuid=SERVER,
        source_compute=OLD, source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    views = views.with_row(OLD, GIVEN, status="available", instance_uuid=None)
    views = views.free(OLD, GIVEN).free(OLD, "", SERVER).without_domain(OLD, SERVER)
    views = views.with_instance(SERVER, host=NEW, node=NEW)
    views = views.with_row(NEW, FREE, status="allocated", instance_uuid=SERVER)
    return views.allocate(NEW, FREE, SERVER).with_domain(NEW, SERVER, hostdevs=(FREE,))


def one_time_use() -> FixedViews:
    """A one_time_use card with a server: used and reserved."""
    traits = a_cloud().provider(OLD, GIVEN).traits | {"HW_PCI_ONE_TIME_USE"}
    return a_cloud().with_provider(OLD, GIVEN, traits=traits, inventory={"reserved": 1})


def neutron_port() -> FixedViews:
    """A device of a Neutron port: a row that is allocated, and no provider."""
    views = a_cloud()
    node = views.host(OLD).compute_node
    assert node is not None
    nic, request = "0000:a1:00.2", an_id("port request")
    row = replace(a_row(node, 99, nic, "15b3:101e", 0, SERVER, ""), request_id=request,
                  dev_type="type-VF", parent_addr="0000:a1:00.0", numa_node=None)  # fmt: skip
    old = views.cloud.instances[SERVER].pci_requests or ()
    requests = (*old, PciRequest(request, 1))
    views = views.and_row(OLD, row).with_instance(SERVER, pci_requests=requests)
    sysfs = views.host(OLD).sysfs
    assert sysfs is not None
    vf = hosts.function(nic, "15b3:101e", "020000", physfn="0000:a1:00.0", driver="mlx5_core")
    views = views.with_host(OLD, sysfs=replace(sysfs, functions=(*sysfs.functions, vf)))
    return views.with_domain(OLD, SERVER, hostdevs=(GIVEN, nic))


def macvtap_port() -> FixedViews:
    """A Neutron port of vnic_type macvtap: the domain has an interface, and no hostdev."""
    return neutron_port().with_domain(OLD, SERVER, hostdevs=(GIVEN,))


def macvtap_port_requests_unread() -> FixedViews:
    """The same where the server's requests were not read."""
    return macvtap_port().with_instance(SERVER, pci_requests=None)


def neutron_device_free() -> FixedViews:
    """A free device with physical_network: not in Placement, and with the host's driver."""
    views = a_cloud()
    node = views.host(OLD).compute_node
    sysfs = views.host(OLD).sysfs
    assert node is not None
    assert sysfs is not None
    nic = "0000:a1:00.2"
    row = replace(a_row(node, 99, nic, "15b3:101e", 0, None, ""), dev_type="type-VF",
                  parent_addr="0000:a1:00.0", numa_node=None)  # fmt: skip
    vf = hosts.function(nic, "15b3:101e", "020000", physfn="0000:a1:00.0", driver="mlx5_core")
    return views.and_row(OLD, row).with_host(
        OLD, sysfs=replace(sysfs, functions=(*sysfs.functions, vf))
    )


def cyborg() -> FixedViews:
    """Cyborg's device: its own provider and allocation, a domain that has it, no row of nova's."""
    views = a_cloud()
    root = views.host(OLD).providers
    assert root is not None
    address = "0000:b1:00.0"
    own = ResourceProvider(f"{OLD}_{address}", an_id("cyborg"), root.root.uuid, root.root.uuid, 1,
                           (Inventory("PGPU", 1, 0, 0),),
                           frozenset({"OWNER_CYBORG", "CUSTOM_GPU_NVIDIA"}))  # fmt: skip
    views = views.and_provider(OLD, own).with_domain(OLD, SERVER, hostdevs=(GIVEN, address))
    sysfs = views.host(OLD).sysfs
    assert sysfs is not None
    functions = (*sysfs.functions, hosts.bound(address))
    views = views.with_host(OLD, sysfs=replace(sysfs, functions=functions))
    rows = views.host(OLD).allocations or ()
    held = replace(rows[0], provider_uuid=own.uuid, resource_class="PGPU")
    return views.with_host(OLD, allocations=(*rows, held))


def other_services() -> FixedViews:
    """Neutron's bandwidth provider with a consumer of its own."""
    views = a_cloud()
    root = views.host(OLD).providers
    assert root is not None
    bandwidth = Inventory("NET_BW_EGR_KILOBIT_PER_SEC", 10**6)
    name, uuid = f"{OLD}:NIC Switch agent:eth0", root.root.uuid
    own = ResourceProvider(name, an_id("agent"), uuid, uuid, 1, (bandwidth,))
    rows = views.host(OLD).allocations or ()
    held = replace(rows[0], consumer=an_id("somebody"), provider_uuid=own.uuid)
    return views.and_provider(OLD, own).with_host(OLD, allocations=(*rows, held))


def kept_mdev() -> FixedViews:
    """A mediated device that nova keeps for the next server."""
    return a_cloud().with_host(OLD, mdevs=(Mdev(an_id("m"), "mtty_mtty", "mtty-2"),))


def _sriov(pf: str, vfs: tuple[str, ...]) -> FixedViews:
    """A PF of which nova knows VFs; nothing of it in Placement but what the caller adds."""
    views = a_cloud()
    node, sysfs = views.host(OLD).compute_node, views.host(OLD).sysfs
    assert node is not None
    assert sysfs is not None
    functions = [*sysfs.functions, hosts.bound(pf, "8086:10c9", sriov_total=7, sriov_vfs=len(vfs))]
    for number, vf in enumerate(vfs):
        functions.append(hosts.function(vf, "8086:10ca", "020000", physfn=pf, driver="vfio-pci"))
        row = a_row(node, 200 + number, vf, "8086:10ca", None, None, "")
        views = views.and_row(OLD, replace(row, dev_type="type-VF", parent_addr=pf))
    return views.with_host(OLD, sysfs=replace(sysfs, functions=tuple(functions)))


def vfs_of_one_provider() -> FixedViews:
    """Two VFs: one provider at their PF's address with a total of 2, one of them used."""
    pf, vfs = "0000:03:00.0", ("0000:03:10.0", "0000:03:10.2")
    views = _sriov(pf, vfs)
    root = views.host(OLD).providers
    assert root is not None
    provider = a_provider(OLD, pf, "8086:10ca", root.root.uuid, False)
    assert provider.inventories is not None
    provider = replace(provider, inventories=(replace(provider.inventories[0], total=2),))
    views = views.and_provider(OLD, provider).with_row(
        OLD, vfs[0], status="allocated", instance_uuid=SERVER
    )
    has = (GIVEN, vfs[0])
    return views.allocate(OLD, pf, SERVER).with_domain(OLD, SERVER, hostdevs=has)


def pf_unavailable() -> FixedViews:
    """A PF beside its VFs, without Placement: unavailable since a VF is given."""
    views = audit_cloud(2, placement=False)
    node, sysfs = views.host(OLD).compute_node, views.host(OLD).sysfs
    assert node is not None
    assert sysfs is not None
    pf, vf = "0000:03:00.0", "0000:03:10.0"
    parent = replace(a_row(node, 300, pf, "8086:10c9", None, None, ""), dev_type="type-PF",
                     status="unavailable")  # fmt: skip
    child = replace(a_row(node, 301, vf, "8086:10ca", None, SERVER, ""), dev_type="type-VF",
                    parent_addr=pf)  # fmt: skip
    functions = (
        *sysfs.functions, hosts.bound(pf, "8086:10c9", sriov_total=7, driver="igb"),
        hosts.function(vf, "8086:10ca", "020000", physfn=pf, driver="vfio-pci"),
    )  # fmt: skip
    views = views.and_row(OLD, parent).and_row(OLD, child)
    views = views.with_host(OLD, sysfs=replace(sysfs, functions=functions))
    return views.with_domain(OLD, SERVER, hostdevs=(GIVEN, vf))


def device_spec_removed_and_counted() -> FixedViews:
    """A device that device_spec lost keeps its provider, with the usage as its total."""
    return a_cloud().with_provider(OLD, GIVEN, inventory={"total": 1, "max_unit": 1})


def deleted_rows() -> FixedViews:
    """A row that nova removed as it does: its last status, its own id, a time."""
    views = a_cloud()
    row = views.row(OLD, FREE)
    gone = replace(row, id=77, address="0000:99:00.0", deleted=77, deleted_at=LONG_AGO)
    return views.and_row(OLD, gone)


def own_domain() -> FixedViews:
    """A guest of the operator's own with a device that nova does not know."""
    views = a_cloud()
    sysfs = views.host(OLD).sysfs
    assert sysfs is not None
    functions = (*sysfs.functions, hosts.bound("0000:e1:00.0"))
    return views.with_domain(OLD, an_id("own"), hostdevs=("0000:e1:00.0",)).with_host(
        OLD, sysfs=replace(sysfs, functions=functions)
    )


def custom_class() -> FixedViews:
    """A resource class of device_spec's own choice."""
    return a_cloud().with_provider(OLD, FREE, inventory={"resource_class": "CUSTOM_H100"})


def before_owner_nova() -> FixedViews:
    """Nova before 2026.2: no provider has OWNER_NOVA."""
    views = a_cloud()
    for host in (OLD, NEW):
        for address in addresses(4):
            views = views.with_provider(
                host, address, traits=frozenset({"COMPUTE_MANAGED_PCI_DEVICE"})
            )
    return views


def live_migratable() -> FixedViews:
    """A free card that can migrate has the trait; one in use waits with its tags."""
    migratable = a_cloud().provider(OLD, FREE).traits | {"HW_PCI_LIVE_MIGRATABLE"}
    views = a_cloud().with_row(OLD, FREE, extra_info='{"live_migratable": "true"}')
    views = views.with_provider(OLD, FREE, traits=migratable)
    return views.with_provider(OLD, GIVEN, traits=migratable)


def no_numa() -> FixedViews:
    """A host that does not say a NUMA node."""
    views = a_cloud()
    sysfs = views.host(OLD).sysfs
    assert sysfs is not None
    functions = tuple(replace(f, numa_node=None) for f in sysfs.functions)
    return views.with_host(OLD, sysfs=replace(sysfs, functions=functions))


STATES: dict[str, Callable[[], FixedViews]] = {
    function.__name__: function
    for function in (
        a_cloud, verify_resize, verify_resize_migrations_unread, cold_migrating, pre_migrating,
        live_migrating, live_migration_ends, reverting, same_host_resize,
        same_host_resize_to_another_card, evacuating, building,
        suspended, shelved_offloaded, error_without_host, evacuated_and_cleaned, one_time_use,
        neutron_port, macvtap_port, macvtap_port_requests_unread, neutron_device_free, cyborg,
        other_services, kept_mdev, vfs_of_one_provider,
        pf_unavailable, device_spec_removed_and_counted, deleted_rows, own_domain, custom_class,
        before_owner_nova, live_migratable, no_numa,
    )
} | {
    "powered off": _state("stopped", "shut off", power_state=4),
    "paused": _state("paused", "paused", power_state=3),
    "rescued": _state("rescued", "running"),
    "error with its host": _state("error", "running"),
    "error and off": _state("error", "shut off", power_state=4),
    "soft-deleted": _state("soft-delete", "shut off", power_state=4),
    "shelved, not offloaded": _state("shelved", "shut off", power_state=4),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_silent(name: str) -> None:
    """A legal state gives nothing, and nothing in flight."""
    report = compare_views(STATES[name]())
    assert [(row.rule, row.message) for row in report.disagreements + report.in_flight] == []
    assert report.exit_status == 0


def test_without_report_in_placement() -> None:
    """A host that reports no device in Placement has no finding of Placement's devices."""
    views = audit_cloud(2, placement=False)
    report = compare_views(views)
    assert report.findings == ()


@pytest.mark.parametrize("view", View)
def test_unread_view(view: View) -> None:
    """A view that was not read gives no disagreement, but exit status 4 and WC550."""
    member = {View.SYSFS: "sysfs", View.LIBVIRT: "domains", View.NOVA: "devices"}
    views = a_cloud()
    for host in (OLD, NEW):
        views = views.with_host(host, unread={view: "no access"})
        if view is View.PLACEMENT:
            views = views.with_host(host, providers=None, allocations=None)
        else:
            views = views.with_host(host, **{member[view]: None})
    report = compare_views(views)
    assert [finding.rule for finding in report.findings] == ["WC550"]
    assert report.unread == {view: ("no access", 2)}
    assert report.exit_status == 4
