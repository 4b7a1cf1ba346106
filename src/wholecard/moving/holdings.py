"""What a server holds in Placement, with its cards told from all else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import (
    Allocation,
    allocations,
    provider_traits,
    tree_of,
)
from wholecard.explain.evidence.card_providers import address_in
from wholecard.moving.record import HeldCard, Holdings

# os_traits: nova sets it on a device whose device_spec says live_migratable
# (nova/compute/pci_placement_translator.py).
LIVE_MIGRATABLE = "HW_PCI_LIVE_MIGRATABLE"


def holdings_of(conn: Connection, consumer: str, *, traits: bool = False) -> Holdings:
    """All that this consumer holds; `read` is false where this user may not ask. Raises CloudError.

    `traits` is whether it is asked which of the devices are live-migratable. nova names the
    provider of a device `<hypervisor>_<address>`, and that of a mediated device's parent
    `<hypervisor>_<libvirt's name>`; Neutron's begin with `<host>:`.
    """
    try:
        rows = allocations(conn, consumer)
    except CloudError as error:
        if error.http_status != HTTPStatus.FORBIDDEN:
            raise
        return Holdings(read=False)
    known = _trees(conn, rows)
    cards, hosts = [], set()
    amounts: dict[str, int] = {}
    for row in rows:
        amounts[row.resource_class] = amounts.get(row.resource_class, 0) + row.amount
        own = known.get(row.provider_uuid)
        root = _root(known, own)
        if own is None or root is None:
            continue
        hosts.add(root.name)
        if _is_device(own, root):
            live = traits and LIVE_MIGRATABLE in provider_traits(conn, own)
            cards.append(HeldCard(own.name, own.uuid, root.name, row.resource_class, row.amount,
                                  address_in(own), live))  # fmt: skip
    by_name = tuple(sorted(cards, key=lambda card: (card.provider, card.resource_class)))
    return Holdings(by_name, dict(sorted(amounts.items())), tuple(sorted(hosts)))


def _trees(conn: Connection, rows: Iterable[Allocation]) -> dict[str, ResourceProvider]:
    """The providers of all trees that the rows are of, by uuid."""
    known: dict[str, ResourceProvider] = {}
    for row in rows:
        if row.provider_uuid not in known:
            known |= {each.uuid: each for each in tree_of(conn, row.provider_uuid)}
    return known


def _root(
    known: Mapping[str, ResourceProvider], own: ResourceProvider | None
) -> ResourceProvider | None:
    return known.get(own.root_uuid or own.uuid) if own else None


def _is_device(own: ResourceProvider, root: ResourceProvider) -> bool:
    return own.uuid != root.uuid and own.name.startswith(f"{root.name}_")
