"""A stock counted: what is left, what fits, what is stranded. Nothing is read, nothing is asked.

Each server that is said to fit does fit beside all others that are, on the host where it was put.
A flavor alone fills each host by itself, so that the order of hosts does not matter. A mix is
packed greedily, its largest servers first, each on the host with the fewest free cards that takes
it: another order may place more. What is stranded on a host is found by trying every combination of
the flavors there, and beyond a limit greedily.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from wholecard.capacity.answer import Capacity, FlavorRow, HostRow, UnitsRow
from wholecard.capacity.demand import Demand, demands_of
from wholecard.capacity.record import HostStock, Kind, Stock
from wholecard.capacity.reservations import reservable
from wholecard.capacity.room import Room, lack, place, room_of
from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.nova.flavor.server_request import ServerRequest

# Rooms that are tried for one host, and units on it, before the search becomes greedy.
_MOST_ROOMS = 3_000
_MOST_UNITS = 128


def count(stock: Stock, mix: Mapping[str, int]) -> Capacity:
    """The answer, without findings; `mix` is how many servers by flavor are placed first.

    Raises UsageError for a mix with a flavor that is not known or cannot be counted.
    """
    demands = demands_of(stock)
    _check_mix(mix, demands)
    # Hosts of a saved file share what they have in common: it is summed once.
    number = Counter(map(_shape, stock.hosts))
    shapes = {_shape(host): host for host in stock.hosts}
    same = [(host, number[shape]) for shape, host in shapes.items()]
    most = _most_for_a_unit(demands.values())
    full = {shape: _trimmed(room_of(host), most) for shape, host in shapes.items()}
    empty = Counter[Room]()
    for host, alike in same:
        empty[_trimmed(room_of(host, empty=True), most)] += alike
    usable = [full[_shape(host)] for host in stock.hosts if not host.closed]
    left, placed = packed(usable, [(demands[name], mix[name]) for name in mix])
    search = Search(_counted(demands, mix))
    rows, lost = _host_rows(stock.hosts, full, left, search)
    requests = {request.flavor: request for request in stock.flavors}
    flavors = tuple(_flavor_row(demand, requests[name], Counter(usable), empty, same)
                    for name, demand in demands.items())  # fmt: skip
    servers = {name: (placed[name], asked) for name, asked in mix.items()}
    return Capacity(stock.source, _summed(same, False, lost), rows, flavors, servers,
                    search.all_tried, stock.not_known, stock.displaced)  # fmt: skip


def _counted(demands: Mapping[str, Demand], mix: Mapping[str, int]) -> list[Demand]:
    """The flavors that could use what is left: those of the mix, all where there is none."""
    return [
        demand
        for name, demand in demands.items()
        if not demand.unknown and name in (mix or demands)
    ]


def _shape(host: HostStock) -> tuple[int, ...]:
    return id(host.cards), id(host.machine), id(host.traits), id(host.nodes)


def _most_for_a_unit(demands: Iterable[Demand]) -> dict[str, float]:
    """Of each class the most that a server takes for one of its cards."""
    most: dict[str, float] = {}
    for demand in demands:
        for name, amount in (*demand.amounts.items(), *(demand.second or {}).items()):
            most[name] = max(most.get(name, 0), amount / max(1, demand.units))
    return most


def _trimmed(room: Room, most: Mapping[str, float]) -> Room:
    """The room with no more of each class than its cards' servers could take, however placed.

    So hosts are alike that differ only in what is left over anyway.
    """
    units = room.units()
    amounts = room.amounts and tuple(
        (name, min(free, ceil(units * most[name]) + 1), largest)
        for name, free, largest in room.amounts
        if name in most
    )
    return room._replace(amounts=amounts)


def fits(room: Room, demand: Demand) -> tuple[int, Room]:
    """How many servers get a place one after the other, and the room after them."""
    number, after = 0, place(room, demand)
    while after is not None:
        number, room, after = number + 1, after, place(after, demand)
    return number, room


def packed(
    rooms: Sequence[Room], wanted: Iterable[tuple[Demand, int]]
) -> tuple[list[Room], Counter[str]]:
    """The rooms after the mix, in their order, and how many servers of each flavor were placed."""
    left, placed = list(rooms), Counter[str]()
    for demand, number in sorted(
        wanted, key=lambda pair: (-pair[0].units, -sum(pair[0].amounts.values()))
    ):
        known: dict[Room, Room | None] = {}
        # The room with the fewest free cards stays so until it takes no more servers.
        for index in sorted(range(len(left)), key=lambda index: left[index].units()):
            while placed[demand.flavor] < number:
                room = left[index]
                if room not in known:
                    known[room] = place(room, demand)
                after = known[room]
                if after is None:
                    break
                left[index] = after
                placed[demand.flavor] += 1
    return left, placed


@dataclass
class Search:
    """The best use of rooms by any combination of the flavors; rooms that are alike once."""

    demands: list[Demand]
    all_tried: bool = True
    _ends: dict[Room, Room] = field(default_factory=dict)
    _reasons: dict[Room, str] = field(default_factory=dict)
    _most: int = 0

    def __post_init__(self) -> None:
        self.demands.sort(key=lambda demand: -demand.units)

    def best(self, room: Room) -> Room:
        """The room with the fewest free units that servers of these flavors can leave."""
        self._most = len(self._ends) + _MOST_ROOMS
        if room.units() <= _MOST_UNITS:
            return self._best(room)
        self.all_tried = self.all_tried and len(self.demands) == 1
        for demand in self.demands:
            room = fits(room, demand)[1]
        return room

    def _best(self, room: Room) -> Room:
        if room not in self._ends:
            end = room
            for demand in self.demands:
                after = place(room, demand)
                if after is not None:
                    end = min(end, self._best(after), key=lambda each: each.units())
                    if len(self._ends) > self._most:
                        self.all_tried = False
                        break
            self._ends[room] = end
        return self._ends[room]

    def why(self, end: Room) -> str:
        """What the flavor lacks that asks for the fewest of what is left."""
        if end not in self._reasons:
            classes = {pool.kind.resource_class for pool, _ in end.pools}
            asking = [demand for demand in self.demands if demand.classes & classes]
            least = min(asking, key=lambda demand: demand.units, default=None)
            text = f"for {least.flavor} {lack(end, least)}" if least else "no flavor asks for them"
            self._reasons[end] = text
        return self._reasons[end]


def _host_rows(
    hosts: Iterable[HostStock], full: Mapping[tuple[int, ...], Room], left: Iterable[Room],
    search: Search,
) -> tuple[tuple[HostRow, ...], Counter[Kind] | None]:  # fmt: skip
    """The hosts' rows, and what is stranded by kind, None where no flavor is known.

    `left` are the rooms of those that are not closed, after the mix.
    """
    rows, lost = [], Counter[Kind]()
    units: dict[int, tuple[UnitsRow, ...]] = {}
    rooms = iter(left)
    for host in hosts:
        if id(host.cards) not in units:
            units[id(host.cards)] = _summed([(host, 1)], True)
        end = full[_shape(host)] if host.closed else search.best(next(rooms))
        for pool, number in end.pools:
            lost[pool.kind] += pool.free * number
        why = (host.closed or search.why(end)) if end.pools else ""
        stranded = end.units() if search.demands else None
        rows.append(HostRow(host.name, units[id(host.cards)], stranded, why, host.closed))
    return tuple(rows), lost if search.demands else None


def _summed(
    hosts: Iterable[tuple[HostStock, int]], by_node: bool, lost: Mapping[Kind, int] | None = None
) -> tuple[UnitsRow, ...]:
    """Rows by kind, and by NUMA node, of so many hosts of each shape."""
    sums: dict[tuple[Kind, int | None], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for host, number in hosts:
        for card in host.cards:
            cell = sums[card.kind, card.numa_node if by_node else None]
            for column, units in enumerate((card.total, card.given, card.reserved, card.free)):
                cell[column] += units * number
    return tuple(
        UnitsRow(kind.resource_class, kind.traits, total, given, reserved, free,
                 None if lost is None else lost.get(kind, 0), node)
        for (kind, node), (total, given, reserved, free) in sums.items()
    )  # fmt: skip


def _flavor_row(
    demand: Demand, request: ServerRequest, rooms: Mapping[Room, int], empty: Mapping[Room, int],
    hosts: Iterable[tuple[HostStock, int]],
) -> FlavorRow:  # fmt: skip
    if demand.unknown:
        return FlavorRow(demand.flavor, unknown=demand.unknown)
    number, reasons = 0, Counter[str]()
    for room, alike in rooms.items():
        own, end = fits(room, demand)
        number += own * alike
        lost = end.units(demand.classes)
        if lost:
            reasons[lack(end, demand)] += lost * alike
    return FlavorRow(
        demand.flavor, demand.units, number,
        sum(fits(room, demand)[0] * alike for room, alike in empty.items()), demand.is_plain,
        reasons.total(), max(reasons, key=reasons.__getitem__, default=""),
        sum(reservable(host, request) * alike for host, alike in hosts),
    )  # fmt: skip


def _check_mix(mix: Mapping[str, int], demands: Mapping[str, Demand]) -> None:
    for name in mix:
        if name not in demands:
            details = did_you_mean(name, demands) or f"There are: {', '.join(demands) or 'none'}"
            raise UsageError(f"no flavor with cards is called {name}", details)
        if demands[name].unknown:
            raise UsageError(f"the flavor {name} cannot be counted", demands[name].unknown)
