"""Faults to inject into the views of a sound cloud, and the rules that must find each.

A thing that is wrong in one place gives one rule. What one lost server left in two places (a row
and an allocation) gives a rule for each place, for each place is repaired by itself.

A fault takes the views, a host and the address of one of its cards, and changes nothing else, so
that any two can be injected together. `AUDIT_FAULTS` is the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from support import hosts
from support.audit_views import (
    LONG_AGO,
    FixedViews,
    a_provider,
    addresses,
    an_id,
    server_of,
)
from wholecard.pci import Function, find_cards

Inject = Callable[[FixedViews, str, str], FixedViews]


@dataclass(frozen=True)
class AuditFault:
    """`inject` takes the views, a host's name and a card's address.

    `on` is `given` for a card that a server has, `free` for one that nobody has.
    """

    inject: Inject
    rules: frozenset[str]
    on: str


def holder(views: FixedViews, host: str, address: str) -> str:
    """The server that nova's row gives the card to; a fault before may have changed it."""
    server = views.row(host, address).instance_uuid
    assert server is not None
    return server


def _with_functions(views: FixedViews, host: str, functions: tuple[Function, ...]) -> FixedViews:
    sysfs = views.host(host).sysfs
    assert sysfs is not None
    cards = find_cards(functions, sysfs.groups)
    return views.with_host(host, sysfs=replace(sysfs, functions=functions, cards=cards))


def _no_device(views: FixedViews, host: str, address: str) -> FixedViews:
    """The card is gone from the host."""
    sysfs = views.host(host).sysfs
    assert sysfs is not None
    left = tuple(f for f in sysfs.functions if str(f.address) != address)
    return _with_functions(views, host, left)


def _function(views: FixedViews, host: str, address: str, **changes: object) -> FixedViews:
    sysfs = views.host(host).sysfs
    assert sysfs is not None
    changed = tuple(
        replace(f, **changes) if str(f.address) == address else f  # type: ignore[arg-type]
        for f in sysfs.functions
    )
    return _with_functions(views, host, changed)


def _row_of_deleted(views: FixedViews, host: str, address: str) -> FixedViews:
    """A server was deleted, and its row stayed."""
    server = an_id("deleted", host, address)
    gone = views.with_instance(server, deleted=True, vm_state="deleted", host=host, node=host,
                               updated_at=LONG_AGO)  # fmt: skip
    return gone.with_row(host, address, status="allocated", instance_uuid=server)


def _row_of_unknown(views: FixedViews, host: str, address: str) -> FixedViews:
    """The same, and the server is archived too."""
    server = an_id("unknown", host, address)
    return views.with_row(host, address, status="allocated", instance_uuid=server)


def _delete_server(views: FixedViews, host: str, address: str) -> FixedViews:
    """A server was deleted while nova-compute could not be reached: row and allocation stay."""
    server = holder(views, host, address)
    gone = views.with_instance(server, deleted=True, vm_state="deleted", updated_at=LONG_AGO)
    return gone.without_domain(host, server)


def _detach(views: FixedViews, host: str, address: str) -> FixedViews:
    """virsh detach-device --live."""
    server = holder(views, host, address)
    domain = next(row for row in views.host(host).domains or () if row.uuid == server)
    left = tuple(each for each in domain.hostdevs if each != address)
    return views.with_domain(host, server, hostdevs=left)


def _free_row(views: FixedViews, host: str, address: str) -> FixedViews:
    """SQL: the row of a card in use is available."""
    return views.with_row(host, address, status="available", instance_uuid=None)


def _delete_row(views: FixedViews, host: str, address: str) -> FixedViews:
    """SQL: the row of a card in use is deleted, as the slides' author did."""
    return views.without_row(host, address)


def _other_server(views: FixedViews, host: str, address: str) -> str:
    """The id of one more server of this host, for faults that have two sides."""
    return an_id("other", host, address)


def _with_other(views: FixedViews, host: str, address: str) -> FixedViews:
    server = _other_server(views, host, address)
    return views.with_instance(server, host=host, node=host, created_at=LONG_AGO,
                               updated_at=LONG_AGO)  # fmt: skip


def _second_domain(views: FixedViews, host: str, address: str) -> FixedViews:
    """A second server's domain has the card too."""
    other = _other_server(views, host, address)
    return _with_other(views, host, address).with_domain(host, other, hostdevs=(address,))


def _given_away_in_placement(views: FixedViews, host: str, address: str) -> FixedViews:
    """Placement counts the card for another server of this host than nova's row."""
    other = _other_server(views, host, address)
    return _with_other(views, host, address).free(host, address).allocate(host, address, other)


def _elsewhere(views: FixedViews, host: str, address: str) -> tuple[FixedViews, str]:
    """A server that is on a host which the views do not have."""
    server = an_id("elsewhere", host, address)
    return views.with_instance(server, host="gpu-99", node="gpu-99", updated_at=LONG_AGO,
                               created_at=LONG_AGO), server  # fmt: skip


