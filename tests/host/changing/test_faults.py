"""Killed at every point between two changing calls, a host is finished or undone, byte for byte."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fakes_on_path import fake_tools
from support.faults import WRITES, Fault, counted, die, die_half_way, killed, points_of, refuse
from support.nodes import APART, bare
from support.transactions import Node, fast_folder, without_times
from support.tree import grow, snapshot
from wholecard.core import WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply, finish
from wholecard.host.changing.rollback import rollback
from wholecard.host.desired_state import resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.plan import plan

# A test has a run for each point at which it is stopped: 15 s alone, more beside the lab.
pytestmark = pytest.mark.timeout(600)

# Counted, and said so in docs/explanation/transaction.md.
APPLY_POINTS = 146
ROLLBACK_POINTS = 86


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory."""
    for place in fast_folder(tmp_path):
        yield Node(place, monkeypatch)


def applied(node: Node) -> dict[str, object]:
    """What an apply that nothing disturbs leaves; the node is as before."""
    node.apply()
    seen = without_times(node.seen())
    rollback(node.root)
    node.forget()
    return seen


def finish_or_apply(node: Node) -> None:
    """What a person's `apply` does after a run that was broken off."""
    if finish(node.root) is None and journal.newest(node.root) is None:
        node.apply()


def stands_somewhere(node: Node) -> str:
    """Status says where the host stands, and at which action it stopped."""
    status = node.status()
    state = str(status["state"])
    assert state in ("clean", "applying", "applied", "rolling-back")
    assert (status["next"] is not None) == (
        state == "applying" and status["done"] < status["actions"]
    ) or state == "rolling-back"
    return state


def points(run: Any, only: tuple[str, ...] = ()) -> list[int]:
    """The numbers of the points of a run, all or those of some calls."""
    return [n for n, name in enumerate(points_of(run), 1) if not only or name in only]


@pytest.mark.parametrize(("fault", "only"), [(die, ()), (die_half_way, WRITES)])
@pytest.mark.parametrize("then", ["finish", "rollback"])
def test_killed_apply(node: Node, then: str, fault: Fault, only: tuple[str, ...]) -> None:
    """Killed before any call, or half way through a write, apply can be finished and undone."""
    before = node.seen()
    after = applied(node)
    numbers = points(node.apply, only)
    rollback(node.root)
    node.forget()
    states = set()
    for at in numbers:
        assert killed(node.apply, at, fault)
        states.add(stands_somewhere(node))
        if then == "finish":
            finish_or_apply(node)
            assert without_times(node.seen()) == after, at
            assert node.status()["state"] == "applied"
        if journal.newest(node.root) is not None:
            rollback(node.root)
        assert node.seen() == before, at
        assert node.status()["state"] == "clean"
        node.forget()
    # Before the journal has its name, on the way, and before its last record is made to last.
    assert states == {"clean", "applying", *([] if only else ["applied"])}
    assert len(numbers) == (30 if only else APPLY_POINTS) or not node.distinct
    assert not killed(node.apply, 2 * APPLY_POINTS)


@pytest.mark.parametrize(("fault", "only"), [(die, ()), (die_half_way, WRITES)])
def test_killed_rollback(node: Node, fault: Fault, only: tuple[str, ...]) -> None:
    """Killed before any call, or half way through a write, a rollback is finished by the next."""
    before = node.seen()
    node.apply()
    numbers = points(lambda: rollback(node.root), only)
    states = set()
    for at in numbers:
        node.forget()
        node.apply()
        assert killed(lambda: rollback(node.root), at, fault)
        state = stands_somewhere(node)
        states.add(state)
        if state != "clean":
            rollback(node.root)
        assert node.seen() == before, at
    assert states >= {"applied", "rolling-back"}
    assert len(numbers) == (17 if only else ROLLBACK_POINTS) or not node.distinct


@pytest.mark.parametrize("tool", [0, 1, 2])
@pytest.mark.parametrize("then", ["finish", "rollback"])
def test_killed_inside_tool(node: Node, tool: int, then: str) -> None:
    """Killed while a tool is half way, its outputs half written, apply is finished or undone."""
    before = node.seen()
    after = applied(node)
    starts = points(node.apply, ("start",))
    rollback(node.root)
    node.forget()
    assert len(starts) == 3
    assert killed(node.apply, starts[tool], kill_half_way(node))
    node.wait()
    assert stands_somewhere(node) == "applying"
    assert str(node.status()["next"]).startswith(["run-tool", "run-tool", "load-module"][tool])
    (node.root.parent / "calls.kill").unlink()
    if then == "finish":
        finish(node.root)
        assert without_times(node.seen()) == after
    rollback(node.root)
    assert node.seen() == before


