"""A server placed on what is left of a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.capacity_stock import CLASS, H100, VGPU, cards, host, machine, nodes, split
from wholecard.capacity.counting import fits
from wholecard.capacity.demand import CardAsk, Demand
from wholecard.capacity.record import CardUnits, HostStock, Kind
from wholecard.capacity.room import lack, place, room_of
from wholecard.nova.flavor.numa_topology import GuestCell, GuestLayout, Page

WHOLE = CardAsk(frozenset({CLASS}))
SLICE = CardAsk(frozenset({"VGPU"}), loose=True)


def demand(count: int = 1, ask: CardAsk = WHOLE, **fields: object) -> Demand:
    """So many cards with 8 CPUs and 64 GiB."""
    amounts = {"VCPU": 8, "MEMORY_MB": 65536}
    return replace(Demand("g", amounts, (ask,) * count), **fields)  # type: ignore[arg-type]


def number(own: HostStock, asked: Demand) -> int:
    """How many servers fit."""
    return fits(room_of(own), asked)[0]


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        (host(), demand(), 8),
        (host(), demand(4), 2),
        (host(), demand(3), 2),
        (host(cards=cards(given=5)), demand(4), 0),
        (host(cards=cards(reserved=2)), demand(), 6),
        (host(machine=machine(used=116)), demand(), 1),
        (host(machine=machine(ram_mb=130_000)), demand(), 1),
        (host(machine=None), demand(), 8),
        (host(), demand(amounts={"PCPU": 8}), 0),
        (host(), demand(amounts={"PCPU": 8}, second={"VCPU": 64}), 2),
        (host(machine=machine(pinned=16)), demand(amounts={"PCPU": 8}, second={"VCPU": 1}), 8),
        (host(), demand(amounts={"DISK_GB": 10}), 8),
        (host(), demand(root_required=frozenset({"CUSTOM_A"})), 0),
        (host(traits=frozenset({"CUSTOM_A"})), demand(required=frozenset({"CUSTOM_A"})), 8),
        (host(traits=frozenset({"CUSTOM_A"})), demand(forbidden=frozenset({"CUSTOM_A"})), 0),
        (host(traits=None), demand(root_required=frozenset({"CUSTOM_A"})), 8),
    ],
    ids=[
        "one", "four", "three strands two", "too few left", "reserved", "VCPU", "memory",
        "machine not known", "no PCPU", "VCPU instead of PCPU", "PCPU first", "disk elsewhere",
        "trait missing", "trait", "forbidden", "traits not known",
    ],
)  # fmt: skip
def test_fits(own: HostStock, asked: Demand, expected: int) -> None:
    """As many servers fit as cards, amounts and traits allow."""
    assert number(own, asked) == expected


def test_max_unit() -> None:
    """One server gets no more of a class than its max_unit."""
    own = host(machine=tuple(replace(row, max_unit=7) for row in machine()))
    assert number(own, demand()) == 0


@pytest.mark.parametrize(
    ("ask", "apart", "count", "expected"),
    [(SLICE, False, 1, 7), (replace(SLICE, amount=3), False, 1, 2), (SLICE, False, 2, 3),
     (SLICE, True, 2, 3), (SLICE, True, 3, 0)],
    ids=["one", "three of one card", "two", "two cards", "three cards"],
)  # fmt: skip
def test_slices(ask: CardAsk, apart: bool, count: int, expected: int) -> None:
    """Slices of a request without suffix are of one card; groups that are apart of several."""
    own = host(cards=(split(4), replace(split(3), name="other")))
    assert number(own, demand(count, ask, apart=apart)) == expected


def test_fullest_card_first() -> None:
    """A slice is taken from the card with the fewest left, so that a large one still fits."""
    own = host(cards=(split(4), replace(split(4, given=3), name="other")))
    after = place(room_of(own), demand(1, SLICE))
    assert after is not None
    assert [pool.free for pool, _ in after.pools] == [4]


def test_traits_of_a_loose_card() -> None:
    """A trait of the group without suffix may be the card's; of an alias's card it is not."""
    wanted = frozenset({"CUSTOM_L40S_8Q"})
    assert number(host(cards=(split(2),)), demand(1, SLICE, required=wanted)) == 2
    other = split(2, kind=Kind("VGPU"))
    assert number(host(cards=(other,)), demand(1, SLICE, required=wanted)) == 0
    assert number(host(cards=(other,), traits=wanted), demand(1, SLICE, required=wanted)) == 2
    assert (
        number(host(cards=cards(1, kind=Kind(CLASS, tuple(wanted)))), demand(required=wanted)) == 0
    )


def test_plain_card_for_who_asks_for_no_trait() -> None:
    """A card with a trait is left to who asks for it."""
    fast = Kind(CLASS, ("CUSTOM_FAST",))
    own = host(cards=(CardUnits("a", fast, 1), CardUnits("b", H100, 1)))
    after = place(room_of(own), demand())
    assert after is not None
    assert after.pools[0][0].kind == fast


def on_nodes(count: int, cells: int, policy: str, page: Page | None = None) -> Demand:
    """A guest of so many NUMA nodes of 4 pinned CPUs and 32 GiB each."""
    layout = GuestLayout((GuestCell(0, 4, 32768),) * cells, page)
    return demand(count, replace(WHOLE, policy=policy), guest=layout, amounts={})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (on_nodes(1, 1, "required"), 4),
        (on_nodes(3, 1, "required"), 2),
        (on_nodes(3, 1, "legacy"), 2),
        (on_nodes(3, 1, "socket"), 2),
        (on_nodes(5, 1, "required"), 0),
        (on_nodes(5, 1, "preferred"), 1),
        (on_nodes(8, 2, "required"), 1),
        (on_nodes(1, 3, "preferred"), 0),
        (on_nodes(1, 1, "preferred", "large"), 4),
        (on_nodes(1, 1, "preferred", 1 << 20), 4),
        (on_nodes(1, 1, "preferred", 2048), 0),
        (on_nodes(1, 2, "preferred", "large"), 2),
    ],
    ids=[
        "memory beside huge pages", "three of a node", "legacy", "socket", "five of a node",
        "five preferred",
        "over two nodes", "three nodes", "huge pages", "1 GiB pages", "2 MiB pages",
        "huge pages of two nodes",
    ],
)  # fmt: skip
def test_numa(asked: Demand, expected: int) -> None:
    """Cards under a strict policy, pinned CPUs and huge pages are those of the guest's nodes."""
    assert number(host(nodes=nodes()), asked) == expected


