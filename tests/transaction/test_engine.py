"""The engine on a system of its own, a dictionary: stopped at every point, finished or undone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.faults import counted
from support.transactions import fast_folder
from wholecard.core import Action, Operation, Plan, State, Step, UsageError, WholecardError
from wholecard.core.plan import HALF
from wholecard.transaction import engine
from wholecard.transaction.atomic_files import write_atomically
from wholecard.transaction.engine import Outcome, apply, finish, rollback
from wholecard.transaction.journal_store import Journal, JournalEntry


class Stopped(BaseException):
    """What a kill is here: nothing catches it, and nothing is done any more."""


class World(dict[str, str]):
    """Values by name, that count each change as a point at which a run can be stopped."""

    at = points = 0

    def point(self) -> None:
        self.points += 1
        if 0 < self.at <= self.points:
            raise Stopped

    def put(self, name: str, value: str | None) -> None:
        self.point()
        if value is None:
            self.pop(name, None)
        else:
            self[name] = value


@dataclass(frozen=True)
class Put(Operation[World]):
    """Give `name` a value, in two changes: half of it comes first."""

    kind = "put"

    name: str
    value: str
    before: str | None = None

    def describe(self) -> str:
        return f"{self.name} = {self.value}"

    @property
    def state_before(self) -> State:
        return {self.name: self.before}

    @property
    def state_after(self) -> State:
        return {self.name: self.value}

    def look(self, context: World) -> State:
        return {self.name: context.get(self.name)}

    def do(self, context: World, step: Step) -> dict[str, Any]:
        if step.present != self.state_after:
            context.put(self.name, HALF)
            context.put(self.name, self.value)
        return {}

    def undo(self, context: World, step: Step) -> None:
        context.put(self.name, self.before)


@dataclass(frozen=True)
class Copy(Operation[World]):
    """Copy a value to a name, which is undone by copying the former value: so it is late."""

    kind = "copy"

    source: str
    target: str

    def describe(self) -> str:
        return f"{self.target} = {self.source}"

    def do(self, context: World, step: Step) -> dict[str, Any]:
        context.put(self.target, context.get(self.source))
        return {}

    def is_late(self, context: World, step: Step) -> bool:
        return True

    def undo(self, context: World, step: Step) -> str:
        context.put(self.target, context.get(self.source))
        return f"{self.target} was copied again"


OPERATIONS: dict[str, Callable[..., Operation[World]]] = {"put": Put, "copy": Copy}


@dataclass(frozen=True)
class Applied:
    plan: Plan
    time: float = 1.0

    def about(self) -> dict[str, Any]:
        return {"actions_planned": len(self.plan.actions)}


class Entry(JournalEntry):
    def read(self) -> Applied:
        rows = json.loads((self.directory / "plan.json").read_text())["actions"]
        actions = [
            Action(
                row["kind"],
                row["subject"],
                row["reason"],
                OPERATIONS[row["do"].pop("op")](**row["do"]),
                row["undo"],
            )
            for row in rows
        ]
        return Applied(Plan(tuple(actions)))


class WorldJournal(Journal[Entry]):
    command = "world"
    system = "in this world"

    def entry(self, number: int, directory: Path) -> Entry:
        return Entry(number, directory)

    def nothing(self) -> dict[str, Any]:
        return {"actions_planned": 0}


@dataclass(frozen=True)
class WorldSystem(engine.System[Entry, World]):
    world: World

    def context(self, descriptor: int, entry: Entry | None) -> World:
        return self.world

    def begin(self, applied: Applied) -> Entry:
        data = json.dumps(applied.plan.to_json()).encode()
        return self.journal.add(lambda draft: write_atomically(draft / "plan.json", data, 0o600))

    def refuse_apply(self, plan: Plan) -> None:
        if "forbidden" in self.world:
            raise WholecardError("the world does not allow it")

    @property
    def state(self) -> str:
        return str(self.journal.status()["state"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory."""
    yield from fast_folder(tmp_path)


def system_in(folder: Path) -> WorldSystem:
    return WorldSystem(WorldJournal(folder), World(BEFORE))


def plan_of(*operations: Operation[World]) -> Applied:
    actions = [Action(each.kind, each.describe().split()[0], "", each, "") for each in operations]
    return Applied(Plan(tuple(actions)))


BEFORE = {"a": "1", "c": "1"}
APPLIED = plan_of(Put("a", "2", "1"), Copy("a", "c"), Put("b", "new"))
AFTER = {"a": "2", "b": "new", "c": "2"}


