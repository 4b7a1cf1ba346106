"""The cards of a cloud one by one: where each is, what it is now, and which servers have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.audit.record import CloudViews, HostViews
from wholecard.audit.request import AuditWatcher
from wholecard.audit.views.open_views import AuditSources, opened_views
from wholecard.audit.views.placement_view import NOVAS_TRAITS
from wholecard.capacity.from_cloud import HeldUnits, closed_because, held_units, states_of
from wholecard.capacity.record import CardUnits
from wholecard.cloud.placement.card_state import CardState
from wholecard.cloud.placement.provider_tree import ONE_TIME_USE, was_used_once


@dataclass(frozen=True)
class CardServer:
    """What holds a card: a server's id, name and project; a name is empty where nova has none."""

    id: str
    name: str = ""
    project: str = ""


@dataclass(frozen=True)
class ListedCard:
    """One card, or one parent of slices, as Placement has it, else nova.

    `closed` says why nova gives nothing on the host, empty where it does.
    """

    host: str
    units: CardUnits
    servers: tuple[CardServer, ...] = ()
    closed: str = ""

    @property
    def traits(self) -> tuple[str, ...]:
        """Its traits without those that every card of nova's has."""
        return tuple(name for name in self.units.kind.traits if name not in NOVAS_TRAITS)

    @property
    def state(self) -> CardState:
        """`free` where a server could get some of it if nova gave anything on the host."""
        units = self.units
        if units.given or self.servers:
            return CardState.GIVEN
        once = ONE_TIME_USE in units.kind.traits
        if once and was_used_once(units.total, units.reserved, units.given):
            return CardState.DIRTY
        return CardState.FREE if units.free else CardState.RESERVED

    def to_json(self) -> dict[str, Any]:
        """A row for a table and for a program."""
        units = self.units
        return {
            "host": self.host,
            "card": units.name,
            "resource_class": units.kind.resource_class,
            "traits": list(self.traits),
            "state": self.state.value,
            "servers": [server.id for server in self.servers],
            "server_names": [server.name for server in self.servers],
            "projects": list(dict.fromkeys(row.project for row in self.servers if row.project)),
            "numa_node": units.numa_node,
            "total": units.total,
            "given": units.given,
            "reserved": units.reserved,
            "free": units.free,
            "closed": self.closed,
        }


def list_cards(
    sources: AuditSources, watcher: AuditWatcher | None = None, states: Sequence[str] = ()
) -> tuple[ListedCard, ...]:
    """The cards by host and address; of these states only, all where none is named.

    Raises WholecardError where nova cannot be read.
    """
    told = watcher or AuditWatcher()
    with opened_views(sources) as views:
        cloud = views.cloud_views()
        services = states_of(cloud)
        told.look(len(services), again=False)
        cards: list[ListedCard] = []
        for host in views.host_views():
            cards += listed(host, cloud, services)
            told.host(host.host)
    return tuple(card for card in cards if not states or card.state in states)


def listed(host: HostViews, cloud: CloudViews, services: Mapping[str, str]) -> Iterator[ListedCard]:
    """One host's cards; `services` says of nova-compute's hosts why they give nothing."""
    closed = closed_because(host, services)
    for held in sorted(held_units(host), key=lambda held: held.units.name):
        yield ListedCard(host.host, held.units, _servers(held, cloud), closed)


def _servers(held: HeldUnits, cloud: CloudViews) -> tuple[CardServer, ...]:
    """Its servers; while a server moves, its migration holds what it had on the source."""
    moving = {row.uuid: row.instance_uuid for row in cloud.migrations}
    ids = dict.fromkeys(moving.get(holder, holder) for holder in held.holders)
    rows = ((uuid, cloud.instances.get(uuid)) for uuid in ids)
    return tuple(
        CardServer(uuid, row.name, row.project_id or "") if row else CardServer(uuid)
        for uuid, row in rows
    )
