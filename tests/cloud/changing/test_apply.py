"""A cloud's plan through its journal: killed at every point, it is finished or undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cells import MakeCell, SetCells, connection, read
from support.faults import WRITES, die, die_half_way, killed, points_of
from support.transactions import fast_folder
from wholecard.cloud.changing.apply import apply, finish, plan_rollback, rollback
from wholecard.cloud.changing.journal import CloudJournal, default_folder
from wholecard.cloud.operations.operation import CloudOperation
from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.transaction.engine import Outcome
from wholecard.transaction.recorded_journal import RecordedJournal

# A test has a run for each point at which it is stopped: 15 s alone, more beside the lab.
pytestmark = pytest.mark.timeout(600)

KINDS = {each.kind: each for each in (SetCells, MakeCell)}
BEFORE = {"a": "1", "b": "2", "c": "3"}
AFTER = {"a": "9", "c": "3", "d": "8", "e": "7", "f": "made"}
CONN = connection()


class Cells:
    """A cloud of cells in a folder, its journals, and a plan for it."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "cells.json"
        self.ledger = CloudJournal(folder / "state", KINDS)
        self.place.write_text(json.dumps(BEFORE))

    @property
    def plan(self) -> Plan:
        place = str(self.place)
        changes: list[CloudOperation] = [
            SetCells(place, (("a", "1", "9"), ("b", "2", None))),
            SetCells(place, (("d", None, "8"),), note="left"),
            SetCells(place, (("e", None, "7"),)),
            MakeCell(place, "f"),
        ]
        return Plan(tuple(Action("set", str(n), "why", each, "") for n, each in enumerate(changes)))

    def apply(self) -> Outcome:
        return apply(CONN, self.ledger, self.plan, Path("/site.yaml"))

    def rollback(self, **more: bool) -> Outcome:
        return rollback(CONN, self.ledger, **more)  # type: ignore[arg-type]

    def put(self, **cells: str | None) -> None:
        found = {**read(self.place), **cells}
        kept = {key: value for key, value in found.items() if value is not None}
        self.place.write_text(json.dumps(kept))

    @property
    def seen(self) -> dict[str, str]:
        return read(self.place)

    @property
    def state(self) -> str:
        status = self.ledger.status()
        # Read without the operations, a journal says the same.
        assert RecordedJournal(self.ledger.folder, {"site": None}).status() == status
        return str(status["state"])


@pytest.fixture
def cells(tmp_path: Path) -> Iterator[Cells]:
    """A cloud of cells in memory."""
    for folder in fast_folder(tmp_path):
        yield Cells(folder)


def test_apply_and_rollback(cells: Cells) -> None:
    """What is applied stands; what is rolled back is as before, with what was left told."""
    outcome = cells.apply()
    assert (outcome.journals, len(outcome.seconds)) == (("0001",), 4)
    assert (cells.seen, cells.state) == (AFTER, "applied")
    assert cells.rollback().notes == ("left",)
    assert (cells.seen, cells.state) == (BEFORE, "clean")
    assert cells.apply().journals == ("0002",)


def test_plan_rollback(cells: Cells) -> None:
    """What a rollback would do is listed, with what was changed since, and nothing is changed."""
    cells.apply()
    cells.put(d="mine")
    planned = plan_rollback(CONN, cells.ledger)
    assert [action.subject for _, action in planned.actions] == ["3", "2", "1", "0"]
    assert planned.edited == (
        "set 1 was changed since it was applied\nd is 'mine', and not '8'",
    )  # fmt: skip
    assert (cells.seen, cells.state) == ({**AFTER, "d": "mine"}, "applied")


