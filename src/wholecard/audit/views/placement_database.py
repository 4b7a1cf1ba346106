"""Placement as its database has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func, null, select
from sqlalchemy.sql import ColumnElement, FromClause
from sqlalchemy.sql.selectable import Join, TableClause

from wholecard.audit.record import ConsumerAllocation
from wholecard.audit.views.joined_rows import LARGE_GROUP, JoinedNumbers, grouped_rows
from wholecard.audit.views.placement_tables import (
    ALLOCATIONS,
    CONSUMERS,
    INVENTORIES,
    NAMES,
    PROJECTS,
    PROVIDER_TRAITS,
    RESOURCE_CLASSES,
    RESOURCE_PROVIDERS,
    TRAITS,
    USERS,
    standard_classes,
)
from wholecard.audit.views.placement_view import NOVAS_TRAITS, Holdings, HostTree
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider

_ROOT = RESOURCE_PROVIDERS.c.root_provider_id
_MOST_SHARED = 10_000
# Between two hosts' ids are those of the devices of one.
_ROOTS_TOGETHER = 16 * LARGE_GROUP


class PlacementDatabase:
    """A `PlacementView`. Methods raise WholecardError where the database cannot be read."""

    def __init__(self, database: ReadOnlyDatabase) -> None:
        self._database = database
        # Root providers: id by name and name by id; names of classes and traits by id.
        self._roots: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._classes: dict[str, str] = {}
        self._traits: dict[str, str] = {}
        self._sets: dict[str, frozenset[str]] = {}
        self._inventories_of: dict[tuple[object, ...], tuple[Inventory, ...]] = {}
        self._managed: frozenset[str] | None = None

    def managed_hosts(self) -> frozenset[str]:
        """See `PlacementView`."""
        if self._managed is None:
            self._managed = self._read_managed_hosts()
        return self._managed

    def _read_managed_hosts(self) -> frozenset[str]:
        self._load()
        traits = PROVIDER_TRAITS.join(TRAITS, TRAITS.c.id == PROVIDER_TRAITS.c.trait_id)
        providers = RESOURCE_PROVIDERS.c
        statement = (
            select(providers.root_provider_id)
            .distinct()
            .select_from(
                traits.join(
                    RESOURCE_PROVIDERS, providers.id == PROVIDER_TRAITS.c.resource_provider_id
                )
            )
            .where(TRAITS.c.name.in_(NOVAS_TRAITS))
            .subquery()
        )
        root = statement.c.root_provider_id
        roots = (
            int(fields[0])
            for fields in self._database.joined(
                grouped_rows(select(), root, root, size=_ROOTS_TOGETHER)
            )
        )
        return frozenset(self._names[root] for root in roots if root in self._names)

    def holdings(self, hosts: Collection[str], every: Collection[str]) -> Holdings:
        """See `PlacementView`."""
        self._load()
        named = _with_providers(ALLOCATIONS)
        consumer = ALLOCATIONS.c.consumer_id
        consumers: set[str] | None = None
        if len(hosts) < len(every):
            roots = [self._roots[host] for host in hosts if host in self._roots]
            held = select(consumer).distinct().select_from(named)
            consumers = {row[0] for row in self._database.in_chunks(held, _ROOT, roots)}
        spans = (
            select(consumer, func.min(_ROOT).label("first"), func.max(_ROOT).label("last"))
            .select_from(named)
            .group_by(consumer)
        )
        rows: Iterable[Any]
        if consumers is None:
            span = spans.subquery().c
            rows = self._database.joined(
                grouped_rows(select(), span.first, span.consumer_id, span.first, span.last,
                             size=_ROOTS_TOGETHER)
            )  # fmt: skip
        else:
            rows = self._database.in_chunks(spans, consumer, sorted(consumers))
        found, wide = set(), []
        for uuid, first, last in rows:
            found.add(uuid)
            if first != last:
                wide.append(uuid)
        pairs = select(consumer, _ROOT).distinct().select_from(named)
        hosts_of: dict[str, set[str]] = defaultdict(set)
        for uuid, root in self._database.in_chunks(pairs, consumer, wide):
            # A provider that several hosts share is no host; its name is none of theirs.
            name = self._names.get(root, "")
            if name in every:
                hosts_of[uuid].add(name)
        spread = {uuid: frozenset(names) for uuid, names in hosts_of.items() if len(names) > 1}
        return Holdings(found, spread)

    def trees(self, hosts: Sequence[str]) -> Mapping[str, HostTree]:
        """See `PlacementView`."""
        self._load()
        roots = [self._roots[host] for host in hosts if host in self._roots]
        allocations = self._allocations(roots)
        trees: dict[str, list[list[str]]] = defaultdict(list)
        for fields in self._providers(roots):
            trees[fields[5]].append(fields)
        found = {}
        for root, tree in trees.items():
            uuids = {fields[0]: fields[1] for fields in tree}
            held: list[ConsumerAllocation] = []
            below, own = [], None
            for number, uuid, name, generation, parent, _, inventories, traits in tree:
                rows = allocations.get(number)
                used = self._hold(uuid, rows, held) if rows else {}
                provider = ResourceProvider(
                    name, uuid, uuids.get(parent, parent) or None, uuids.get(root),
                    int(generation or 0), self._inventories(inventories, used), self._set(traits),
                )  # fmt: skip
                if number == root:
                    own = provider
                else:
                    below.append(provider)
            if own is not None:
                below.sort(key=_by_name)
                found[own.name] = HostTree(ProviderTree(own, tuple(below)), tuple(held))
        return found

    def _hold(
        self, provider: str, rows: Iterable[list[str]], held: list[ConsumerAllocation]
    ) -> dict[str, int]:
        """Add a provider's allocations; how much of each class (by its id) they use in all."""
        used: dict[str, int] = {}
        for _, consumer, kind, amount, project, user, generation in rows:
            taken = int(amount)
            used[kind] = used.get(kind, 0) + taken
            held.append(
                ConsumerAllocation(
                    consumer, provider, self._class(kind), taken, project, user,
                    int(generation) if generation else None,
                )
            )  # fmt: skip
        return used

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def _load(self) -> None:
        """What is small beside the rest: root providers, names of classes and of traits."""
        if self._roots:
            return
        self._database.require(NAMES, "Placement's database")
        providers = RESOURCE_PROVIDERS.c
        roots = grouped_rows(
            select().where(providers.parent_provider_id.is_(None)),
            providers.id, providers.id, providers.name, size=_ROOTS_TOGETHER,
        )  # fmt: skip
        for text, name in self._database.joined(roots):
            number = int(text)
            self._roots[name], self._names[number] = number, name
        classes = self._database.all(select(RESOURCE_CLASSES.c.id, RESOURCE_CLASSES.c.name))
        self._classes = standard_classes() | {str(row[0]): row[1] for row in classes}
        traits = self._database.all(select(TRAITS.c.id, TRAITS.c.name))
        self._traits = {str(row[0]): row[1] for row in traits}

    def _allocations(self, roots: Sequence[int]) -> dict[str, list[list[str]]]:
        """By provider's id: provider, consumer, class, used, project, user, the consumer's
        generation."""
        rows, consumers = ALLOCATIONS.c, CONSUMERS.c
        counted = "generation" in self._database.columns("consumers")
        table = (
            _with_providers(ALLOCATIONS)
            .outerjoin(CONSUMERS, consumers.uuid == rows.consumer_id)
            .outerjoin(PROJECTS, PROJECTS.c.id == consumers.project_id)
            .outerjoin(USERS, USERS.c.id == consumers.user_id)
        )
        columns = (
            rows.resource_provider_id, rows.consumer_id, rows.resource_class_id, rows.used,
            PROJECTS.c.external_id, USERS.c.external_id,
            consumers.generation if counted else null(),
        )  # fmt: skip
        found: dict[str, list[list[str]]] = defaultdict(list)
        for fields in self._joined(roots, table, *columns):
            found[fields[0]].append(fields)
        return found

    def _providers(self, roots: Sequence[int]) -> Iterator[list[str]]:
        """Each provider's id, uuid, name, generation, parent and root, and as one text each its
        inventories and its traits: cards of one kind have the same, and it is read once."""
        rows, inventories, traits = RESOURCE_PROVIDERS.c, INVENTORIES.c, PROVIDER_TRAITS.c
        amounts = JoinedNumbers(
            inventories.resource_class_id, inventories.total, inventories.reserved,
            inventories.allocation_ratio, inventories.max_unit,
        )  # fmt: skip
        has = select(amounts).where(inventories.resource_provider_id == rows.id)
        marked = select(JoinedNumbers(traits.trait_id)).where(
            traits.resource_provider_id == rows.id
        )
        return self._joined(
            roots, RESOURCE_PROVIDERS, rows.id, rows.uuid, rows.name, rows.generation,
            rows.parent_provider_id, rows.root_provider_id,
            has.scalar_subquery(), marked.scalar_subquery(),
        )  # fmt: skip

    def _inventories(self, text: str, used: Mapping[str, int]) -> tuple[Inventory, ...]:
        """The inventories of a provider, of which so much of each class is used."""
        key = (text, *used.items())
        found = self._inventories_of.get(key)
        if found is None:
            rows = (row.split(" ") for row in text.split(",") if row)
            found = tuple(
                Inventory(
                    self._class(kind), int(total), int(reserved), used.get(kind, 0), float(ratio),
                    int(most),
                )
                for kind, total, reserved, ratio, most in rows
            )  # fmt: skip
            if len(self._inventories_of) < _MOST_SHARED:
                self._inventories_of[key] = found
        return found

    def _set(self, traits: str) -> frozenset[str]:
        if traits not in self._sets:
            numbers = traits.split(",") if traits else ()
            self._sets[traits] = frozenset(self._traits.get(number, number) for number in numbers)
        return self._sets[traits]

    def _class(self, number: str) -> str:
        return self._classes.get(number, number)

    def _joined(
        self, roots: Sequence[int], table: FromClause, *columns: ColumnElement[Any]
    ) -> Iterator[list[str]]:
        """The rows of these roots' trees, each as its fields' texts."""
        if not roots:
            return
        statement = select().select_from(table).where(_ROOT.in_(roots))
        yield from self._database.joined(grouped_rows(statement, _ROOT, *columns))


def _with_providers(table: TableClause) -> Join:
    return table.join(RESOURCE_PROVIDERS, RESOURCE_PROVIDERS.c.id == table.c.resource_provider_id)


def _by_name(provider: ResourceProvider) -> str:
    return provider.name
