"""What the running cloud knows of cards: Placement's providers, nova's servers and their flavors.

An administrator's account is needed: servers of all projects, and Placement.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.pages import compute_rows
from wholecard.cloud.placement.provider_tree import ONE_TIME_USE, ResourceProvider, device_in_name
from wholecard.cloud.placement.resource_providers import providers, with_consumers
from wholecard.explain.evidence.card_providers import address_in
from wholecard.health.record import CloudCards, CloudServer, FunctionInventory
from wholecard.health.usage import cards_of

# From compute API 2.47 on a server has its flavor in it, with the extra specs
# (nova/api/openstack/compute/rest_api_version_history.rst): what it has, also where the flavor was
# deleted or changed since.
_FLAVOR_INSIDE = "2.47"
# nova's `changes-since` compares with updated_at, by its clock and not by ours.
_CLOCKS = timedelta(minutes=5)


def read_cloud(
    conn: Connection, deleted_since: datetime, aliases: Collection[str] = ()
) -> CloudCards:
    """Providers of functions, servers with cards, and those deleted since. Raises CloudError.

    `aliases` are those that mean cards; all where none is named.
    """
    start, now = time.monotonic(), datetime.now(UTC).replace(tzinfo=None)
    read = providers(conn, lambda provider: bool(address_in(provider)))
    servers = list(_servers(conn, {"all_tenants": "1"}, aliases))
    since = (deleted_since - _CLOCKS).strftime("%Y-%m-%dT%H:%M:%SZ")
    deleted = {"all_tenants": "1", "deleted": "true", "changes-since": since}
    finished = tuple(_servers(conn, deleted, aliases))
    return CloudCards(
        tuple(_provider(conn, provider) for provider in read),
        {server.id: server for server in servers},
        finished,
        now,
        time.monotonic() - start,
    )


def _provider(conn: Connection, provider: ResourceProvider) -> FunctionInventory:
    inventories = provider.inventories or ()
    used = sum(row.used for row in inventories)
    host, address = device_in_name(provider.name)
    holders = with_consumers(conn, provider).consumers if used else ()
    return FunctionInventory(
        host=host,
        address=address,
        total=sum(row.total for row in inventories),
        reserved=sum(row.reserved for row in inventories),
        used=used,
        one_time_use=ONE_TIME_USE in provider.traits,
        holders=holders or (),
    )


def _servers(
    conn: Connection, query: dict[str, str], aliases: Collection[str]
) -> Iterator[CloudServer]:
    with answer_read(conn, "list the servers of all projects"):
        for row in compute_rows(conn, "/servers/detail", "servers", _FLAVOR_INSIDE, query):
            cards = cards_of(row["flavor"].get("extra_specs") or {}, aliases)
            if cards:
                yield _server(row, cards)


def _server(row: Mapping[str, Any], cards: int) -> CloudServer:
    return CloudServer(
        id=str(row["id"]),
        project=str(row["tenant_id"]),
        host=str(row.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or ""),
        domain=str(row.get("OS-EXT-SRV-ATTR:instance_name") or ""),
        cards=cards,
        launched_at=_time(row.get("OS-SRV-USG:launched_at")),
        terminated_at=_time(row.get("OS-SRV-USG:terminated_at")),
    )


def _time(text: Any) -> datetime | None:
    """nova's `2026-11-29T10:00:00.000000`, which is UTC."""
    return datetime.fromisoformat(str(text)).replace(tzinfo=None) if text else None