def kill_half_way(node: Node) -> Fault:
    """The tool kills who called it."""

    def fault(name: str, real: Any, arguments: tuple[Any, ...]) -> Any:
        Path(f"{node.calls}.kill").touch()
        return real(*arguments)

    return fault


def test_tool_outlives_its_caller(node: Node) -> None:
    """While the tool of a killed run still runs, nothing else starts; then all goes on."""
    before = node.seen()
    pipe = Path(f"{node.calls}.wait")
    os.mkfifo(pipe)
    child = os.fork()
    if child == 0:
        node.apply()
        os._exit(0)
    # Opened here when the tool has opened it there: it is half way.
    with pipe.open("w") as stream:
        os.kill(child, 9)
        os.waitpid(child, 0)
        with pytest.raises(WholecardError, match="another apply or rollback") as caught:
            rollback(node.root)
        assert f"It is process {child}, since 2" in caught.value.details
        assert "a tool that it started still runs" in caught.value.details
        pipe.unlink()
        stream.write("\n")
    node.wait()
    rollback(node.root)
    assert node.seen() == before


ERRORS = [
    pytest.param(errno.ENOSPC, True, id="disk-full"),
    pytest.param(errno.EROFS, True, id="read-only"),
    pytest.param(errno.EACCES, False, id="no-permission"),
    pytest.param(errno.EIO, False, id="input-output-error"),
]


@pytest.mark.parametrize(("number", "lasting"), ERRORS)
def test_refused_apply(node: Node, number: int, lasting: bool) -> None:
    """Refused any call, apply raises one error of ours, and can be finished and undone."""
    before = node.seen()
    after = applied(node)
    numbers = points(node.apply)
    rollback(node.root)
    node.forget()
    for at in numbers:
        with (
            counted(at, refuse(number), lasting),
            pytest.raises(WholecardError, match=os.strerror(number)) as caught,
        ):
            node.apply()
        assert caught.value.resolution, at
        state = stands_somewhere(node)
        assert ("is unfinished" in caught.value.resolution) == (state != "clean"), at
        if at % 2 or state == "clean":
            finish_or_apply(node)
            assert without_times(node.seen()) == after, at
        rollback(node.root)
        assert node.seen() == before, at
        node.forget()
    assert len(numbers) == APPLY_POINTS or not node.distinct


@pytest.mark.parametrize(("number", "lasting"), ERRORS)
def test_refused_rollback(node: Node, number: int, lasting: bool) -> None:
    """Refused any call, rollback raises one error of ours, and the next one completes it."""
    before = node.seen()
    node.apply()
    numbers = points(lambda: rollback(node.root))
    for at in numbers:
        node.forget()
        node.apply()
        with (
            counted(at, refuse(number), lasting),
            pytest.raises(WholecardError, match=os.strerror(number)) as caught,
        ):
            rollback(node.root)
        assert caught.value.resolution, at
        # Where only making the last record last was refused, all is undone.
        if stands_somewhere(node) != "clean":
            rollback(node.root)
        assert node.seen() == before, at
    assert len(numbers) == ROLLBACK_POINTS or not node.distinct


def test_documented() -> None:
    """The explanation says how many points are tried, as they are."""
    page = (Path(__file__).parents[3] / "docs/explanation/transaction.md").read_text()
    said = f"Its `apply` has {APPLY_POINTS} points and its `rollback` {ROLLBACK_POINTS}."
    assert said in page


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Debian node in memory."""
    for place in fast_folder(tmp_path):
        fake_tools(place, monkeypatch)
        yield grow(place / "root", bare(APART))


def test_killed_real_plan(debian: Path) -> None:
    """The plan that is made for a Debian node is undone from each point at which it is killed."""

    def prepare() -> None:
        host = inspect(debian)
        wish = resolve(host, [], all_cards=True)
        apply(debian, host, wish, plan(host, wish))

    before = snapshot(debian)
    numbers = points(prepare)
    rollback(debian)
    for at in numbers:
        shutil.rmtree(debian / journal.HOME, ignore_errors=True)
        assert killed(prepare, at)
        if journal.newest(debian) is not None:
            rollback(debian)
        assert snapshot(debian) == before, at
    assert len(numbers) > 100
