"""Placement through its API: what an audit sees without Placement's database.

Two requests for each provider, a few of them side by side, and one for each trait that is in use:
100 hosts of 8 cards are 1,800 requests. A large cloud is audited through the database.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from openstack.connection import Connection

from wholecard.audit.record import ConsumerAllocation
from wholecard.audit.views.placement_view import NOVAS_TRAITS, Holdings, HostTree
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.placement.provider_tree import ProviderTree, ResourceProvider
from wholecard.cloud.placement.resource_providers import (
    ProviderAllocation,
    allocations,
    listed_providers,
    providers_with_trait,
    used_traits,
    with_allocations,
)

T = TypeVar("T")
U = TypeVar("U")
Read = tuple[ResourceProvider, tuple[ProviderAllocation, ...]]

# As many requests side by side as one worker of Placement can queue without harm.
JOBS = 8
# Seconds before a request is sent again that Placement answered with 503.
PAUSES = (0.5, 1.0, 2.0)


class PlacementApi:
    """A `PlacementView`. `pauses` are seconds between the tries of a request answered with 503.

    Methods raise CloudError where Placement cannot be read; a provider that is deleted meanwhile is
    left out.
    """

    def __init__(
        self, conn: Connection, pauses: Sequence[float] = PAUSES, jobs: int = JOBS
    ) -> None:
        self._conn = conn
        self._pauses = tuple(pauses)
        self._jobs = jobs
        self._trees: dict[str, list[ResourceProvider]] = {}
        self._roots: dict[str, str] = {}
        self._traits: dict[str, set[str]] | None = None
        # Read for `holdings` and not yet given out, by provider's uuid.
        self._read: dict[str, Read | None] = {}

    def managed_hosts(self) -> frozenset[str]:
        """See `PlacementView`."""
        self._list()
        found: set[str] = set()
        for name in sorted(set(NOVAS_TRAITS).intersection(self._tried(used_traits))):
            found |= self._tried(partial(providers_with_trait, trait=name))
        return frozenset(
            root for root, tree in self._trees.items() if any(row.uuid in found for row in tree)
        )

    def holdings(self, hosts: Collection[str], every: Collection[str]) -> Holdings:
        """See `PlacementView`."""
        self._list()
        rows = [row for host in sorted(hosts) for row in self._trees.get(host, ())]
        self._read = dict(
            zip((row.uuid for row in rows), self._with_allocations(rows), strict=True)
        )
        hosts_of: dict[str, set[str]] = defaultdict(set)
        for read in filter(None, self._read.values()):
            provider, held = read
            for row in held:
                hosts_of[row.consumer].add(self._roots[provider.uuid])
        if len(hosts) < len(every):
            # What they hold elsewhere was not read.
            for consumer, names in self._hosts_of(sorted(hosts_of)):
                hosts_of[consumer].update(names.intersection(every))
        spread = {each: frozenset(names) for each, names in hosts_of.items() if len(names) > 1}
        return Holdings(frozenset(hosts_of), spread)

    def _hosts_of(self, consumers: Sequence[str]) -> Iterator[tuple[str, set[str]]]:
        """The names of the root providers on which each of these holds something."""
        for consumer, held in zip(consumers, self._map(allocations, consumers), strict=True):
            yield consumer, {self._roots.get(row.provider_uuid, "") for row in held}

    def trees(self, hosts: Sequence[str]) -> Mapping[str, HostTree]:
        """See `PlacementView`."""
        self._list()
        traits = self._all_traits()
        rows = [row for host in hosts for row in self._trees.get(host, ())]
        missing = [row for row in rows if row.uuid not in self._read]
        read = dict(
            zip((row.uuid for row in missing), self._with_allocations(missing), strict=True)
        )
        found = {}
        for host in hosts:
            tree = [self._read.pop(row.uuid, None) or read.get(row.uuid)
                    for row in self._trees.get(host, ())]  # fmt: skip
            if tree and tree[0]:
                found[host] = _host_tree([each for each in tree if each], traits)
        return found

    def close(self) -> None:
        """Nothing is open."""

    def _list(self) -> None:
        """The trees by their root's name, each with its root first."""
        if self._trees:
            return
        listed = self._tried(listed_providers)
        names = {row.uuid: row.name for row in listed}
        for row in sorted(listed, key=lambda row: (row.uuid != row.root_uuid, row.name)):
            root = names.get(row.root_uuid or row.uuid, row.name)
            self._trees.setdefault(root, []).append(row)
            self._roots[row.uuid] = root

    def _all_traits(self) -> Mapping[str, set[str]]:
        """The traits by provider's uuid: a request for each trait, for there are fewer of them."""
        if self._traits is None:
            names = self._tried(used_traits)
            having = self._map(providers_with_trait, names)
            self._traits = defaultdict(set)
            for name, uuids in zip(names, having, strict=True):
                for uuid in uuids:
                    self._traits[uuid].add(name)
        return self._traits

    def _with_allocations(self, rows: Sequence[ResourceProvider]) -> list[Read | None]:
        return self._map(with_allocations, rows)

    def _map(self, ask: Callable[[Connection, U], T], what: Iterable[U]) -> list[T]:
        with ThreadPoolExecutor(self._jobs) as threads:
            return list(threads.map(lambda each: self._tried(lambda conn: ask(conn, each)), what))

    def _tried(self, ask: Callable[[Connection], T]) -> T:
        """The answer; a service that is overloaded (503) is asked again."""
        for pause in self._pauses:
            try:
                return ask(self._conn)
            except CloudError as error:
                if error.http_status != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            time.sleep(pause)
        return ask(self._conn)


def _host_tree(tree: Sequence[Read], traits: Mapping[str, set[str]]) -> HostTree:
    (own, _), *below = [(_with_traits(provider, traits), held) for provider, held in tree]
    held = tuple(
        ConsumerAllocation(
            row.consumer, provider.uuid, row.resource_class, row.amount,
            consumer_generation=row.consumer_generation,
        )
        for provider, rows in tree
        for row in rows
    )  # fmt: skip
    return HostTree(ProviderTree(own, tuple(provider for provider, _ in below)), held)


def _with_traits(provider: ResourceProvider, traits: Mapping[str, set[str]]) -> ResourceProvider:
    return replace(provider, traits=frozenset(traits.get(provider.uuid, ())))
