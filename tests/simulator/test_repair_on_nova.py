"""Faults in real nova's and Placement's tables, repaired: what was found is gone, and only that."""

from __future__ import annotations

import os
import signal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from simulator.repaired_world import RepairedWorld
from simulator.sound_world import SoundWorld
from simulator.world_faults import A_PERSONS, GONE, WORLD_FAULTS
from wholecard.repair import request as repair

PAIRS = tuple(combinations(WORLD_FAULTS, 2))
# Of each fault with all that follow it; each is a test of its own, with its own time-out.
GROUPS = {name: tuple(pair for pair in PAIRS if pair[0] == name) for name in WORLD_FAULTS}
# One for each kind of change, and how many moments apart they are killed.
KILLED = ("row of a deleted server", "dead migration", "reserved", "wrong parent")
STEP = int(os.environ.get("WHOLECARD_KILL_STEP", "7"))
# Of repairs of both faults, until nothing changes.
ROUNDS = 4
pytestmark = [pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", WORLD_FAULTS)
def test_repaired(world: SoundWorld, name: str, tmp_path: Path) -> None:
    """What a repair can repair is as it was, and the audit is clean; the rest is left as it is."""
    fault = WORLD_FAULTS[name]
    card = world.card(fault.on, 0)
    sound = world.tables.now()
    fault.inject(world.tables, card)
    broken = world.tables.now()
    repaired = RepairedWorld(world.folder, world.nova, world.tables)
    report = repaired.repair(tmp_path)
    left = {(row.rule, row.address) for row in repaired.audit().disagreements}
    if name in A_PERSONS:
        assert report.planned.steps
        assert left
        assert {address for _, address in left} == {card.address}
        assert world.tables.now() == broken
        return
    assert left == set(), report
    if name not in GONE:
        assert world.tables.now() == sound


@pytest.mark.parametrize(
    "pairs",
    [pytest.param(PAIRS[::60], id="some")]
    + [pytest.param(pairs, id=name, marks=pytest.mark.long)
       for name, pairs in GROUPS.items() if pairs],
)  # fmt: skip
def test_either_order(
    world: SoundWorld, pairs: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    """Two faults repaired one after the other come to the same state, whichever is the first.

    What had to wait for the other, or came up with its repair, is repaired in another round.
    """
    bad = []
    for number, pair in enumerate(pairs):
        ends = []
        for turn, order in enumerate((pair, pair[::-1])):
            faults = [WORLD_FAULTS[name] for name in pair]
            cards = [world.card(fault.on, place) for place, fault in enumerate(faults)]
            for fault, card in zip(faults, cards, strict=True):
                fault.inject(world.tables, card)
            repaired = RepairedWorld(world.folder, world.nova, world.tables)
            ends.append(_repaired(repaired, order, tmp_path / f"{number}-{turn}"))
            world.restore()
        if ends[0] != ends[1]:
            bad.append(f"{pair}: {_difference(*ends)}")
        if not A_PERSONS.intersection(pair) and ends[0]["left"]:
            bad.append(f"{pair}: left {ends[0]['left']}")
    assert not bad, "\n".join(bad)


def _repaired(repaired: RepairedWorld, order: tuple[str, ...], state: Path) -> dict[str, list[Any]]:
    """The tables, and what is left, after a repair of each fault, as often as one changes
    anything."""
    before: object = None
    for _ in range(ROUNDS):
        for name in order:
            repaired.repair(state, WORLD_FAULTS[name].rules)
        left = repaired.audit().disagreements
        now = repaired.tables.now()
        if not left or now == before:
            # Not their facts: the clock goes on, and those have times.
            rows, kept = now
            return {**rows, **kept, "left": sorted((row.rule, row.host, row.address)
                                                   for row in left)}  # fmt: skip
        before = now
    raise AssertionError(f"{order}: no end in {ROUNDS} rounds, {left}")


def _difference(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> str:
    """What one end has and the other does not, by table."""
    return "; ".join(
        f"{name} {[row for row in one[name] if row not in other[name]]}, in the other order "
        f"{[row for row in other[name] if row not in one[name]]}"
        for name in one if one[name] != other[name]
    )  # fmt: skip


@pytest.mark.parametrize("name", KILLED)
def test_killed_at_any_moment(world: SoundWorld, name: str, tmp_path: Path) -> None:
    """A repair that is killed before or after any statement or request is finished by the next."""
    fault = WORLD_FAULTS[name]
    sound = world.tables.now()
    moments = 0
    while True:
        fault.inject(world.tables, world.card(fault.on, 0))
        state = tmp_path / str(moments)
        alive = _killed(world, state, moments)
        repaired = RepairedWorld(world.folder, world.nova, world.tables)
        repair.apply(repaired.request(state, frozenset(), beyond=True))
        assert world.tables.now() == sound, f"killed at {moments}"
        assert repaired.audit().disagreements == (), f"killed at {moments}"
        world.restore()
        if alive:
            break
        moments += STEP
    assert moments > 5


def _killed(world: SoundWorld, state: Path, moment: int) -> bool:
    """A repair in a child that ends itself at this moment; whether it lived to its end."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def before(_what: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            mortal = RepairedWorld(world.folder, world.nova, world.tables, before)
            repair.apply(mortal.request(state, frozenset(), beyond=True))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