def _row_on_old_host(views: FixedViews, host: str, address: str) -> FixedViews:
    """The slides' row: a server moved away, and its row stayed."""
    views, server = _elsewhere(views, host, address)
    return views.with_row(host, address, status="allocated", instance_uuid=server)


def _evacuated(views: FixedViews, host: str, address: str) -> FixedViews:
    """An evacuation whose old host stays away: its row, and its half of the allocation."""
    views = _row_on_old_host(views, host, address)
    server = holder(views, host, address)
    return views.allocate(host, address, server).with_migration(
        status="done", migration_type="evacuation", instance_uuid=server,
        source_compute=host, source_node=host, dest_compute="gpu-99", dest_node="gpu-99",
    )  # fmt: skip


def _two_hosts(views: FixedViews, host: str, address: str) -> FixedViews:
    """One allocation over two hosts, the row is free."""
    views, server = _elsewhere(views, host, address)
    return views.allocate(host, address, server)


def _half_deleted(views: FixedViews, host: str, address: str) -> FixedViews:
    """A deleted row of before, whose deleted_at is NULL."""
    row = views.row(host, address)
    old = replace(row, id=row.id + 500_000, deleted=row.id + 500_000, status="available",
                  instance_uuid=None)  # fmt: skip
    return views.and_row(host, old)


def _second_row(views: FixedViews, host: str, address: str) -> FixedViews:
    """The row of a compute node that was made again."""
    row = views.row(host, address)
    old = replace(row, id=row.id + 600_000, compute_node_id=row.compute_node_id + 600_000,
                  status="available", instance_uuid=None)  # fmt: skip
    return views.and_row(host, old)


def _owned_and_available(views: FixedViews, host: str, address: str) -> FixedViews:
    """A row that is available and names a server."""
    return views.with_row(host, address, status="available", instance_uuid=an_id("ghost", address))


def _unselected(views: FixedViews, host: str, address: str) -> FixedViews:
    """device_spec names every function's address but this one's."""
    specs = views.host(host).device_specs
    if specs is None:
        every = (f"{gpu[:-1]}{number}" for gpu in addresses(16) for number in (0, 1))
        specs = tuple(f'{{"address": "{each}"}}' for each in every)
    return views.with_host(host, device_specs=tuple(s for s in specs if address not in s))


def _split(views: FixedViews, host: str, address: str) -> FixedViews:
    """The card's audio, which did not exist, is with a second server in all four views."""
    audio = address[:-1] + "1"
    other = _other_server(views, host, audio)
    sysfs, row = views.host(host).sysfs, views.row(host, address)
    assert sysfs is not None
    function = hosts.bound(audio, "10de:22ba", class_code="040300", numa_node=row.numa_node)
    functions = tuple(sorted((*sysfs.functions, function), key=lambda f: f.address))
    root = views.host(host).providers
    assert root is not None
    new = replace(row, id=row.id + 700_000, address=audio, product_id="22ba", instance_uuid=other,
                  status="allocated", request_id=None)  # fmt: skip
    return (
        _with_functions(_with_other(views, host, audio), host, functions)
        .and_row(host, new)
        .with_domain(host, other, hostdevs=(audio,))
        .and_provider(host, a_provider(host, audio, "10de:22ba", root.root.uuid, False))
        .allocate(host, audio, other)
    )  # fmt: skip


def _claimed(views: FixedViews, host: str, address: str) -> FixedViews:
    """The claim of a build that ended in the middle; its domain is off."""
    server = holder(views, host, address)
    return views.with_row(host, address, status="claimed").with_domain(
        host, server, state="shut off"
    )


def _ghost_consumer(views: FixedViews, host: str, address: str) -> FixedViews:
    """An allocation of nobody."""
    return views.allocate(host, address, an_id("ghost", host, address))


def _dead_migration(views: FixedViews, host: str, address: str) -> FixedViews:
    """An aborted live migration to this host: its uuid holds the card for ever."""
    views, server = _elsewhere(views, host, address)
    uuid = an_id("dead", host, address)
    return views.with_migration(
        uuid=uuid, status="error", migration_type="live-migration", instance_uuid=server,
        source_compute="gpu-99", source_node="gpu-99", dest_compute=host, dest_node=host,
    ).allocate(host, address, uuid)  # fmt: skip


def _not_allocated(views: FixedViews, host: str, address: str) -> FixedViews:
    """DELETE /allocations/SERVER of a running server."""
    return views.free(host, address)


def _over_allocated(views: FixedViews, host: str, address: str) -> FixedViews:
    """A server of this host is counted for a card that nova does not give it."""
    return _with_other(views, host, address).allocate(
        host, address, _other_server(views, host, address)
    )


def _provider_of_nothing(views: FixedViews, host: str, address: str) -> FixedViews:
    """A card was pulled out and nova's row is gone; the provider stayed."""
    return _no_device(views, host, address).without_row(host, address)


