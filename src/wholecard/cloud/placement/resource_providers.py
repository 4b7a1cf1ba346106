"""The reader of Placement: providers with inventories, usages and traits; allocations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection
from openstack.utils import maximum_supported_microversion

from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider

# The lowest that each read needs, for a cloud of any release: providers below providers came with
# Queens, traits with Pike; inventories, usages and allocations are older
# (placement/rest_api_version_history.rst).
TREE_VERSION = "1.14"
TRAITS_VERSION = "1.6"
# `required` of the list of providers, and consumers' generations (both Rocky).
REQUIRED_VERSION = "1.18"
CONSUMER_VERSION = "1.28"
_GENERATION = "consumer_generation"


@dataclass(frozen=True)
class Allocation:
    """What one consumer (a server's id) holds of one class of one provider."""

    provider_uuid: str
    resource_class: str
    amount: int


@dataclass(frozen=True)
class ProviderAllocation:
    """What one consumer holds of one class of a provider; its generation is None before Rocky."""

    consumer: str
    resource_class: str
    amount: int
    consumer_generation: int | None = None


def providers(
    conn: Connection, wanted: Callable[[ResourceProvider], bool] = lambda _: True
) -> tuple[ResourceProvider, ...]:
    """All providers, or those that are wanted by name and place, by name. Raises CloudError.

    The list is one request, each provider three more. One that is deleted meanwhile is left out.
    """
    return _read(conn, filter(wanted, _list(conn)))


def provider_trees(
    conn: Connection, hypervisor_hosts: Iterable[str], at_most: int
) -> Mapping[str, ProviderTree]:
    """The trees of these hosts, of the first `at_most` that Placement knows. Raises CloudError."""
    listed = _list(conn)
    roots = {provider.name: provider for provider in listed if provider.uuid == provider.root_uuid}
    hosts = [host for host in hypervisor_hosts if host in roots][:at_most]
    trees = {host: _tree(conn, roots[host], listed) for host in hosts}
    return {host: tree for host, tree in trees.items() if tree is not None}


def _tree(
    conn: Connection, root: ResourceProvider, listed: Iterable[ResourceProvider]
) -> ProviderTree | None:
    """The root with those of the list that are below it; None where it is deleted meanwhile."""
    below = [row for row in listed if row.root_uuid == root.uuid and row.uuid != root.uuid]
    for own in _read(conn, (root,)):
        return ProviderTree(own, _read(conn, below))
    return None


def host_provider(conn: Connection, hypervisor_host: str) -> ResourceProvider | None:
    """A host's own provider with its traits alone, None without one. Raises CloudError."""
    with answer_read(conn, f"read Placement's provider {hypervisor_host}"):
        rows = _get(conn, "/resource_providers", name=hypervisor_host)["resource_providers"]
        for provider in map(_identified, rows):
            return replace(provider, traits=_traits(conn, provider))
    return None


def with_consumers(conn: Connection, provider: ResourceProvider) -> ResourceProvider:
    """The provider with who holds something of it; nobody where it is gone. Raises CloudError."""
    with answer_read(conn, f"read the allocations of the provider {provider.name}"):
        try:
            rows = _get(conn, f"/resource_providers/{provider.uuid}/allocations")["allocations"]
        except sdk.NotFoundException:
            rows = {}
        return replace(provider, consumers=tuple(sorted(rows)))


def allocations(conn: Connection, consumer: str) -> tuple[Allocation, ...]:
    """What a consumer holds, by provider and class; empty for one that holds nothing."""
    with answer_read(conn, f"read the allocations of {consumer}"):
        rows = _get(conn, f"/allocations/{consumer}")["allocations"]
        return tuple(
            Allocation(uuid, resource_class, int(amount))
            for uuid, row in sorted(rows.items())
            for resource_class, amount in sorted(row["resources"].items())
        )


def listed_providers(conn: Connection) -> tuple[ResourceProvider, ...]:
    """All providers by their identity alone, with one request. Raises CloudError."""
    return _list(conn)


def providers_with_trait(conn: Connection, trait: str) -> frozenset[str]:
    """The uuids of the providers that have a trait, with one request. Raises CloudError."""
    with answer_read(conn, f"list the providers with {trait}"):
        answer = _get(conn, "/resource_providers", REQUIRED_VERSION, required=trait)
        return frozenset(str(row["uuid"]) for row in answer["resource_providers"])


def used_traits(conn: Connection) -> tuple[str, ...]:
    """The traits that some provider has, with one request. Raises CloudError."""
    with answer_read(conn, "list Placement's traits"):
        return tuple(map(str, _get(conn, "/traits", associated="true")["traits"]))


def with_allocations(
    conn: Connection, provider: ResourceProvider
) -> tuple[ResourceProvider, tuple[ProviderAllocation, ...]] | None:
    """The provider with its inventories, and what each consumer holds of it.

    Two requests: what is used is counted from the allocations. None where the provider is gone.
    Raises CloudError.
    """
    path = f"/resource_providers/{provider.uuid}"
    with answer_read(conn, f"read the provider {provider.name}"):
        version = maximum_supported_microversion(conn.placement, CONSUMER_VERSION)
        try:
            taken = _get(conn, f"{path}/allocations", version or TRAITS_VERSION)
            rows = _get(conn, f"{path}/inventories")["inventories"]
        except sdk.NotFoundException:
            return None
        held = tuple(
            ProviderAllocation(str(consumer), str(name), int(amount), row.get(_GENERATION))
            for consumer, row in sorted(taken["allocations"].items())
            for name, amount in sorted(row["resources"].items())
        )
        used: Counter[str] = Counter()
        for row in held:
            used[row.resource_class] += row.amount
        own = replace(
            provider,
            generation=taken.get("resource_provider_generation", provider.generation),
            inventories=_inventory_rows(rows, used),
            consumers=tuple(dict.fromkeys(row.consumer for row in held)),
        )
        return own, held


def wait_for_providers(
    conn: Connection, predicate: Callable[[Sequence[ResourceProvider]], bool], timeout: float
) -> tuple[ResourceProvider, ...]:
    """Wait until the predicate holds of all providers, and return them.

    `timeout` in seconds. Raises CloudError, or WaitTimeoutError with the providers of the end.
    """
    seen: tuple[ResourceProvider, ...] = ()

    def probe() -> tuple[ResourceProvider, ...] | None:
        nonlocal seen
        seen = providers(conn)
        return seen if predicate(seen) else None

    return wait_until(
        "the awaited resource providers in Placement",
        probe,
        timeout,
        interval=1.0,
        last=lambda: providers_text(seen) or "Placement has no provider.",
        resolution="See nova-compute's log: its device_spec must match the host's functions, and "
        "report_in_placement must be set.",
    )


def providers_text(providers: Iterable[ResourceProvider]) -> str:
    """One line for each provider: its name, and its inventories as used/total."""
    lines = []
    for provider in sorted(providers, key=lambda provider: provider.name):
        amounts = ", ".join(
            f"{row.resource_class} {row.used}/{row.total}" for row in provider.inventories or ()
        )
        lines.append(f"{provider.name}: {amounts or 'no inventory'}")
    return "\n".join(lines)


def _list(conn: Connection) -> tuple[ResourceProvider, ...]:
    """All providers by their identity alone."""
    with answer_read(conn, "list Placement's providers"):
        rows = _get(conn, "/resource_providers", TREE_VERSION)["resource_providers"]
        return tuple(map(_identified, rows))


def _identified(row: Mapping[str, Any]) -> ResourceProvider:
    # Before Queens a row has neither parent nor root.
    return ResourceProvider(
        str(row["name"]),
        str(row["uuid"]),
        row.get("parent_provider_uuid"),
        row.get("root_provider_uuid"),
        row.get("generation"),
    )


def _read(conn: Connection, listed: Iterable[ResourceProvider]) -> tuple[ResourceProvider, ...]:
    """The providers, by name, with inventories, usages and traits; without those that are gone."""
    read = []
    for provider in listed:
        with answer_read(conn, f"read the provider {provider.name}"):
            try:
                inventories, traits = _inventories(conn, provider), _traits(conn, provider)
                read.append(replace(provider, inventories=inventories, traits=traits))
            except sdk.NotFoundException:
                continue
    return tuple(sorted(read, key=lambda provider: provider.name))


def _inventories(conn: Connection, provider: ResourceProvider) -> tuple[Inventory, ...]:
    path = f"/resource_providers/{provider.uuid}"
    rows = _get(conn, f"{path}/inventories")["inventories"]
    return _inventory_rows(rows, _get(conn, f"{path}/usages")["usages"])


def _inventory_rows(rows: Mapping[str, Any], used: Mapping[str, int]) -> tuple[Inventory, ...]:
    return tuple(
        Inventory(
            str(name),
            int(row["total"]),
            int(row["reserved"]),
            int(used.get(name, 0)),
            float(row["allocation_ratio"]),
            int(row["max_unit"]),
        )
        for name, row in sorted(rows.items())
    )


def _traits(conn: Connection, provider: ResourceProvider) -> frozenset[str]:
    return frozenset(_get(conn, f"/resource_providers/{provider.uuid}/traits")["traits"])


def _get(
    conn: Connection, path: str, version: str = TRAITS_VERSION, **query: str
) -> dict[str, Any]:
    response = conn.placement.get(path, params=query, microversion=version)
    sdk.raise_from_response(response)
    body: dict[str, Any] = response.json()
    return body


def tree_of(conn: Connection, uuid: str) -> tuple[ResourceProvider, ...]:
    """All providers of the tree that has this one, by identity alone; none where it is gone.

    Raises CloudError.
    """
    with answer_read(conn, f"read the tree of the provider {uuid}"):
        rows = _get(conn, "/resource_providers", TREE_VERSION, in_tree=uuid)["resource_providers"]
        return tuple(map(_identified, rows))


def provider_traits(conn: Connection, provider: ResourceProvider) -> frozenset[str]:
    """The provider's traits, none where it is gone. Raises CloudError."""
    with answer_read(conn, f"read the traits of {provider.name}"):
        try:
            return _traits(conn, provider)
        except sdk.NotFoundException:
            return frozenset()