def test_pages_in_use() -> None:
    """Where huge pages are used up, cards stay free."""
    own = host(nodes=nodes(pages=31))
    asked = on_nodes(1, 1, "preferred", "large")
    assert number(own, asked) == 0
    assert lack(room_of(own), asked) == (
        "no NUMA node has the CPUs, the memory, the huge pages or the cards"
    )


def test_card_without_a_node() -> None:
    """`legacy` takes a card whose node the host does not tell, `required` does not."""
    own = host(nodes=nodes(), cards=(CardUnits("a", H100, 1),))
    assert number(own, on_nodes(1, 1, "legacy")) == 1
    assert number(own, on_nodes(1, 1, "required")) == 0


@pytest.mark.parametrize(
    ("own", "asked", "text"),
    [
        (host(cards=cards(given=5)), demand(4), "3 of 4 cards are left"),
        (host(machine=machine(used=124)), demand(), "less than 8 VCPU is left"),
        (host(), demand(root_required=frozenset({"CUSTOM_A"})),
         "the host has other traits (CUSTOM_A)"),
        (host(), demand(1, replace(WHOLE, traits=frozenset({"CUSTOM_A"}))),
         "no card has the traits, or as many free units"),
        (host(cards=(split(2),)), demand(1, replace(SLICE, amount=3)), "2 of 3 cards are left"),
    ],
    ids=["cards", "VCPU", "host's traits", "card's traits", "slices"],
)  # fmt: skip
def test_lack(own: HostStock, asked: Demand, text: str) -> None:
    """The first thing that is missing is named."""
    assert lack(room_of(own), asked) == text


def test_empty() -> None:
    """An empty host has what servers hold, and not what is reserved."""
    own = host(cards=cards(given=4, reserved=2), machine=machine(used=120))
    room = room_of(own, empty=True)
    assert room.units() == 6
    assert fits(room, demand())[0] == 6
    assert VGPU not in {pool.kind for pool, _ in room.pools}
