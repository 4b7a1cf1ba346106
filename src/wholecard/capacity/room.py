"""What is left on a host, and a server placed on it. Pure; a `Room` is not changed.

Source of the rules: nova, nova/virt/hardware.py (`_numa_fit_instance_cell`) and nova/pci/stats.py
(`_filter_pools_for_numa_cells`). Which of several cards nova takes is its own choice; here it is
the one that leaves most to others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from wholecard.capacity.demand import CardAsk, Demand
from wholecard.capacity.record import HostStock, Kind
from wholecard.nova.flavor.numa_fit import NumaNode, NumaNodes, fits
from wholecard.nova.flavor.numa_topology import GuestLayout
from wholecard.nova.match import HostCell

# A host without it has its disks elsewhere: in Ceph, or at a provider that hosts share.
_ELSEWHERE = "DISK_GB"
Amounts = tuple[tuple[str, int, int], ...]


class Pool(NamedTuple):
    """Providers of one kind on one NUMA node, each with so many free units."""

    kind: Kind
    node: int | None
    free: int


Pools = tuple[tuple[Pool, int], ...]


class Room(NamedTuple):
    """What a host has left: free and largest amount by class, None where not known.

    `pools` are in one order for the same content, each with the number of its providers.
    """

    amounts: Amounts | None
    traits: frozenset[str] | None
    pools: Pools
    nodes: NumaNodes | None

    def units(self, classes: frozenset[str] | None = None) -> int:
        """How many cards or slices are free, of these classes or of all."""
        return sum(
            pool.free * count
            for pool, count in self.pools
            if classes is None or pool.kind.resource_class in classes
        )


def pools_of(host: HostStock, empty: bool = False) -> Pools:
    """The host's cards with what is free of them; `empty`: if no server had any."""
    counts = Counter(Pool(card.kind, card.numa_node, card.free + card.given * empty)
                     for card in host.cards)  # fmt: skip
    return _sorted(counts)


def room_of(host: HostStock, empty: bool = False, pools: Pools | None = None) -> Room:
    """What is left on the host; `empty`: if no server had anything there.

    `pools` are those of `pools_of`, where they are known already.
    """
    amounts = None if host.machine is None else tuple(
        (row.resource_class, row.capacity if empty else row.free, row.max_unit)
        for row in host.machine
    )  # fmt: skip
    own = pools_of(host, empty) if pools is None else pools
    return Room(amounts, host.traits, own, host.nodes)


def place(room: Room, demand: Demand) -> Room | None:
    """The room after a server of that demand got its place, None where it does not fit."""
    if _lacking_traits(room, demand):
        return None
    amounts = room.amounts
    if amounts is not None:
        amounts = _taken(amounts, demand.amounts)
        if amounts is None and demand.second is not None:
            amounts = _taken(room.amounts or (), demand.second)
        if amounts is None:
            return None
    for chosen, nodes in _layouts(room.nodes, demand.guest):
        pools = _given(room, demand, chosen)
        if pools is not None:
            return Room(amounts, room.traits, pools, nodes)
    return None


def lack(room: Room, demand: Demand) -> str:
    """Why a server of that demand does not fit, after "for FLAVOR"."""
    traits = _lacking_traits(room, demand)
    if traits:
        return f"the host has other traits ({traits})"
    left = room.units(demand.classes)
    if left < demand.units:
        return f"{left} of {demand.units} cards are left"
    if _given(room, demand, ()) is None:
        return "no card has the traits, or as many free units"
    amounts = room.amounts or ()
    short = [f"{amount} {name}" for name, amount in demand.amounts.items()
             if amounts and _taken(amounts, {name: amount}) is None]  # fmt: skip
    if short:
        return f"less than {' and '.join(short)} is left"
    return "no NUMA node has the CPUs, the memory, the huge pages or the cards"


def _lacking_traits(room: Room, demand: Demand) -> str:
    if room.traits is None:
        return ""
    loose = any(ask.loose for ask in demand.cards)
    required = demand.root_required | (frozenset() if loose else demand.required)
    forbidden = (f"not {trait}" for trait in demand.forbidden & room.traits)
    return ", ".join(sorted([*(required - room.traits), *forbidden]))


def _taken(amounts: Amounts, asked: Mapping[str, int]) -> Amounts | None:
    """The amounts without what is asked, None where they are too small."""
    if not asked.keys() <= {_ELSEWHERE, *(name for name, _, _ in amounts)}:
        return None
    left = tuple((name, free - asked.get(name, 0), most) for name, free, most in amounts)
    small = (asked[name] > most or free < 0 for name, free, most in left if asked.get(name))
    return None if any(small) else left


