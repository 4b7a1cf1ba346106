"""Faults in the tables of real nova and Placement: each found under its rule, and any two."""

from __future__ import annotations

from datetime import datetime
from itertools import combinations

import pytest

from simulator.oracle import RULES, Oracle, comparable, files_in
from simulator.simulated_views import opening
from simulator.sound_world import HOST, HOSTS, SoundWorld
from simulator.world_faults import WORLD_FAULTS
from wholecard.audit.fact_names import START_FAILS
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views

pytestmark = [pytest.mark.timeout(900)]
PAIRS = tuple(combinations(WORLD_FAULTS, 2))


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


def test_what_keeps_nova_compute_from_starting(world: SoundWorld) -> None:
    """Where the audit says that nova-compute would not start again, and only there, it does not."""
    for name, fault in WORLD_FAULTS.items():
        fault.inject(world.tables, world.card(fault.on, 0))
        says = {row.host for row in _audit(world).disagreements if START_FAILS in row.facts}
        for host, one in world.tables.told.items():
            world.nova.tell("devices", host=host, devices=one["devices"])
        told = {host: world.nova.tell("run", move="restart", args=[host])["error"]
                for host in HOSTS}  # fmt: skip
        failed = {host for host, error in told.items() if error.startswith("ReshapeFailed")}
        assert failed == says, f"{name}: {told}"
        world.restore()
        for host in HOSTS:
            assert world.nova.tell("run", move="restart", args=[host])["error"] == ""


@pytest.mark.parametrize("name", [name for name, fault in WORLD_FAULTS.items()
                                  if fault.rules <= RULES])  # fmt: skip
def test_the_oracle_tells_it(world: SoundWorld, name: str) -> None:
    """Random work is judged by an oracle that knows these faults too, by code of its own."""
    fault = WORLD_FAULTS[name]
    card = world.card(fault.on, 0)
    fault.inject(world.tables, card)
    oracle = Oracle(files_in(world.folder), world.tables.told, ())
    told = {(rule, HOST, card.address) for rule in fault.rules}
    assert oracle.expected() == comparable(told)


def _audit(world: SoundWorld) -> AuditReport:
    look = opening(world.folder, lambda: world.nova.tell("hosts"))
    return audit_views(look, 60.0, AuditWatcher(), sleep=lambda _seconds: None)


def test_a_build_that_is_lost(world: SoundWorld) -> None:
    """nova-compute is killed as it begins a build, and no start or run of it takes the server up
    again: its card is in flight, after an hour WC522, and free when the server is deleted."""
    assert world.nova.tell("kill", move="boot", args=[1], left=0)["killed"]
    assert [row.rule for row in _audit(world).in_flight] == ["WC522"]
    world.nova.tell("tick", seconds=3600)
    for host in HOSTS:
        world.nova.tell("run", move="restart", args=[host])
    world.nova.tell("periodic", hosts=HOSTS)
    (row,) = _audit(world).disagreements
    assert row.rule == "WC522"
    assert f"openstack server delete {row.server}" in row.fix
    world.nova.tell("run", move="delete", args=[row.server])
    assert _audit(world).disagreements == ()


def test_a_revert_that_frees_the_rows(world: SoundWorld) -> None:
    """nova's own (`REVERT_FREES_ROWS`): a run of the source between the two halves of a revert
    frees the row of the card that the server gets back."""
    servers = world.nova.tell("servers")["servers"]
    server = next(uuid for uuid, row in servers.items() if row["host"] == HOST)
    world.nova.tell("run", move="migrate", args=[server])
    made = world.nova.tell("begin", move="revert", args=[server])
    number = made["id"]
    while made["at"]:
        if made["at"] == "dropped":
            assert world.nova.tell("periodic", hosts=[HOST])["errors"] == {}
        made = world.nova.tell("step", number=number)
    statement = "SELECT status FROM pci_devices WHERE instance_uuid = ? AND deleted = 0"
    assert world.tables.rows("cell1", statement, server) == []
    held = "SELECT used FROM allocations WHERE consumer_id = ? AND used = 1"
    assert world.tables.rows("placement", held, server)


@pytest.mark.parametrize(
    "pairs", [PAIRS[::4], pytest.param(PAIRS, marks=pytest.mark.long)], ids=["some", "all"]
)
def test_any_two_are_found(world: SoundWorld, pairs: tuple[tuple[str, str], ...]) -> None:
    """Each pair of faults on two cards of a host is found whole, and nothing else is."""
    bad = []
    for first, second in pairs:
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
        world.restore()
    assert not bad, "\n".join(bad)
