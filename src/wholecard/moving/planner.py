"""How a server would be moved: by which method, to which host, how long, or why not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import hypervisors
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.server_details import (
    ServerDetails,
    ServerGroup,
    server_details,
    server_groups,
)
from wholecard.core import Finding, Severity
from wholecard.core.releases import Release
from wholecard.explain.evidence.from_files import Files
from wholecard.moving.destinations import Search, request_of, search
from wholecard.moving.estimate import BANDWIDTH, estimate
from wholecard.moving.holdings import holdings_of
from wholecard.moving.left_over import said_before
from wholecard.moving.live_migration import has_mediated_device, live_answer
from wholecard.moving.obstacles import Grouping, Obstacle, grouping, obstacle
from wholecard.moving.pauses import Pauses
from wholecard.moving.record import Destination, Estimate, Holdings, LiveAnswer, Method, MovePlan
from wholecard.nova.known_bugs import MOVE_TAKES_OTHER_CARD

CANNOT, STOPS = "WC590", "WC591"
_MOST_SHOWN = 8


@dataclass(frozen=True)
class MoveOptions:
    """What a person asks of moves. `method` None: live where nova would do it, else cold.

    `to` are the allowed hosts, all where none is named. `unlocked` is whether locked servers are
    moved too. `bandwidth` in MiB/s, `used_gb` what is used of the disk. `migratable` is what nova's
    aliases say of live migration, by alias, where files tell. `repaired` is whether a card that
    nova leaves in an allocation is taken out after the move. `pauses` are those of earlier live
    migrations.
    """

    to: tuple[str, ...] = ()
    method: Method | None = None
    unlocked: bool = False
    bandwidth: float = BANDWIDTH
    used_gb: float | None = None
    files: Files = field(default_factory=Files)
    release: Release | None = None
    migratable: Mapping[str, bool] = field(default_factory=dict)
    repaired: bool = False
    pauses: Pauses = field(default_factory=Pauses)


class Planner:
    """Plans moves; what is the same for several servers is asked once."""

    def __init__(self, conn: Connection, options: MoveOptions) -> None:
        self.conn, self.options = conn, options
        self._groups: tuple[ServerGroup, ...] | None = None
        self._hosts: dict[str, str | None] = {}
        self._searches: dict[object, Search] = {}
        self._versions: dict[str, int] | None = None

    def plan(self, server: ServerDetails) -> MovePlan:
        """How this server would be moved. Raises CloudError, UsageError for an unknown host."""
        options = self.options
        holdings = holdings_of(self.conn, server.id, traits=True)
        qemu = self._qemu(server.host) if has_mediated_device(holdings) else 0
        live = live_answer(server, holdings, options.migratable, qemu)
        method = options.method or (Method.LIVE if live.possible else Method.COLD)
        blank = MovePlan(server, holdings, live, method, (), None, self._needs(server, method))
        block = obstacle(server, method, unlocked=options.unlocked)
        if block is None and method is Method.LIVE and live.possible is False:
            change = f" To move it live: {live.fix}" if live.fix else ""
            block = Obstacle(live.why, f"Move it cold: without --live.{change}")
        if block is not None:
            return _blocked(blank, block)
        group = self.grouping(server)
        if group.stays is not None:
            return _blocked(blank, group.stays)
        found = self.search(server, holdings)
        hosts = tuple(_allowed(to, group) for to in found.destinations)
        chosen = next((to for to in hosts if to.answer != "no"), None)
        left = said_before(method, holdings, options.repaired)
        plan = replace(blank, destinations=hosts,
                       notes=(*found.notes, *_of_one_use(method, holdings), *left))  # fmt: skip
        if chosen is None:
            return _blocked(plan, _nowhere(server, hosts, found.notes))
        return self.placed(replace(plan, findings=_stops(server, method, live)), chosen)

    def placed(self, plan: MovePlan, to: Destination) -> MovePlan:
        """The plan with this destination, and how long a move to it takes."""
        needs = self._needs(plan.server, plan.method, to.node)
        return replace(plan, destination=to, estimate=needs)

    def _needs(self, server: ServerDetails, method: Method, node: str = "") -> Estimate:
        options = self.options
        return estimate(server, method, options.bandwidth, options.used_gb, options.pauses, node)

    def search(self, server: ServerDetails, holdings: Holdings) -> Search:
        """Where it could go; servers that ask for the same are asked about once."""
        request = replace(request_of(server), source="")
        key = (
            *(str(value) for value in vars(request).values()), server.host,
            *holdings.card_amounts.items(),
        )  # fmt: skip
        if key not in self._searches:
            options = self.options
            self._searches[key] = search(
                self.conn, server, holdings, options.to, options.files, options.release
            )
        return self._searches[key]

    def grouping(self, server: ServerDetails) -> Grouping:
        """What its server groups demand; nothing where this user may not see them."""
        if not server.groups:
            return Grouping()
        if self._groups is None:
            try:
                self._groups = server_groups(self.conn)
            except CloudError as error:
                if error.http_status != 403:
                    raise
                self._groups = ()
        return grouping(server, self._groups, self._host_of)

    def _qemu(self, host: str | None) -> int:
        """QEMU's version there, 0 where nova does not tell this user."""
        if self._versions is None:
            try:
                listed = hypervisors(self.conn)
            except CloudError as error:
                if error.http_status != 403:
                    raise
                listed = ()
            self._versions = {row.service_host: row.version for row in listed}
        return self._versions.get(host or "", 0)

    def _host_of(self, server_id: str) -> str | None:
        if server_id not in self._hosts:
            other = server_details(self.conn, server_id)
            self._hosts[server_id] = other.host if other else None
        return self._hosts[server_id]


