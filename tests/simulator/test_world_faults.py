"""Faults in the tables of real nova and Placement: each found under its rule, and any two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path

import pytest

from simulator.nova_process import NovaProcess
from simulator.simulated_views import opening
from simulator.world_faults import WORLD_FAULTS, Card, Tables
from wholecard.audit.compare import compare

pytestmark = [pytest.mark.timeout(900)]
HOST = "gpu-01"


class SoundWorld:
    """Two hosts with six cards each, three of them with servers, which boots long ago made."""

    def __init__(self, folder: Path, nova: NovaProcess) -> None:
        self.nova = nova
        servers = {"gpu-01": 0, "gpu-02": 0}
        while min(servers.values()) < 3:
            nova.tell("run", move="boot", args=[1])
            servers = {"gpu-01": 0, "gpu-02": 0}
            for row in nova.tell("servers")["servers"].values():
                servers[row["host"]] += 1
        extra = [
            (uuid, row["host"]) for uuid, row in nova.tell("servers")["servers"].items()
        ]  # fmt: skip
        for host, count in servers.items():
            here = [uuid for uuid, at in extra if at == host]
            for uuid in here[: max(count - 3, 1)]:
                nova.tell("run", move="delete", args=[uuid])
        nova.tell("periodic", hosts=["gpu-01", "gpu-02"])
        nova.tell("tick", seconds=86400)
        nova.tell("periodic", hosts=["gpu-01", "gpu-02"])
        nova.tell("tick", seconds=59)
        answer = nova.tell("hosts")
        self.moment = answer["now"]
        self.tables = Tables(folder, answer["hosts"])
        self.tables.keep()

    def found(self) -> dict[str, set[str]]:
        """The rules by address, empty for the host itself."""
        tables = self.tables
        look = opening(tables.folder, lambda: {"now": self.moment, "hosts": tables.told})
        says: dict[str, set[str]] = {}
        with look(None) as views:
            for host in compare(views, second_look=True):
                for row in host.disagreements:
                    assert not row.pending, row
                    says.setdefault(f"{row.host} {row.address}", set()).add(row.rule)
        return says

    def card(self, on: str, number: int) -> Card:
        """The host's given or free card of that number."""
        cards = [card for card in self.tables.cards(HOST) if bool(card.holder) == (on == "given")]
        return cards[number]


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
    sound.tables.restore()


def test_a_sound_world(world: SoundWorld) -> None:
    """What real nova made in peace has nothing wrong in it."""
    assert datetime.fromisoformat(world.moment)
    assert world.found() == {}


@pytest.mark.parametrize("name", WORLD_FAULTS)
def test_each_is_found(world: SoundWorld, name: str) -> None:
    """A fault is found at its card, under its rules and no other."""
    fault = WORLD_FAULTS[name]
    card = world.card(fault.on, 0)
    fault.inject(world.tables, card)
    assert world.found() == {f"{HOST} {card.address}": set(fault.rules)}


def test_any_two_are_found(world: SoundWorld) -> None:
    """Each pair of faults on two cards of a host is found whole, and nothing else is."""
    bad = []
    for first, second in combinations(WORLD_FAULTS, 2):
        one, two = WORLD_FAULTS[first], WORLD_FAULTS[second]
        cards = world.card(one.on, 0), world.card(two.on, 1)
        one.inject(world.tables, cards[0])
        two.inject(world.tables, cards[1])
        expected = {
            f"{HOST} {card.address}": set(fault.rules)
            for card, fault in zip(cards, (one, two), strict=True)
        }
        says = world.found()
        if says != expected:
            bad.append(f"{first} + {second}: {says} instead of {expected}")
        world.tables.restore()
    assert not bad, "\n".join(bad)