def _layouts(
    nodes: NumaNodes | None, guest: GuestLayout
) -> Iterator[tuple[tuple[int, ...], NumaNodes | None]]:
    """Sets of host nodes for the guest's, each with the nodes that are left after it."""
    if nodes is None or not guest.cells:
        yield (), nodes
        return
    for chosen in fits(nodes, guest):
        left = (_without(node, guest) if node.id in chosen else node for node in nodes.nodes)
        yield chosen, replace(nodes, nodes=tuple(left))


def _without(node: NumaNode, guest: GuestLayout) -> NumaNode:
    """The node after it got one of the guest's: pinned CPUs, RAM, the largest pages that fit."""
    cell, pages = guest.cells[0], dict(node.pages)
    needed = cell.ram_mb * 1024
    sizes = [size for size, count in pages.items() if guest.page in (size, "large", "any")
             and size * count >= needed and needed % size == 0]  # fmt: skip
    if sizes:
        pages[max(sizes)] -= needed // max(sizes)
    return replace(node, pinned=node.pinned - cell.host_pinned, ram_mb=node.ram_mb - cell.ram_mb,
                   pages=tuple(pages.items()))  # fmt: skip


def _given(room: Room, demand: Demand, chosen: tuple[int, ...]) -> Pools | None:
    """The pools without the cards of one server, None where they are too few."""
    elsewhere = frozenset() if room.traits is None else demand.required - room.traits
    cells = room.nodes.cells if room.nodes else ()
    return _taken_cards(room.pools, demand.cards, demand.apart, elsewhere, chosen, cells)


# Hosts differ in what else is used there more than in their cards.
@lru_cache(maxsize=1 << 14)
def _taken_cards(
    pools: Pools, cards: tuple[CardAsk, ...], apart: bool, elsewhere: frozenset[str],
    chosen: tuple[int, ...], cells: tuple[HostCell, ...],
) -> Pools | None:  # fmt: skip
    left, aside = Counter(dict(pools)), Counter[Pool]()
    for ask in sorted(cards, key=lambda ask: (-len(ask.traits), -ask.amount)):
        traits = ask.traits | elsewhere if ask.loose else ask.traits
        able = [pool for pool, count in left.items() if count and _meets(pool, ask, traits)
                and _near(pool.node, ask, chosen, cells)]  # fmt: skip
        if not able:
            return None
        best = min(able, key=lambda pool: _worth(pool, chosen, left))
        left[best] -= 1
        # What is left of a split card is for this server too, unless its cards must be apart.
        (aside if apart else left)[best._replace(free=best.free - ask.amount)] += 1
    return _sorted(left + aside)


def _meets(pool: Pool, ask: CardAsk, traits: frozenset[str]) -> bool:
    fits_in = pool.free >= ask.amount and pool.kind.resource_class in ask.classes
    return fits_in and traits.issubset(pool.kind.traits)


def _worth(
    pool: Pool, chosen: tuple[int, ...], left: Mapping[Pool, int]
) -> tuple[bool, int, int, int]:
    """What is lost with a card there: least on the guest's own nodes, without more traits than
    are asked for, on the fullest of split cards, on the node that has the fewest."""
    beside = sum(count for other, count in left.items() if other.node == pool.node and other.free)
    return bool(chosen) and pool.node not in chosen, len(pool.kind.traits), pool.free, beside


def _near(
    node: int | None, ask: CardAsk, chosen: tuple[int, ...], cells: tuple[HostCell, ...]
) -> bool:
    """Whether the policy allows a card of that node for a guest on the chosen nodes."""
    if not chosen or ask.policy == "preferred" or node in chosen:
        return True
    if ask.policy != "socket":
        return ask.policy == "legacy" and node is None
    sockets: dict[int | None, int | None] = {cell.id: cell.socket for cell in cells}
    return sockets.get(node) is not None and sockets[node] in {sockets.get(own) for own in chosen}


def _sorted(counts: Mapping[Pool, int]) -> Pools:
    left = ((pool, count) for pool, count in counts.items() if count and pool.free > 0)
    return tuple(sorted(left, key=lambda pair: (
        pair[0].kind.resource_class, pair[0].kind.traits, str(pair[0].node), pair[0].free
    )))  # fmt: skip
