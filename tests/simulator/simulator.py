"""Random work of a cloud from a seed, on real nova and real Placement, with audits in between.

A move may be stopped after any of nova's statements, others may go on meanwhile, and an audit may
look at any moment. What the audit has to find is told by `Oracle`, from the tables alone.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from simulator import random_faults
from simulator.nova_process import NovaProcess
from simulator.oracle import Found, Oracle, comparable, files_in
from simulator.simulated_views import opening
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views

PERIOD = 60
# How often nova-compute is killed and a fault injected, where the weight of a boot is 6.
KILL, FAULT = 0.4, 0.2
_SERVERS = "SELECT uuid, host, vm_state, task_state FROM instances WHERE deleted = 0"


@dataclass
class Simulator:
    """A cloud of `hosts` with `cards` each; what it does is decided by `seed` alone."""

    folder: Path
    seed: int
    hosts: int = 2
    cards: int = 4
    operations: int = 0
    statements: int = 0
    audits: int = 0
    done: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.nova = NovaProcess(self.folder, self.hosts, self.cards, self.seed)
        self.begun: dict[int, tuple[str, str]] = {}
        self.away: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.nova.close()

    @property
    def names(self) -> list[str]:
        """The hosts' names."""
        return [f"gpu-{number + 1:02}" for number in range(self.hosts)]

    def servers(self) -> Mapping[str, Any]:
        """nova's servers that are not deleted."""
        rows = files_in(self.folder)("cell1", _SERVERS)
        return {uuid: {"host": host, "vm_state": vm_state, "task_state": task_state}
                for uuid, host, vm_state, task_state in rows}  # fmt: skip

    # What happens.

    def operate(self) -> None:
        """One operation; one in ten is stopped after a statement of it and goes on later."""
        self.operations += 1
        if self.begun and self.random.random() < 0.5:
            number = self.random.choice(sorted(self.begun))
            self._go_on(number)
            return
        self.nova.tell("tick", seconds=self.random.choice((1, 5, 20)))
        kind, arguments = self._chosen()
        self.done[kind] += 1
        if kind in ("boot", "delete", "migrate", "confirm", "revert", "evacuate", "restart"):
            self._move(kind, arguments)
        elif kind == "periodic":
            self.periodic()
        elif kind == "kill":
            self._kill(*arguments)
        elif kind == "fault":
            self._log(random_faults.inject(self))
        elif kind == "hand-over":
            self._log(random_faults.hand_over(self))
        else:
            self._log(f"{kind} {arguments}")
            self.nova.tell(kind, **arguments)
            if kind == "down":
                self.away.add(arguments["host"])

    def _move(self, kind: str, arguments: list[Any]) -> None:
        made = self.nova.tell("begin", move=kind, args=arguments)
        self._log(f"{kind} {arguments}: {made['at'] or 'ended'} {made['error']}")
        self.statements += 1
        if kind == "restart":
            self.away.discard(arguments[0])
        if not made["at"]:
            return
        self.begun[made["id"]] = kind, str(arguments[0])
        if kind == "restart" or self.random.random() > 0.1:
            self._go_on(made["id"], to_the_end=True)
        else:
            self._go_on(made["id"])

    def _kill(self, kind: str, arguments: list[Any], left: int) -> None:
        """All nova-computes die after so many statements of a move, and start again."""
        made = self.nova.tell("kill", move=kind, args=arguments, left=left)
        self.done["killed"] += made["killed"]
        self._log(f"kill at {left} of {kind} {arguments}: {made['killed']} {made['error']}")
        if made["killed"]:
            for host in self.names:
                self.nova.tell("down", host=host, forced=False)
            self.nova.tell("tick", seconds=self.random.choice((5, 20, 100)))
            for host in self.names:
                self._move("restart", [host])

    def _go_on(self, number: int, to_the_end: bool = False) -> None:
        """The next statements of a move that was begun."""
        left = 10**6 if to_the_end else self.random.randint(1, 4)
        while left and number in self.begun:
            made = self.nova.tell("step", number=number)
            self.statements += 1
            left -= 1
            if not made["at"]:
                kind, what = self.begun.pop(number)
                self._log(f"  {kind} {what} ended {made['error']}")
        if number in self.begun:
            self._log(f"  {self.begun[number]} stopped")

    def _chosen(self) -> tuple[str, Any]:
        """What is done next: by chance, of what is possible now."""
        busy = {server for _, server in self.begun.values()}
        servers = {uuid: one for uuid, one in self.servers().items() if uuid not in busy}
        choices: list[tuple[float, str, Any]] = [
            (6, "boot", [self.random.choice((1, 1, 1, 2, 3))]),
            (3, "periodic", None),
        ]
        for uuid, one in sorted(servers.items()):
            here = one["host"] not in self.away and not (self.away and one["vm_state"] == "resized")
            state = one["vm_state"], one["task_state"]
            if here or state[0] != "resized":
                choices.append((0.5, "delete", [uuid]))
            if state == ("active", None) and here:
                choices.append((0.5, "migrate", [uuid]))
                choices.append((0.3, "migrate", [uuid, self.random.choice((1, 2, 3))]))
            elif state == ("resized", None) and not self.away:
                choices.append((2, "confirm", [uuid]))
                choices.append((1, "revert", [uuid]))
            elif state[0] in ("active", "stopped", "error") and one["host"] and not here:
                choices.append((2, "evacuate", [uuid]))
        if not self.begun and not self.away:
            choices += self._rare(servers)
        hosts = [host for host in self.names if host not in self.away]
        if not self.begun:
            choices += [(0.5, "restart", [host]) for host in self.names]
            if not self.away and len(hosts) > 1:
                choices.append((0.5, "down", {"host": self.random.choice(hosts), "forced": True}))
        weights = [weight for weight, _, _ in choices]
        _, kind, arguments = self.random.choices(choices, weights)[0]
        return kind, arguments

    def _rare(self, servers: Mapping[str, Any]) -> Iterator[tuple[float, str, Any]]:
        """What happens at rest alone: nova-compute is killed, a fault comes and is repaired."""
        host = self.random.choice(self.names)
        kills = [("boot", [self.random.choice((1, 2))]), ("restart", [host]), ("periodic", [host])]
        kills += [("delete", [uuid]) for uuid, one in sorted(servers.items())
                  if one["vm_state"] != "resized"]  # fmt: skip
        yield KILL, "kill", (*self.random.choice(kills), self.random.randrange(30))
        if all(one["vm_state"] != "resized" for one in servers.values()):
            yield FAULT, "fault", []
            yield FAULT / 4, "hand-over", []

    def periodic(self) -> None:
        """A period passes: every nova-compute that runs does its periodic tasks."""
        self.nova.tell("tick", seconds=PERIOD)
        errors = self.nova.tell("periodic", hosts=self.names)["errors"]
        self._log(f"periodic {errors or ''}")

    def settle(self) -> None:
        """All that was begun ends, every host is back, and two periods pass."""
        for number in sorted(self.begun):
            self._go_on(number, to_the_end=True)
        for host in sorted(self.away):
            self._move("restart", [host])
        self.periodic()
        self.periodic()

    def _log(self, line: str) -> None:
        self.log.append(f"{self.operations}: {line}")

    # What is seen.

    def audit(self, wait: float | None = PERIOD) -> AuditReport:
        """An audit now; while it waits, a period passes."""
        self.audits += 1
        look = opening(self.folder, lambda: self.nova.tell("hosts"))
        return audit_views(look, wait, AuditWatcher(), sleep=lambda _seconds: self._work_on())

    def _work_on(self) -> None:
        """A minute passes; what nova does without a task_state is done within it."""
        for number, (kind, _) in sorted(self.begun.items()):
            if kind in ("confirm", "revert", "delete"):
                self._go_on(number, to_the_end=True)
        self.periodic()

    def expected(self) -> Found:
        """What an audit has to find now."""
        busy = {server for _, server in self.begun.values()}
        told = self.nova.tell("hosts")
        now = datetime.fromisoformat(told["now"])
        return Oracle(files_in(self.folder), told["hosts"], busy, now, self.away).expected()

    def write(self, database: str, *statements: str) -> None:
        """Raw SQL, as of a person who knows better."""
        with sqlite3.connect(f"{self.folder}/{database}.sqlite", timeout=30) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()


def found(report: AuditReport) -> Found:
    """Rule, host and address of what an audit found."""
    return comparable([(row.rule, row.host, row.address) for row in report.disagreements])


def in_flight(report: AuditReport) -> Found:
    """The same of what an audit has seen, and does not yet call wrong."""
    return comparable([(row.rule, row.host, row.address) for row in report.in_flight])
