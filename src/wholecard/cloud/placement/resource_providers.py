"""Placement's side of the cards: providers with inventories, traits and usages; allocations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.waiting import wait_until

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
class ResourceProvider:
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


def providers(conn: Connection) -> tuple[ResourceProvider, ...]:
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
    conn: Connection, predicate: Callable[[Sequence[ResourceProvider]], bool], timeout: float
) -> tuple[ResourceProvider, ...]:
    """Wait until the predicate holds of all providers, and return them.

    `timeout` in seconds. Raises CloudError, or WaitTimeoutError with what was there at the end.
    """
    seen: tuple[ResourceProvider, ...] = ()

    def probe() -> tuple[ResourceProvider, ...] | None:
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


def _provider(conn: Connection, row: dict[str, Any]) -> ResourceProvider:
    path = f"/resource_providers/{row['uuid']}"
    inventories = _get(conn, f"{path}/inventories")["inventories"]
    used = _get(conn, f"{path}/usages")["usages"]
    return ResourceProvider(
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


def _line(provider: ResourceProvider) -> str:
    held = ", ".join(f"{i.resource_class} {i.used}/{i.total}" for i in provider.inventories)
    return f"{provider.name}: {held or 'no inventory'}"


def named_providers(conn: Connection) -> dict[str, tuple[str, str]]:
    """Every provider's name and its root's uuid, by its own. Raises CloudError."""
    with answer_read(conn, "list Placement's providers"):
        response = conn.placement.get("/resource_providers", microversion=TREE_VERSION)
        sdk.raise_from_response(response)
        rows = response.json()["resource_providers"]
        return {row["uuid"]: (row["name"], row["root_provider_uuid"]) for row in rows}


def inventories(conn: Connection, uuid: str) -> dict[str, dict[str, Any]]:
    """A provider's inventories as Placement has them, by class; empty where it is gone."""
    found = _of_provider(conn, uuid, "inventories")
    with answer_read(conn, "read the inventories of a provider"):
        return {str(name): dict(each) for name, each in found.items()}


def usages(conn: Connection, uuid: str) -> dict[str, int]:
    """What is used of a provider, by class."""
    found = _of_provider(conn, uuid, "usages")
    with answer_read(conn, "read the usages of a provider"):
        return {str(name): int(each) for name, each in found.items()}


def traits(conn: Connection, uuid: str) -> frozenset[str]:
    """A provider's traits."""
    found = _of_provider(conn, uuid, "traits")
    with answer_read(conn, "read the traits of a provider"):
        return frozenset(found)


def consumers(conn: Connection, uuid: str) -> tuple[str, ...]:
    """Who holds something of a provider, by id."""
    found = _of_provider(conn, uuid, "allocations")
    with answer_read(conn, "read the allocations of a provider"):
        return tuple(sorted(found))


def _of_provider(conn: Connection, uuid: str, what: str) -> Any:
    with answer_read(conn, f"read the {what} of a provider"):
        response = conn.placement.get(
            f"/resource_providers/{uuid}/{what}", microversion=TRAITS_VERSION
        )
        if response.status_code == 404:
            return {}
        sdk.raise_from_response(response)
        return response.json()[what]
