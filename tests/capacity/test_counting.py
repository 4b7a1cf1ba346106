"""A stock counted: types, hosts, flavors, mixes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.capacity_stock import H100, cards, flavor, host, machine, nodes, split, stock
from wholecard.capacity.answer import Capacity, FlavorRow
from wholecard.capacity.counting import Search, count, packed
from wholecard.capacity.demand import Demand, demands_of
from wholecard.capacity.record import HostStock
from wholecard.capacity.room import place, room_of
from wholecard.core import UsageError


def of_flavor(answer: Capacity, name: str) -> FlavorRow:
    """A flavor's row."""
    return next(row for row in answer.flavors if row.flavor == name)


def test_types_and_hosts() -> None:
    """The sums by type, and each host's by NUMA node."""
    answer = count(stock(host(cards=(*cards(given=5), split(given=3))), host("gpu-02")), {})
    assert [(row.resource_class, row.total, row.given, row.free) for row in answer.types] == [
        (H100.resource_class, 16, 5, 11), ("VGPU", 16, 3, 13),
    ]  # fmt: skip
    first = answer.hosts[0].units
    assert [(row.numa_node, row.total, row.given) for row in first] == [
        (0, 4, 4), (1, 4, 1), (0, 16, 3),
    ]  # fmt: skip


def test_flavors_alone() -> None:
    """The largest flavor takes four cards, so that a host with three free ones strands three."""
    answer = count(stock(host(cards=cards(given=5)), host("gpu-02")), {})
    assert of_flavor(answer, "g4") == FlavorRow(
        "g4", 4, 2, 4, True, 3, "3 of 4 cards are left", reservable=8
    )
    assert of_flavor(answer, "g1").fits == 11


@pytest.mark.parametrize(
    ("own", "flavors", "stranded", "why"),
    [
        (host(cards=cards(given=5)), (flavor("g4", 4),), 3, "for g4 3 of 4 cards are left"),
        (host(machine=machine(used=124)), (), 8, "for g1 less than 8 VCPU is left"),
        (host(machine=machine(used=116)), (), 7, "for g1 less than 8 VCPU is left"),
        (host(cards=(split(),)), (), 16, "no flavor asks for them"),
        (host(closed="nova-compute is down"), (), 8, "nova-compute is down"),
        (host(), (), 0, ""),
        (host(cards=cards(given=8)), (), 0, ""),
    ],
    ids=["too few for the flavor", "VCPU", "VCPU after one", "no flavor", "closed", "all", "given"],
)  # fmt: skip
def test_stranded(own: HostStock, flavors: tuple[object, ...], stranded: int, why: str) -> None:
    """Free cards that no combination of the flavors can use, and the reason."""
    answer = count(stock(own, flavors=flavors), {})  # type: ignore[arg-type]
    assert (answer.hosts[0].stranded, answer.hosts[0].why) == (stranded, why)
    assert sum(row.stranded or 0 for row in answer.types) == stranded


def test_best_combination() -> None:
    """Three and five cards are better than five and one: the search is not greedy."""
    flavors = (flavor("g3", 3), flavor("g5", 5))
    answer = count(stock(host(cards=cards(6)), flavors=flavors), {})
    assert answer.hosts[0].stranded == 0
    assert answer.all_tried


def test_many_units() -> None:
    """Beyond a limit the search is greedy, and the answer says so; with one flavor it is exact."""
    two = (flavor("a", 0, resources__VGPU="3"), flavor("b", 0, resources__VGPU="5"))
    own = host(cards=(split(200),), machine=None)
    assert not count(stock(own, flavors=two), {}).all_tried
    alone = count(stock(own, flavors=two[:1]), {})
    assert alone.all_tried
    assert alone.hosts[0].stranded == 2


def test_closed_host_takes_nothing() -> None:
    """A host whose nova-compute is down counts for an empty cloud alone."""
    row = of_flavor(count(stock(host(closed="down"), host("gpu-02")), {}), "g4")
    assert (row.fits, row.empty, row.strands) == (2, 4, 0)


