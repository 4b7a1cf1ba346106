"""Faults in real nova's and Placement's tables, repaired: what was found is gone, and only that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from simulator.nova_process import NovaProcess
from simulator.repaired_world import RepairedWorld
from simulator.sound_world import HOST, SoundWorld
from simulator.world_faults import WORLD_FAULTS
from wholecard.repair import request as repair

pytestmark = [pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundWorld]:
    """A world in which all agree."""
    folder = tmp_path_factory.mktemp("world")
    with NovaProcess(folder, 2, 6, seed=7) as nova:
        yield SoundWorld(folder, nova)


@pytest.fixture
def world(sound: SoundWorld) -> Iterator[SoundWorld]:
    """The same, restored afterwards."""
    yield sound
    sound.restore()


@pytest.mark.parametrize("name", WORLD_FAULTS)
def test_repaired(world: SoundWorld, name: str, tmp_path: Path) -> None:
    fault = WORLD_FAULTS[name]
    card = world.card(fault.on, 0)
    before = world.tables.now()
    fault.inject(world.tables, card)
    repaired = RepairedWorld(world.folder, world.nova, world.tables)
    report = repair.apply(repaired.request(tmp_path))
    left = report.remaining.disagreements if report.remaining else None
    print(name, [a.kind for a in report.planned.plan.actions], [s.text for s in report.planned.steps], report.planned.refused, [(r.rule, r.address) for r in left or ()])
    print('   same', world.tables.now() == before, repaired.restarted)
