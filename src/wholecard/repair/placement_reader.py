"""Placement as a plan reads it: each thing once."""

from __future__ import annotations

from openstack.connection import Connection

from wholecard.cloud.placement.resource_providers import tree_of
from wholecard.repair.operations.placement import (
    Consumer,
    consumer,
    part_of,
    provider_row,
)


class PlacementReader:
    """The answers of one Placement, kept for one plan. Methods raise CloudError."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._consumers: dict[str, Consumer] = {}
        self._trees: dict[str, dict[str, str]] = {}

    def consumer(self, uuid: str) -> Consumer:
        """What a consumer holds."""
        if uuid not in self._consumers:
            self._consumers[uuid] = consumer(self._conn, uuid)
        return self._consumers[uuid]

    def tree(self, provider: str) -> dict[str, str]:
        """The names of all providers in the tree of this one, by uuid."""
        if provider not in self._trees:
            names = {row.uuid: row.name for row in tree_of(self._conn, provider)}
            self._trees.update(dict.fromkeys((provider, *names), names))
        return self._trees[provider]

    def parent(self, provider: str) -> str | None:
        """The uuid of a provider's parent."""
        row = provider_row(self._conn, provider) or {}
        return row.get("parent_provider_uuid")

    def traits(self, provider: str) -> frozenset[str]:
        """A provider's traits."""
        return frozenset(part_of(self._conn, provider, "traits").get("traits", ()))