@pytest.mark.parametrize(("fault", "only"), [(die, ()), (die_half_way, WRITES)])
@pytest.mark.parametrize("then", ["finish", "rollback"])
def test_killed_apply(tmp_path: Path, then: str, fault: object, only: tuple[str, ...]) -> None:
    """Killed before any call, or half way through a write, apply is finished or undone."""
    states = set()
    for folder in fast_folder(tmp_path):
        (folder / "first").mkdir()
        names = points_of(Cells(folder / "first").apply)
        points = [n for n, name in enumerate(names, 1) if not only or name in only]
        assert len(points) > (10 if only else 50)
        for at in points:
            (folder / str(at)).mkdir()
            cells = Cells(folder / str(at))
            assert killed(cells.apply, at, fault)  # type: ignore[arg-type]
            states.add(cells.state)
            if then == "finish":
                if finish(CONN, cells.ledger) is None and cells.state == "clean":
                    cells.apply()
                assert (cells.seen, cells.state) == (AFTER, "applied"), at
            if cells.state != "clean":
                cells.rollback()
            assert (cells.seen, cells.state) == (BEFORE, "clean"), at
    assert states >= {"clean", "applying"}


@pytest.mark.parametrize(("fault", "only"), [(die, ()), (die_half_way, WRITES)])
def test_killed_rollback(tmp_path: Path, fault: object, only: tuple[str, ...]) -> None:
    """Killed before any call, or half way through a write, a rollback is finished by the next."""
    states = set()
    for folder in fast_folder(tmp_path):
        (folder / "first").mkdir()
        first = Cells(folder / "first")
        first.apply()
        names = points_of(first.rollback)
        for at in [n for n, name in enumerate(names, 1) if not only or name in only]:
            (folder / str(at)).mkdir()
            cells = Cells(folder / str(at))
            cells.apply()
            assert killed(cells.rollback, at, fault)  # type: ignore[arg-type]
            states.add(cells.state)
            if cells.state != "clean":
                cells.rollback()
            assert (cells.seen, cells.state) == (BEFORE, "clean"), at
    assert states >= {"applied", "rolling-back"}


def test_unfinished_is_said_and_refused(cells: Cells) -> None:
    """An unfinished run keeps another out, and status says where it stopped."""
    names = points_of(cells.apply)
    cells.rollback()
    assert killed(cells.apply, len(names) // 2)
    status = cells.ledger.status()
    assert (status["state"], status["actions"]) == ("applying", 4)
    assert str(status["next"]).startswith("set ")
    with pytest.raises(WholecardError, match="unfinished"):
        cells.apply()


def test_changed_since_the_plan(cells: Cells) -> None:
    """What somebody put there after the plan was made is seen, and nothing is touched."""
    cells.put(e="5")
    with pytest.raises(WholecardError, match="changed since the plan") as caught:
        cells.apply()
    assert "e is '5', and not nothing or '7'" in caught.value.details
    assert (cells.seen, cells.state) == ({**BEFORE, "e": "5"}, "clean")
    assert not cells.ledger.entries()


def test_what_stood_there_already_stays(cells: Cells) -> None:
    """What somebody else made as wished before apply came to it is not undone."""
    cells.put(d="8", b=None)
    cells.apply()
    assert cells.seen == AFTER
    cells.rollback()
    assert cells.seen == {"a": "1", "c": "3", "d": "8"}


def test_changed_since_it_was_applied(cells: Cells) -> None:
    """What was changed since is not put back unasked; with discard_edits it is."""
    cells.apply()
    cells.put(a="5")
    with pytest.raises(WholecardError, match="changed since it was applied"):
        cells.rollback()
    assert (cells.seen, cells.state) == ({**AFTER, "a": "5"}, "applied")
    cells.rollback(discard_edits=True)
    assert cells.seen == BEFORE


def test_two_journals_back_to_none(cells: Cells) -> None:
    """Journals are undone newest first, though the second changed what the first made."""
    cells.apply()
    more = SetCells(str(cells.place), (("a", "9", "10"),))
    apply(CONN, cells.ledger, Plan((Action("set", "0", "why", more, ""),)), Path("/site.yaml"))
    assert cells.seen["a"] == "10"
    assert rollback(CONN, cells.ledger, to=0).journals == ("0002", "0001")
    assert cells.seen == BEFORE
    with pytest.raises(UsageError, match="nothing is applied"):
        cells.rollback()


HERE = ("http://127.0.0.1/v3", "R", "http://127.0.0.1/compute/v2.1")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("http://127.0.0.2/v3", *HERE[1:]), "Its Keystone is http://127.0.0.1; here it is"),
        ((HERE[0], "R2", HERE[2]), "Its region is R; here it is R2."),
    ],
)
def test_another_cloud(cells: Cells, place: tuple[str, str, str], said: str) -> None:
    """A journal is not played to a cloud with another Keystone or region."""
    cells.apply()
    with pytest.raises(WholecardError, match="another cloud or region") as caught:
        rollback(connection(*place), cells.ledger)
    assert said in caught.value.details
    assert cells.seen == AFTER