def test_mix() -> None:
    """The largest servers go first, and small ones to where the fewest cards are free."""
    cloud = stock(host(cards=cards(given=5)), host("gpu-02"))
    answer = count(cloud, {"g1": 3, "g4": 2})
    assert answer.mix == {"g1": (3, 3), "g4": (2, 2)}
    assert [row.stranded for row in answer.hosts] == [0, 0]


def test_mix_that_does_not_fit() -> None:
    """What is left over is said, and stranded is what the mix's own flavors cannot use."""
    answer = count(stock(host(cards=cards(given=1))), {"g4": 2})
    assert answer.mix == {"g4": (1, 2)}
    assert answer.hosts[0].stranded == 3


@pytest.mark.parametrize(
    ("name", "what"), [("g2", "no flavor with cards is called g2"),
                       ("odd", "the flavor odd cannot be counted")]
)  # fmt: skip
def test_unknown_mix(name: str, what: str) -> None:
    """A mix names flavors that are known and can be counted."""
    odd = flavor("odd", 0, pci_passthrough__alias="a100:1")
    with pytest.raises(UsageError, match=what):
        count(stock(flavors=(flavor("g1"), odd)), {name: 1})


def test_no_flavor_is_known() -> None:
    """Without flavors it is not known what is stranded."""
    answer = count(replace(stock(), flavors=()), {})
    assert answer.types[0].stranded is None
    assert answer.hosts[0].stranded is None


def test_several_kinds_are_at_least() -> None:
    """Where the order may matter the number is a lower bound."""
    both = flavor("both", 1, resources1__VGPU="1")
    answer = count(stock(host(cards=(*cards(), split())), flavors=(flavor("g1"), both)), {})
    assert not of_flavor(answer, "both").exact
    assert of_flavor(answer, "g1").exact


# Generated clouds: small, so that every way to place servers can be tried beside it.
_FLAVORS = (
    flavor("g1", 1), flavor("g2", 2), flavor("g3", 3),
    flavor("v1", 0, resources__VGPU="1"), flavor("v2", 0, resources__VGPU="2"),
    flavor("gv", 1, resources1__VGPU="1"),
)  # fmt: skip


def small_host(
    total: int, given: int, reserved: int, slices: int, vcpus: int, used: int
) -> HostStock:
    """A host of a few cards and slices, of which some are given or reserved."""
    given = min(given, total)
    whole = cards(total, given, min(reserved, total - given))
    return host(cards=(*whole, split(slices, min(given, slices))), machine=machine(vcpus, used))


_HOST = st.builds(
    small_host, st.integers(0, 4), st.integers(0, 2), st.integers(0, 2), st.integers(0, 4),
    st.sampled_from([16, 32, 64]), st.integers(0, 40),
)  # fmt: skip
_HOSTS = st.lists(st.tuples(_HOST, st.booleans()), min_size=1, max_size=3).map(
    lambda rows: [
        replace(own, name=f"gpu-{number}", nodes=nodes() if on_nodes else None)
        for number, (own, on_nodes) in enumerate(rows)
    ]
)


def placings(own: HostStock, asked: Demand) -> Iterator[HostStock]:
    """The host after each way to give one server its units: card by card, no pools."""
    free = [row.free for row in own.machine or ()]
    needed = [asked.amounts.get(row.resource_class, 0) for row in own.machine or ()]
    if any(amount > left for amount, left in zip(needed, free, strict=True)):
        return
    rows = tuple(replace(row, used=row.used + amount)
                 for row, amount in zip(own.machine or (), needed, strict=True))  # fmt: skip
    for chosen in itertools.product(range(len(own.cards)), repeat=len(asked.cards)):
        units = list(own.cards)
        for index, ask in zip(chosen, asked.cards, strict=True):
            card = units[index]
            if card.free < ask.amount or card.kind.resource_class not in ask.classes:
                break
            units[index] = replace(card, given=card.given + ask.amount)
        else:
            yield replace(own, cards=tuple(units), machine=rows)


