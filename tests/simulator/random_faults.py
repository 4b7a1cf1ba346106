"""What is done in a cloud that worked at random, when nothing is begun and all hosts are up.

A fault of `world_faults.py` is found, and repaired alone; a card for one use is handed over. What
nova itself left before is repaired first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.repaired_world import RepairedWorld
from simulator.simulated_views import opening
from simulator.world_faults import A_PERSONS, GONE, WORLD_FAULTS, Card, Tables
from wholecard.audit.compare import compare
from wholecard.handover.reserved_cards import give_back, one_time_use_cards, read_card

if TYPE_CHECKING:
    from simulator.simulator import Simulator

# Not repaired into the state before.
UNDONE = A_PERSONS | GONE
# As many as a host has at most.
CARDS = 8
_USED = """
SELECT n.host, d.address FROM pci_devices d JOIN compute_nodes n ON n.id = d.compute_node_id
WHERE n.host = ? AND d.deleted = 0 AND d.instance_uuid IS NOT NULL
"""


@dataclass(frozen=True)
class _Case:
    """A cloud at rest, and how a repair reaches it."""

    simulator: Simulator
    tables: Tables

    @property
    def repaired(self) -> RepairedWorld:
        """The cloud as a repair reaches it."""
        return RepairedWorld(self.simulator.folder, self.simulator.nova, self.tables)

    @classmethod
    def of(cls, simulator: Simulator) -> _Case:
        told = simulator.nova.tell("hosts")["hosts"]
        return cls(simulator, Tables(simulator.folder, told))

    def repair(self) -> None:
        """As an operator repairs; raises AssertionError where something is left."""
        simulator = self.simulator
        repaired = self.repaired
        state = simulator.folder / f"repair-{simulator.operations}"
        report = repaired.repair(state)
        left = repaired.audit().disagreements
        assert not left, f"left {left}\n{report}"

    def found(self) -> set[tuple[str, str, str]]:
        """What a second look finds at this moment."""
        now = self.simulator.nova.tell("tick", seconds=0)["now"]
        look = opening(self.tables.folder, lambda: {"now": now, "hosts": self.tables.told})
        with look(None) as views:
            return {
                (row.rule, row.host, row.address)
                for host in compare(views, second_look=True) for row in host.disagreements
            }  # fmt: skip

    def cards(self, on: str) -> list[Card]:
        """The cards on which such a fault can be; their host has two servers, and another one."""
        servers = self.tables.rows(
            "cell1", "SELECT uuid, host FROM instances WHERE deleted = 0 AND vm_state = 'active'"
            " AND host IS NOT NULL ORDER BY id",
        )  # fmt: skip
        gone = self.tables.rows("cell1", "SELECT uuid FROM instances WHERE deleted != 0 LIMIT 1")
        found = []
        for host in sorted(self.tables.told):
            here = {uuid for uuid, at in servers if at == host}
            away = [uuid for uuid, at in servers if at != host]
            if here and away and gone:
                for card in self.tables.cards(host):
                    card.away = away[0]
                    wanted = {None} if on == "free" else here - {card.other}
                    if card.other in here and card.holder in wanted:
                        found.append(card)
        return found

    def hosts_say(self) -> None:
        """The hypervisors are as they were before the fault."""
        for host, one in self.tables.told.items():
            self.simulator.nova.tell("devices", host=host, devices=one["devices"])
            self.simulator.nova.tell("domains", host=host, domains=one["domains"])


def _sound(simulator: Simulator) -> _Case:
    """The cloud, with nothing wrong in it, and nothing in flight."""
    for uuid, one in simulator.servers().items():
        if one["vm_state"] == "building":
            # nova-compute was killed as it began: the audit, an hour later, says to delete it.
            simulator.nova.tell("run", move="delete", args=[uuid])
    simulator.periodic()
    if simulator.expected():
        _Case.of(simulator).repair()
    return _Case.of(simulator)


def inject(simulator: Simulator) -> str:
    """One fault on one card, or none where no card is fit. Says what was done.

    Raises AssertionError where it is not found under its rules, or something else is found, or
    after the repair anything is not as it was before.
    """
    case = _sound(simulator)
    cards = {on: case.cards(on) for on in ("free", "given")}
    names = [name for name, fault in sorted(WORLD_FAULTS.items()) if cards[fault.on]]
    if not names:
        return "no card is fit for a fault"
    name = simulator.random.choice(names)
    fault = WORLD_FAULTS[name]
    card = simulator.random.choice(cards[fault.on])
    case.tables.keep()
    sound = case.tables.now()
    fault.inject(case.tables, card)
    found, wanted = case.found(), {(rule, card.host, card.address) for rule in fault.rules}
    assert found == wanted, f"{name} on {card}: {sorted(found)} and not {sorted(wanted)}"
    if name in UNDONE:
        case.tables.restore()
    else:
        case.repair()
        now = case.tables.now()
        assert now == sound, f"{name} on {card}: not as it was: {difference(sound, now)}"
    simulator.done[name] += 1
    kept = _Case(simulator, Tables(simulator.folder, json.loads(case.tables.kept_told)))
    kept.hosts_say()
    return f"{name} on {card.host} {card.address}: found"


def difference(before: Any, after: Any) -> list[str]:
    """The rows that two states of the tables do not share, with their table's name."""
    return [
        f"{sign}{name} {row}"
        for was, now in zip(before, after, strict=True)
        for name in was
        for sign, rows, others in (("-", was, now), ("+", now, was))
        for row in rows[name]
        if row not in others[name]
    ]


def hand_over(simulator: Simulator) -> str:
    """A host's cards are for one use, and one is used: it is found, and given back.

    Raises AssertionError where anything else is found, or it is not free again.
    """
    case, nova = _sound(simulator), simulator.nova
    host = simulator.random.choice(simulator.names)

    def here() -> list[str]:
        return sorted(uuid for uuid, one in simulator.servers().items() if one["host"] == host)

    def specify(**spec: str) -> None:
        nova.tell("spec", host=host, spec=spec)
        nova.tell("run", move="restart", args=[host])
        nova.tell("tick", seconds=70)
        simulator.periodic()

    for uuid in here():
        nova.tell("run", move="delete", args=[uuid])
    specify(one_time_use="true")
    # The other host may take some of them, until it is full.
    boots = [nova.tell("run", move="boot", args=[1]) for _ in range(CARDS + 1) if not here()]
    assert here(), boots
    (used,) = [row[1] for row in case.tables.rows("cell1", _USED, host)]
    nova.tell("run", move="delete", args=here())
    nova.tell("tick", seconds=70)
    simulator.periodic()
    case = _Case.of(simulator)
    assert case.found() == {("WC532", host, used)}, sorted(case.found())
    conn = case.repaired.conn
    waiting = [card for provider in one_time_use_cards(conn)
               if (card := read_card(conn, provider)) and card.waits]  # fmt: skip
    assert [(card.provider.host, card.provider.address) for card in waiting] == [(host, used)]
    give_back(conn, waiting[0])
    assert case.found() == set(), sorted(case.found())
    specify()
    assert _Case.of(simulator).found() == set()
    return f"{host} {used} was used once, and handed over"
