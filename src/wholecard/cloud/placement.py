"""Placement's side of the cards: providers with inventories, traits and usages; allocations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.errors import answer_read
from wholecard.cloud.waiting import wait_until

# The lowest that each read needs, for a cloud of any release: providers below providers came with
# Queens, traits with Pike; inventories, usages and allocations are older.
TREE_VERSION = "1.14"
TRAITS_VERSION = "1.6"


@dataclass(frozen=True)
class Inventory:
    """What a provider has of one resource class, and how much of it is used."""

    resource_class: str
    total: int
    reserved: int
    used: int


@dataclass(frozen=True)
class Provider:
    """One resource provider. nova names a function's provider `<hypervisor>_<address>`."""

    uuid: str
    name: str
    parent_uuid: str | None
    root_uuid: str
    inventories: tuple[Inventory, ...]
    traits: frozenset[str]

    def inventory(self, resource_class: str) -> Inventory | None:
        """The inventory of that class, None where the provider has none."""
        return next((i for i in self.inventories if i.resource_class == resource_class), None)


@dataclass(frozen=True)
class Allocation:
    """What one consumer (a server's id) holds of one class of one provider."""

    provider_uuid: str
    resource_class: str
    amount: int


def providers(conn: Connection) -> tuple[Provider, ...]:
    """All providers, by name. Raises CloudError.

    Four requests see it: the list, and three for each provider. A provider that goes meanwhile is
    left out.
    """
    with answer_read(conn, "read Placement's providers"):
        found = []
        listed = _get(conn, "/resource_providers", TREE_VERSION)
        for row in listed["resource_providers"]:
            try:
                found.append(_provider(conn, row))
            except sdk.NotFoundException:
                continue
    return tuple(sorted(found, key=lambda each: each.name))


def allocations(conn: Connection, consumer: str) -> tuple[Allocation, ...]:
    """What a consumer holds, by provider and class; empty for one that holds nothing."""
    with answer_read(conn, f"read the allocations of {consumer}"):
        held = _get(conn, f"/allocations/{consumer}")["allocations"]
        return tuple(
            Allocation(uuid, resource_class, int(amount))
            for uuid, row in sorted(held.items())
            for resource_class, amount in sorted(row["resources"].items())
        )


def wait_for_providers(
    conn: Connection, predicate: Callable[[Sequence[Provider]], bool], timeout: float
) -> tuple[Provider, ...]:
    """Wait until the predicate holds of all providers, and return them.

    `timeout` in seconds. Raises CloudError, or WaitTimeoutError with what was there at the end.
    """
    seen: tuple[Provider, ...] = ()

    def probe() -> tuple[Provider, ...] | None:
        nonlocal seen
        seen = providers(conn)
        return seen if predicate(seen) else None

    return wait_until(
        "the wished resource providers in Placement",
        probe,
        timeout,
        interval=1.0,
        last=lambda: "\n".join(map(_line, seen)) or "Placement has no provider at all.",
        resolution="See nova-compute's log: its device_spec must match the host's functions, and "
        "report_in_placement must be set.",
    )


def _provider(conn: Connection, row: dict[str, Any]) -> Provider:
    path = f"/resource_providers/{row['uuid']}"
    inventories = _get(conn, f"{path}/inventories")["inventories"]
    used = _get(conn, f"{path}/usages")["usages"]
    return Provider(
        uuid=row["uuid"],
        name=row["name"],
        parent_uuid=row["parent_provider_uuid"],
        root_uuid=row["root_provider_uuid"],
        inventories=tuple(
            Inventory(name, each["total"], each["reserved"], used.get(name, 0))
            for name, each in sorted(inventories.items())
        ),
        traits=frozenset(_get(conn, f"{path}/traits")["traits"]),
    )


def _get(conn: Connection, path: str, version: str = TRAITS_VERSION) -> dict[str, Any]:
    response = conn.placement.get(path, microversion=version)
    sdk.raise_from_response(response)
    body: dict[str, Any] = response.json()
    return body


def _line(provider: Provider) -> str:
    held = ", ".join(f"{i.resource_class} {i.used}/{i.total}" for i in provider.inventories)
    return f"{provider.name}: {held or 'no inventory'}"