@contextmanager
def stopped(world: World, at: int) -> Iterator[None]:
    """Inside, the run is stopped before its change at `at`, of the world or of the journal."""

    def fault(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        world.point()
        return real(*arguments)

    world.at, world.points = at, 0
    with counted(1, fault, lasting=True):
        try:
            yield
        except Stopped:
            pass
        else:
            assert not at
        finally:
            world.at = 0


def points_of(folder: Path, run: Callable[[WorldSystem], object], applied: bool) -> int:
    system = system_in(folder / "counted")
    if applied:
        apply(system, APPLIED)
    with stopped(system.world, 0):
        run(system)
    return system.world.points


@pytest.mark.parametrize("then", [finish, rollback])
def test_stopped_apply(folder: Path, then: Callable[[WorldSystem], Outcome | None]) -> None:
    """Stopped before any change, apply is finished or undone, from half a value too."""
    count = points_of(folder, lambda system: apply(system, APPLIED), applied=False)
    halves = 0
    for at in range(1, count + 1):
        system = system_in(folder / str(at))
        with stopped(system.world, at):
            apply(system, APPLIED)
        halves += HALF in system.world.values()
        if system.state == "clean":
            apply(system, APPLIED)
        elif system.state == "applying":
            then(system)
        assert (system.world, system.state) in ((AFTER, "applied"), (BEFORE, "clean")), at
    assert (halves, count > 40) == (2, True)


def test_stopped_rollback(folder: Path) -> None:
    """Stopped before any change, a rollback is finished by the next, and by nothing else."""
    count = points_of(folder, rollback, applied=True)
    states = set()
    for at in range(1, count + 1):
        system = system_in(folder / str(at))
        apply(system, APPLIED)
        with stopped(system.world, at):
            rollback(system)
        states.add(system.state)
        if system.state == "rolling-back":
            with pytest.raises(UsageError, match="being rolled back") as caught:
                finish(system)
            assert caught.value.resolution == "Finish that first: world rollback"
            with pytest.raises(WholecardError, match="unfinished"):
                apply(system, APPLIED)
        if system.state != "clean":
            # What was left is told by the rollback that ends it, whichever run left it.
            assert rollback(system).notes == ("c was copied again",)
        assert system.world == BEFORE, at
    assert states == {"applied", "rolling-back", "clean"}


def test_late(folder: Path) -> None:
    """What needs the former values is undone after what gives them back, and told as it is done."""
    system = system_in(folder)
    apply(system, APPLIED)
    told: list[tuple[int, int, str]] = []
    rollback(system, lambda *now: told.append((now[0], now[1], now[2].subject)))
    assert told[::2] == [(1, 3, "b"), (2, 3, "a"), (3, 3, "c")]


def test_half_of_anothers(folder: Path) -> None:
    """A half made value that no run of ours began is somebody else's change."""
    system = system_in(folder)
    system.world["b"] = HALF
    with pytest.raises(WholecardError, match="put b was changed since the plan") as caught:
        apply(system, APPLIED)
    assert caught.value.details == "b is 'half made', and not nothing or 'new'"
    assert (system.state, system.journal.entries()) == ("clean", ())


def test_chain_of_journals(folder: Path) -> None:
    """What a later journal changed is compared with what that one's rollback will have left."""
    system = system_in(folder)
    apply(system, plan_of(Put("a", "2", "1")))
    apply(system, plan_of(Put("a", "3", "2")))
    again = dataclasses.replace(system, world=World(system.world))
    assert rollback(system, to=0).journals == ("0002", "0001")
    assert system.world == BEFORE
    with pytest.raises(UsageError, match="nothing is applied in this world"):
        rollback(again)


def test_deleted_since(folder: Path) -> None:
    """A value that somebody deleted is put back unasked; one that he changed is not."""
    system = system_in(folder)
    apply(system, APPLIED)
    del system.world["b"]
    system.world["a"] = "9"
    with pytest.raises(WholecardError, match="changed since it was applied") as caught:
        rollback(system)
    assert caught.value.details == "a is '9', and not '2' or '1'"
    assert system.state == "applied"
    assert rollback(system, discard_edits=True).journal == "0001"
    assert system.world == BEFORE


def test_refused(folder: Path) -> None:
    """What the system refuses leaves neither a change nor a journal."""
    system = system_in(folder)
    system.world["forbidden"] = "1"
    with pytest.raises(WholecardError, match="does not allow"):
        apply(system, APPLIED)
    assert (system.world, system.journal.entries()) == ({**BEFORE, "forbidden": "1"}, ())


def test_status(folder: Path) -> None:
    """Status names the action at which a run failed and why, and forgets it when it is finished."""
    system = system_in(folder)
    entry = system.begin(APPLIED)
    system.world["a"] = "9"
    with pytest.raises(WholecardError, match="changed since"):
        finish(system)
    status = system.journal.status()
    assert (status["state"], status["done"], status["actions"]) == ("applying", 0, 3)
    assert (status["next"], status["failed"]) == (
        "put a", "put a was changed since the plan was made",
    )  # fmt: skip
    system.world["a"] = "1"
    outcome = finish(system)
    assert outcome is not None
    assert (outcome.journals, len(outcome.seconds)) == ((entry.id,), 3)
    status = system.journal.status()
    assert (status["state"], status["next"], status["failed"]) == ("applied", None, None)
    times = [record["time"] for record in entry.records() if record["event"] == "applied"]
    assert status["history"] == [
        {"journal": "0001", "state": "applied", "actions_planned": 3, "time": 1.0,
         "since": times[-1]},
    ]  # fmt: skip


def test_outcome_as_json() -> None:
    """What scripts read of a run: the last journal, how many actions, how long each took, notes."""
    outcome = Outcome(("/j/1", "/j/2"), (0.5, 1.5), ("left",), reboot_needed=True)
    assert outcome.to_json() == {
        "journal": "/j/2", "applied": 2, "reboot_needed": True, "seconds": [0.5, 1.5],
        "journals": ["/j/1", "/j/2"], "notes": ["left"],
    }  # fmt: skip
    assert Outcome().to_json()["journal"] is None