MOVED = "https://api.example/compute/v2.1"


def test_a_nova_that_moved(cells: Cells) -> None:
    """Another endpoint of nova's in the same region, as after a change to https, is told."""
    points = len(points_of(cells.apply))
    cells.rollback()
    assert killed(cells.apply, points // 2)
    here = connection(*HERE[:2], MOVED)
    note = (
        "journal 0002: nova's endpoint was http://127.0.0.1/compute and is "
        "https://api.example/compute now, in the same region"
    )
    finished = finish(here, cells.ledger)
    assert finished is not None
    assert (finished.notes, cells.seen) == ((note,), AFTER)
    assert rollback(here, cells.ledger).notes == (note, "left")
    assert (cells.seen, cells.state) == (BEFORE, "clean")


def test_regions_without_a_name(cells: Cells) -> None:
    """Where no region is named, nova's endpoint is what tells one from another."""
    apply(connection(region=""), cells.ledger, cells.plan, Path("/site.yaml"))
    with pytest.raises(WholecardError, match="another cloud or region") as caught:
        rollback(connection(HERE[0], "", MOVED), cells.ledger)
    assert "Its compute endpoint is http://127.0.0.1/compute; here" in caught.value.details
    assert rollback(connection(region=""), cells.ledger).journals == ("0001",)


@pytest.mark.parametrize(
    "place",
    [
        ("http://127.0.0.1/", *HERE[1:]),
        ("HTTP://u:p@s/s@127.0.0.1:80/v2.0", *HERE[1:]),
        (*HERE[:2], "http://127.0.0.1:80/compute/v2.1/0123456789abcdef0123456789abcdef/"),
    ],
)
def test_the_same_cloud(cells: Cells, place: tuple[str, str, str]) -> None:
    """An address that is written in another way names the same cloud."""
    cells.apply()
    assert rollback(connection(*place), cells.ledger).journals == ("0001",)


def test_nothing_secret(cells: Cells) -> None:
    """A journal has the cloud's addresses and nothing else of its entry, for its owner alone."""
    conn = connection("http://svc:S3cret@p/w@127.0.0.1/v3")
    apply(conn, cells.ledger, cells.plan, Path("/site.yaml"))
    for file in cells.ledger.folder.rglob("*"):
        text = "" if file.is_dir() else file.read_text()
        assert not [each for each in ("password", "S3cret", "p/w", "svc") if each in text]
    assert (cells.ledger.folder / "0001/plan.json").stat().st_mode & 0o777 == 0o600


def test_damage_is_seen(cells: Cells) -> None:
    """A plan that is not what was written is not acted on."""
    cells.apply()
    plan = cells.ledger.folder / "0001/plan.json"
    plan.write_text(plan.read_text().replace('"9"', '"6"'))
    with pytest.raises(WholecardError, match="is damaged"):
        cells.rollback()
    assert cells.seen == AFTER


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals are in XDG's folder for state, apart by the cloud's name."""
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_folder("lab") == Path("/state/wholecard/cloud/lab")
    with pytest.raises(UsageError):
        default_folder("../x")
