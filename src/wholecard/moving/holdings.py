"""What a server holds in Placement, with its cards told from all else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.server_details import ServerDetails
from wholecard.cloud.placement.provider_tree import (
    LIVE_MIGRATABLE,
    ONE_TIME_USE,
    ResourceProvider,
)
from wholecard.cloud.placement.resource_providers import (
    Allocation,
    allocations,
    provider_traits,
    tree_of,
)
from wholecard.explain.evidence.card_providers import address_in
from wholecard.moving.record import HeldCard, Holdings

_ALIAS = "pci_passthrough:alias"


def holdings_of(conn: Connection, consumer: str, *, traits: bool = False) -> Holdings:
    """All that this consumer holds; `read` is false where this user may not ask. Raises CloudError.

    `traits` is whether it is asked which devices are live-migratable or for one use. nova names the
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
            has = provider_traits(conn, own) if traits else frozenset[str]()
            cards.append(HeldCard(own.name, own.uuid, root.name, row.resource_class, row.amount,
                                  address_in(own), LIVE_MIGRATABLE in has, ONE_TIME_USE in has)
                         )  # fmt: skip
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


def requested_by(server: ServerDetails) -> int | None:
    """How many devices the aliases of its flavor request: `h100:2,nic:1` are 3; None for none.

    nova/pci/request.py, `_translate_alias_to_requests`.
    """
    counts = [
        part.rpartition(":")[2].strip()
        for part in server.extra_specs.get(_ALIAS, "").split(",") if part.strip()
    ]  # fmt: skip
    if not counts or not all(count.isdecimal() for count in counts):
        return None
    return sum(map(int, counts))


def without_left_over(amounts: Mapping[str, int], server: ServerDetails) -> dict[str, int]:
    """What it holds without what an earlier move left in its allocation, as far as that is clear.

    `MOVE_TAKES_OTHER_CARD` in nova/known_bugs.py; with cards of several classes it is not clear.
    """
    requested = requested_by(server)
    if requested is None or len(amounts) != 1:
        return dict(amounts)
    ((name, held),) = amounts.items()
    return {name: min(held, requested) or held}