def _provider_without_row(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.without_row(host, address)


def _no_provider(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.without_provider(host, address)


def _wrong_parent(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.with_provider(host, address, parent_uuid=an_id("elsewhere"))


def _wrong_class(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.with_provider(host, address, inventory={"resource_class": "CUSTOM_PCI_10DE_1EB8"})


def _wrong_total(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.with_provider(host, address, inventory={"total": 2})


def _wrong_trait(views: FixedViews, host: str, address: str) -> FixedViews:
    traits = views.provider(host, address).traits - {"OWNER_NOVA"}
    return views.with_provider(host, address, traits=traits)


def _wrong_numa(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.with_row(host, address, numa_node=7)


def _reserved(views: FixedViews, host: str, address: str) -> FixedViews:
    return views.with_provider(host, address, inventory={"reserved": 1})


def _other_ids(views: FixedViews, host: str, address: str) -> FixedViews:
    """The card was replaced by another model."""
    return _function(views, host, address, device="2331")


def _other_type(views: FixedViews, host: str, address: str) -> FixedViews:
    """The card's SR-IOV capability was turned on."""
    return _function(views, host, address, sriov_total=16)


def _no_vfio(views: FixedViews, host: str, address: str) -> FixedViews:
    return _function(views, host, address, driver="nvidia")


def _no_driver(views: FixedViews, host: str, address: str) -> FixedViews:
    """After a server with a variant driver."""
    return _function(views, host, address, driver=None, variant="labcard_vfio_pci")


def _mdev_missing(views: FixedViews, host: str, address: str) -> FixedViews:
    """The server's domain names a mediated device besides, which the host does not have."""
    server = holder(views, host, address)
    return views.with_domain(host, server, mdevs=(an_id("mdev", host, address),))


def _unknown_domain(views: FixedViews, host: str, address: str) -> FixedViews:
    """A guest that nova does not know has a card that nova counts as free."""
    return views.with_domain(host, an_id("virsh", host, address), hostdevs=(address,))


def _fault(inject: Inject, on: str, *rules: str) -> AuditFault:
    return AuditFault(inject, frozenset(rules), on)


AUDIT_FAULTS: Mapping[str, AuditFault] = MappingProxyType(
    {
        "device of a row gone": _fault(_no_device, "free", "WC510"),
        "row of a deleted server": _fault(_row_of_deleted, "free", "WC511"),
        "row of an unknown server": _fault(_row_of_unknown, "free", "WC511"),
        "server deleted, row and allocation stayed": _fault(
            _delete_server, "given", "WC511", "WC520"
        ),
        "device detached": _fault(_detach, "given", "WC512"),
        "row of a device in use is available": _fault(_free_row, "given", "WC513"),
        "row of a device in use is deleted": _fault(_delete_row, "given", "WC513"),
        "second domain": _fault(_second_domain, "given", "WC514"),
        "given away in Placement": _fault(_given_away_in_placement, "given", "WC514"),
        "row on the old host": _fault(_row_on_old_host, "free", "WC515"),
        "evacuated": _fault(_evacuated, "free", "WC515", "WC522"),
        "half-deleted row": _fault(_half_deleted, "free", "WC516"),
        "second row": _fault(_second_row, "free", "WC516"),
        "available with an owner": _fault(_owned_and_available, "free", "WC516"),
        "device_spec removed": _fault(_unselected, "given", "WC517"),
        "card split": _fault(_split, "given", "WC518"),
        "claimed for ever": _fault(_claimed, "given", "WC519"),
        "allocation of nobody": _fault(_ghost_consumer, "free", "WC520"),
        "dead migration": _fault(_dead_migration, "free", "WC521"),
        "allocation on two hosts": _fault(_two_hosts, "free", "WC522"),
        "allocation deleted": _fault(_not_allocated, "given", "WC523"),
        "allocated without a row": _fault(_over_allocated, "free", "WC524"),
        "provider of a device that is gone": _fault(_provider_of_nothing, "free", "WC525"),
        "row of a free device is deleted": _fault(_provider_without_row, "free", "WC526"),
        "provider deleted": _fault(_no_provider, "free", "WC527"),
        "wrong parent": _fault(_wrong_parent, "free", "WC528"),
        "wrong class": _fault(_wrong_class, "free", "WC529"),
        "wrong total": _fault(_wrong_total, "free", "WC529"),
        "wrong trait": _fault(_wrong_trait, "free", "WC530"),
        "wrong NUMA node": _fault(_wrong_numa, "free", "WC531"),
        "reserved": _fault(_reserved, "free", "WC532"),
        "another model": _fault(_other_ids, "free", "WC533"),
        "another type": _fault(_other_type, "free", "WC533"),
        "host driver": _fault(_no_vfio, "free", "WC540"),
        "no driver": _fault(_no_driver, "free", "WC540"),
        "mediated device gone": _fault(_mdev_missing, "given", "WC541"),
        "guest unknown to nova": _fault(_unknown_domain, "free", "WC542"),
    }
)


def card_for(fault: AuditFault, number: int, given: int = 2) -> str:
    """The address of the host's given or free card of that number, in `audit_cloud`."""
    return addresses(16)[number if fault.on == "given" else given + number]


__all__ = ["AUDIT_FAULTS", "AuditFault", "card_for", "holder", "server_of"]
