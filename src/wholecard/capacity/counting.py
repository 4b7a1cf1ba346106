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

from wholecard.capacity.answer import Capacity, FlavorRow, HostRow, UnitsRow
from wholecard.capacity.demand import Demand, demands_of
from wholecard.capacity.record import CardUnits, HostStock, Kind, Stock
from wholecard.capacity.reservations import reservable
from wholecard.capacity.room import Pools, Room, lack, place, pools_of, room_of
from wholecard.capacity.trimming import Trimmer
from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.nova.flavor.server_request import ServerRequest

# What hosts of a saved file have in common, by the objects' ids.
Shape = tuple[int, ...]
# A type on a NUMA node.
Cell = tuple[Kind, int | None]
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
    full, empty = _rooms(shapes, number, demands.values())
    usable = [full[_shape(host)] for host in stock.hosts if not host.closed]
    left, placed = packed(usable, [(demands[name], mix[name]) for name in mix])
    search = Search(_counted(demands, mix))
    rows, lost = _host_rows(stock.hosts, full, left, search)
    requests = {request.flavor: request for request in stock.flavors}
    flavors = tuple(_flavor_row(demand, requests[name], Counter(usable), empty, same)
                    for name, demand in demands.items())  # fmt: skip
    servers = {name: (placed[name], asked) for name, asked in mix.items()}
    return Capacity(stock.source, _totals(stock.hosts, lost), rows, flavors, servers,
                    search.all_tried, stock.not_known, stock.displaced)  # fmt: skip


def _counted(demands: Mapping[str, Demand], mix: Mapping[str, int]) -> list[Demand]:
    """The flavors that could use what is left: those of the mix, all where there is none."""
    return [
        demand
        for name, demand in demands.items()
        if not demand.unknown and name in (mix or demands)
    ]


def _shape(host: HostStock) -> Shape:
    return id(host.cards), id(host.machine), id(host.traits), id(host.nodes)


def _rooms(
    shapes: Mapping[Shape, HostStock], number: Mapping[Shape, int], demands: Iterable[Demand]
) -> tuple[dict[Shape, Room], Counter[Room]]:
    """What is left on a host of each shape; and how many hosts would be like that if empty."""
    trimmer = Trimmer(demands)
    full: dict[Shape, Room] = {}
    empty = Counter[Room]()
    pools: dict[int, tuple[Pools, Pools]] = {}
    for shape, host in shapes.items():
        if id(host.cards) not in pools:
            pools[id(host.cards)] = pools_of(host), pools_of(host, empty=True)
        left, all_of_them = pools[id(host.cards)]
        full[shape] = trimmer.trimmed(room_of(host, pools=left))
        empty[trimmer.trimmed(room_of(host, empty=True, pools=all_of_them))] += number[shape]
    return full, empty


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
    units: dict[tuple[int, Pools], tuple[UnitsRow, ...]] = {}
    rooms = iter(left)
    for host in hosts:
        end = full[_shape(host)] if host.closed else search.best(next(rooms))
        for pool, number in end.pools:
            lost[pool.kind] += pool.free * number
        known = (id(host.cards), end.pools)
        if known not in units:
            units[known] = _of_host(host, end.pools if search.demands else None)
        why = (host.closed or search.why(end)) if end.pools else ""
        stranded = end.units() if search.demands else None
        rows.append(HostRow(host.name, units[known], stranded, why, host.closed))
    return tuple(rows), lost if search.demands else None


def _of_host(host: HostStock, left: Pools | None) -> tuple[UnitsRow, ...]:
    """A host's rows by kind and NUMA node; `left` is what no flavor can use."""
    stranded = None if left is None else Counter[Cell]()
    for pool, number in left or ():
        if stranded is not None:
            stranded[pool.kind, pool.node] += pool.free * number
    return _summed(((card, card.numa_node, 1) for card in host.cards), stranded)


def _totals(hosts: Iterable[HostStock], lost: Mapping[Kind, int] | None) -> tuple[UnitsRow, ...]:
    """The rows of all hosts by kind."""
    number = Counter(id(host.cards) for host in hosts)
    cards = {id(host.cards): host.cards for host in hosts}
    every = ((card, None, number[key]) for key in cards for card in cards[key])
    stranded: dict[Cell, int] | None = None
    if lost is not None:
        stranded = {(kind, None): units for kind, units in lost.items()}
    return _summed(every, stranded)


def _summed(
    cards: Iterable[tuple[CardUnits, int | None, int]], stranded: Mapping[Cell, int] | None
) -> tuple[UnitsRow, ...]:
    """Rows of cards, each with the NUMA node that it is counted on and how many such there are."""
    sums: dict[Cell, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for card, node, number in cards:
        cell = sums[card.kind, node]
        for column, units in enumerate((card.total, card.given, card.reserved, card.free)):
            cell[column] += units * number
    return tuple(
        UnitsRow(kind.resource_class, kind.traits, total, given, reserved, free,
                 None if stranded is None else stranded.get((kind, node), 0), node)
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
