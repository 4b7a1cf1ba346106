"""Amounts that do the same are equal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.capacity_stock import CLASS, cards, host, machine
from wholecard.capacity import trimming
from wholecard.capacity.counting import Search, fits
from wholecard.capacity.demand import CardAsk, Demand
from wholecard.capacity.room import room_of
from wholecard.capacity.trimming import Trimmer

ASK = CardAsk(frozenset({CLASS}))


def demand(count: int, ram_mb: int, vcpus: int = 8, second: int = 0) -> Demand:
    """So many cards, with RAM and CPUs; `second` are CPUs that nova asks for otherwise."""
    other = {"MEMORY_MB": ram_mb, "VCPU": second} if second else None
    amounts = {"MEMORY_MB": ram_mb, "PCPU" if second else "VCPU": vcpus}
    return Demand(f"g{count}-{ram_mb}", amounts, (ASK,) * count, other)


@pytest.mark.parametrize(
    ("free", "kept"),
    [(0, 0), (99, 0), (100, 100), (149, 100), (260, 250), (400, 400), (5000, 400)],
)
def test_amounts(free: int, kept: int) -> None:
    """What servers of 100 and of 150 can use is left, and no more than all cards' servers do."""
    own = host(cards=cards(4), machine=machine(ram_mb=free))
    flavors = (demand(1, 100), demand(2, 150))
    amounts = Trimmer(flavors).trimmed(room_of(own)).amounts
    assert amounts is not None
    assert {name: amount for name, amount, _ in amounts} == {"MEMORY_MB": kept, "VCPU": 32}


def test_classes_that_nobody_asks_for() -> None:
    """They are left out, and more in use than there is stays too little."""
    own = host(machine=machine(used=200, pinned=8))
    trimmed = Trimmer((demand(1, 100),)).trimmed(room_of(own))
    assert trimmed.amounts is not None
    assert [(name, free < 0) for name, free, _ in trimmed.amounts] == [
        ("VCPU", True), ("MEMORY_MB", False),
    ]  # fmt: skip
    assert Trimmer(()).trimmed(room_of(replace(own, machine=None))).amounts is None


def test_too_many_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where servers could take too many sums, an amount is cut to what all cards could use."""
    monkeypatch.setattr(trimming, "_MOST_SUMS", 3)
    own = host(cards=cards(4), machine=machine(ram_mb=399))
    rooms = (room_of(own), room_of(replace(own, machine=machine(ram_mb=5000))))
    trimmed = [Trimmer((demand(1, 100),)).trimmed(room) for room in rooms]
    assert [dict(row[:2] for row in room.amounts or ())["MEMORY_MB"] for room in trimmed] == [
        399,
        400,
    ]


DEMANDS = st.lists(
    st.builds(demand, st.integers(1, 3), st.integers(1, 40), st.integers(1, 9),
              st.sampled_from((0, 0, 5))),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(DEMANDS, st.integers(0, 150), st.integers(0, 40), st.integers(0, 40), st.integers(1, 6))
def test_no_answer_changes(
    asked: list[Demand], ram_mb: int, vcpus: int, pinned: int, number: int
) -> None:
    """As many servers of each flavor fit, and the same is stranded, with the lower amounts."""
    own = host(cards=cards(number), machine=machine(vcpus, 0, ram_mb, pinned))
    room = room_of(own)
    trimmed = Trimmer(asked).trimmed(room)
    assert [fits(trimmed, one)[0] for one in asked] == [fits(room, one)[0] for one in asked]
    assert Search(list(asked)).best(trimmed).units() == Search(list(asked)).best(room).units()