def most(own: HostStock, asked: Demand, known: dict[object, int]) -> int:
    """How many servers fit at most, by trying every way; `known` are hosts that were tried."""
    key = tuple(sorted((str(card.kind), card.free) for card in own.cards)), own.machine
    if key not in known:
        known[key] = max(
            (1 + most(after, asked, known) for after in placings(own, asked)), default=0
        )
    return known[key]


@settings(max_examples=40, deadline=None)
@given(_HOSTS)
def test_what_fits_alone_fits(hosts: list[HostStock]) -> None:
    """One by one, with each card in hand: as many servers fit as are said, and no more."""
    cloud = stock(*hosts, flavors=_FLAVORS)
    answer = count(cloud, {})
    demands = demands_of(cloud)
    for row in answer.flavors:
        tried = sum(most(own, demands[row.flavor], {}) for own in cloud.hosts)
        assert row.fits <= tried
        assert row.fits == tried or not row.exact


@settings(max_examples=40, deadline=None)
@given(_HOSTS, st.dictionaries(st.sampled_from(["g1", "g2", "g3", "v1", "gv"]), st.integers(1, 5)))
def test_what_a_mix_places_fits(hosts: list[HostStock], mix: dict[str, int]) -> None:
    """The packing's servers, given out again one by one, take what the rooms have lost."""
    demands = demands_of(stock(*hosts, flavors=_FLAVORS))
    mix = {name: number for name, number in mix.items() if name in demands}
    before = [room_of(own) for own in hosts]
    left, placed = packed(before, [(demands[name], mix[name]) for name in mix])
    taken = sum(room.units() for room in before) - sum(room.units() for room in left)
    assert taken == sum(demands[name].units * number for name, number in placed.items())
    for index, name in enumerate(("VCPU", "MEMORY_MB")):
        lost = sum(old.amounts[index][1] - new.amounts[index][1]
                   for old, new in zip(before, left, strict=True)
                   if old.amounts and new.amounts)  # fmt: skip
        assert lost == sum(demands[each].amounts.get(name, 0) * placed[each] for each in placed)
    for old, new in zip(before, left, strict=True):
        if new != old:
            assert new.amounts is not None
            assert all(free >= 0 for _, free, _ in new.amounts)
        assert all(pool.free > 0 and number > 0 for pool, number in new.pools)
    assert all(placed[name] <= number for name, number in mix.items())


@settings(max_examples=40, deadline=None)
@given(_HOSTS, st.randoms(use_true_random=False))
def test_no_order_strands_less(hosts: list[HostStock], chance: random.Random) -> None:
    """Whoever places servers as they come leaves at least what is called stranded."""
    demands = [each for each in demands_of(stock(*hosts, flavors=_FLAVORS)).values()
               if each.flavor != "gv"]  # fmt: skip
    search = Search(list(demands))
    for own in hosts:
        room = room_of(own)
        stranded = search.best(room).units()
        while True:
            ways = [after for each in demands if (after := place(room, each)) is not None]
            if not ways:
                break
            room = chance.choice(ways)
        assert search.all_tried
        assert stranded <= room.units()


@settings(max_examples=40, deadline=None)
@given(_HOSTS)
def test_rows_are_the_total(hosts: list[HostStock]) -> None:
    """In each row given, reserved and free are the total, and no more is stranded than free."""
    answer = count(stock(*hosts, flavors=_FLAVORS), {})
    for row in (*answer.types, *(units for own in answer.hosts for units in own.units)):
        assert row.given + row.reserved + row.free == row.total
        assert (row.stranded or 0) <= row.free
    for own in answer.hosts:
        assert own.stranded is not None
        assert 0 <= own.stranded <= own.total("free")


def test_alike_hosts_are_counted_once() -> None:
    """The answer of many hosts that are alike is that of one, so many times."""
    hosts = (host(f"gpu-{number}", cards=cards(given=5)) for number in range(50))
    many = count(stock(*hosts), {})
    one = count(stock(host(cards=cards(given=5))), {})
    assert of_flavor(many, "g1").fits == 50 * of_flavor(one, "g1").fits
