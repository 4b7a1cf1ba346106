"""Placement as its database has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, String, cast, func, null, select
from sqlalchemy.sql import ColumnElement, FromClause
from sqlalchemy.sql.selectable import Join, TableClause

from wholecard.audit.record import ConsumerAllocation
from wholecard.audit.views.joined_rows import grouped_rows, split_rows
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
_NO: Sequence[list[str]] = ()


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
        self._inventory_of: dict[tuple[str, str, str, str, str, int], Inventory] = {}

    def managed_hosts(self) -> frozenset[str]:
        """See `PlacementView`."""
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
        )
        roots = (row[0] for row in self._database.all(statement))
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
            select(consumer, func.min(_ROOT), func.max(_ROOT)).select_from(named).group_by(consumer)
        )
        if consumers is None:
            rows: Any = self._database.rows(spans)
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
        allocations, used = self._allocations(roots)
        inventories = self._inventories(roots, used)
        traits = self._provider_traits(roots)
        rows = RESOURCE_PROVIDERS.c
        columns = (rows.id, rows.uuid, rows.name, rows.generation, rows.parent_provider_id,
                   rows.root_provider_id)  # fmt: skip
        trees: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for fields in self._joined(roots, RESOURCE_PROVIDERS, *columns):
            trees[fields[5]][fields[0]] = fields
        found = {}
        for root, tree in trees.items():
            uuids = {number: fields[1] for number, fields in tree.items()}
            read = {
                number: ResourceProvider(
                    name, uuid, uuids.get(parent, parent) or None, uuids.get(root),
                    int(generation or 0), tuple(inventories.get(number, ())),
                    traits.get(number, frozenset()),
                )
                for number, uuid, name, generation, parent, _ in tree.values()
            }  # fmt: skip
            own = read.pop(root, None)
            if own is not None:
                below = sorted(read.values(), key=lambda provider: provider.name)
                held = self._held(tree, uuids, allocations)
                found[own.name] = HostTree(ProviderTree(own, tuple(below)), held)
        return found

    def _held(
        self,
        numbers: Iterable[str],
        uuids: Mapping[str, str],
        allocations: Mapping[str, list[list[str]]],
    ) -> tuple[ConsumerAllocation, ...]:
        return tuple(
            ConsumerAllocation(
                consumer, uuids[number], self._class(kind), int(used), project, user,
                int(generation) if generation else None,
            )
            for number in numbers
            for _, consumer, kind, used, project, user, generation in allocations.get(number, _NO)
        )  # fmt: skip

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def _load(self) -> None:
        """What is small beside the rest: root providers, names of classes and of traits."""
        if self._roots:
            return
        self._database.require(NAMES, "Placement's database")
        providers = RESOURCE_PROVIDERS.c
        roots = select(providers.id, providers.name).where(providers.parent_provider_id.is_(None))
        for number, name in self._database.rows(roots):
            self._roots[name], self._names[number] = number, name
        classes = self._database.all(select(RESOURCE_CLASSES.c.id, RESOURCE_CLASSES.c.name))
        self._classes = standard_classes() | {str(row[0]): row[1] for row in classes}
        traits = self._database.all(select(TRAITS.c.id, TRAITS.c.name))
        self._traits = {str(row[0]): row[1] for row in traits}

    def _allocations(
        self, roots: Sequence[int]
    ) -> tuple[dict[str, list[list[str]]], dict[tuple[str, str], int]]:
        """By provider's id the rows, and by provider's and class's what is used in all.

        A row is provider, consumer, class, used, project, user and the consumer's generation.
        """
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
        used: dict[tuple[str, str], int] = defaultdict(int)
        for fields in self._joined(roots, table, *columns):
            found[fields[0]].append(fields)
            used[fields[0], fields[2]] += int(fields[3])
        return found, used

    def _inventories(
        self, roots: Sequence[int], used: Mapping[tuple[str, str], int]
    ) -> dict[str, list[Inventory]]:
        rows = INVENTORIES.c
        columns = (rows.resource_provider_id, rows.resource_class_id, rows.total, rows.reserved,
                   rows.allocation_ratio, rows.max_unit)  # fmt: skip
        found: dict[str, list[Inventory]] = defaultdict(list)
        for number, kind, total, reserved, ratio, most in self._joined(
            roots, _with_providers(INVENTORIES), *columns
        ):
            taken = used.get((number, kind), 0)
            found[number].append(self._inventory(kind, total, reserved, ratio, most, taken))
        return found

    def _provider_traits(self, roots: Sequence[int]) -> dict[str, frozenset[str]]:
        """Providers of one kind have the same traits: each set is made once."""
        if not roots:
            return {}
        rows = PROVIDER_TRAITS.c
        names = func.aggregate_strings(cast(rows.trait_id, String), ",").label("traits")
        sets = (
            select(rows.resource_provider_id, _ROOT, names)
            .select_from(_with_providers(PROVIDER_TRAITS))
            .where(_ROOT.in_(roots))
            .group_by(rows.resource_provider_id, _ROOT)
            .subquery()
        )
        found = {}
        for number, traits in self._split(
            grouped_rows(select(), sets.c.root_provider_id, sets.c.resource_provider_id,
                         sets.c.traits)
        ):  # fmt: skip
            found[number] = self._set(traits)
        return found

    def _inventory(
        self, kind: str, total: str, reserved: str, ratio: str, most: str, taken: int
    ) -> Inventory:
        """Cards of one kind have the same inventory: each is made once."""
        key = (kind, total, reserved, ratio, most, taken)
        row = self._inventory_of.get(key)
        if row is None:
            row = Inventory(
                self._class(kind), int(total), int(reserved), taken, float(ratio), int(most)
            )
            if len(self._inventory_of) < _MOST_SHARED:
                self._inventory_of[key] = row
        return row

    def _set(self, traits: str) -> frozenset[str]:
        if traits not in self._sets:
            names = (self._traits.get(number, number) for number in traits.split(","))
            self._sets[traits] = frozenset(names)
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
        yield from self._split(grouped_rows(statement, _ROOT, *columns))

    def _split(self, statement: Select[Any]) -> Iterator[list[str]]:
        for count, text in self._database.all(statement):
            yield from split_rows(text, count, self._database.name)


def _with_providers(table: TableClause) -> Join:
    return table.join(RESOURCE_PROVIDERS, RESOURCE_PROVIDERS.c.id == table.c.resource_provider_id)