def _allowed(to: Destination, group: Grouping) -> Destination:
    if to.host not in group.forbidden:
        return to
    why = f"its server group {group.group} (anti-affinity) has a server there"
    return replace(to, answer="no", why=why, rule="")


def _blocked(plan: MovePlan, block: Obstacle) -> MovePlan:
    finding = Finding(CANNOT, plan.server.name, Severity.ERROR, block.why, block.fix)
    return replace(plan, blocked=block.why, fix=block.fix, findings=(finding,))


def _nowhere(
    server: ServerDetails, hosts: tuple[Destination, ...], notes: tuple[str, ...]
) -> Obstacle:
    """No host can take it: the reason of the one that fails latest, and the others' in short."""
    if not hosts:
        return Obstacle("no other host can take it", " ".join(notes))
    lines = [f"{to.host}: {f'{to.rule} ' if to.rule else ''}{to.why}" for to in hosts]
    more = f"; and {len(lines) - _MOST_SHOWN} more" if len(lines) > _MOST_SHOWN else ""
    shown = "; ".join(lines[:_MOST_SHOWN]) + more
    fix = f"wholecard explain --flavor {server.flavor} shows every check of each host."
    return Obstacle(f"no other host can take it. {shown}", fix)


def _of_one_use(method: Method, holdings: Holdings) -> tuple[str, ...]:
    """What a move of one-time-use cards may come to; see `MOVE_TAKES_OTHER_CARD`."""
    once = [card for card in holdings.cards if card.one_time_use]
    if method is Method.LIVE or not once:
        return ()
    names = ", ".join(card.address or card.provider for card in once)
    back = (
        " The guest keeps running: openstack server set --state active SERVER gives its state back."
        if method is Method.COLD else ""
    )  # fmt: skip
    return (
        f"{names}: for one use (one_time_use). The move fails, and the server is ERROR, where nova "
        "takes another card on the new host than Placement allocated, for it reserves the card "
        f"first ({MOVE_TAKES_OTHER_CARD.link}; nova-compute: ReshapeFailed). It does not where the "
        f"host has no other card of the kind that is free in nova.{back}",
    )


def _stops(server: ServerDetails, method: Method, live: LiveAnswer) -> tuple[Finding, ...]:
    if method is not Method.COLD or server.vm_state != "active":
        return ()
    why = f"it is shut down for the move, for nova does not migrate it live: {live.why}"
    return (Finding(STOPS, server.name, Severity.NOTE, why),)
