"""Two thousand generated hosts: nothing but our own errors, and what no plan may ever do."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fakes_on_path import fake_tools
from support.generated import MadeHost, base, made_hosts, tree_of
from support.nodes import APART, bare
from support.tree import grow, snapshot
from wholecard.core import Plan, WholecardError
from wholecard.host import config_files as paths
from wholecard.host.changing.apply import apply
from wholecard.host.changing.rollback import rollback
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, desired_cards, resolve
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.plan import plan

HOSTS = 2000
_NUMBER = itertools.count()
_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the hosts stand, with fakes of the boot tools on PATH; in memory, where that can be.

    Each host is some hundred files, and every change of it is made to last on the disk.
    """
    memory = Path("/dev/shm")
    fast = memory if os.access(memory, os.W_OK) else tmp_path_factory.getbasetemp()
    patch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory(dir=fast, prefix="hosts-") as place:
        fake_tools(Path(place), patch)
        yield Path(place)
        patch.undo()


def bound(made: Plan) -> set[str]:
    """The addresses that a plan binds: those in its table."""
    texts = [
        action.do.content
        for action in made.actions
        if isinstance(action.do, WriteFile) and action.do.path == paths.TABLE
    ]
    return {address for text in texts for address in _ADDRESS.findall(text)}


def desired_of(host: Host, data: st.DataObject) -> DesiredState | None:
    """All cards, or some of them; None where the host has none to select.

    One in four is a desired state as somebody wrote it, with any functions as companions.
    """
    slots = [card.slot for card in host.cards]
    chosen = data.draw(st.sets(st.sampled_from(slots))) if slots else set()
    if chosen and data.draw(st.integers(0, 3)) == 0:
        addresses = [str(function.address) for function in host.functions]
        companions = data.draw(st.lists(st.sampled_from(addresses), max_size=2, unique=True))
        return DesiredState(tuple(sorted(chosen)), companions=tuple(companions))
    try:
        return resolve(host, sorted(chosen), all_cards=not chosen)
    except WholecardError:
        return None


def hold(host: Host, made: MadeHost, desired: DesiredState, plan_: Plan) -> None:
    """What every plan that was not refused holds to."""
    taken = bound(plan_)
    assert taken, "a plan for a bare host binds its cards"
    assert not taken & made.bridges
    assert not taken & {made.disk, made.link} - {""}
    for card in desired_cards(host, desired):
        for group in host.groups_of(card):
            # What VFIO lets be now and at the next boot stays where it is.
            must = [each for each in group.endpoints if not each.stays_free_for_vfio]
            own = [each for each in group.endpoints if each in card.functions]
            assert {str(each.address) for each in (*must, *own)} <= taken


@settings(max_examples=HOSTS, suppress_health_check=list(HealthCheck), derandomize=True)
@given(made=made_hosts(), data=st.data())
def _every_host(folder: Path, counts: dict[str, int], made: MadeHost, data: st.DataObject) -> None:
    root = folder / f"host-{next(_NUMBER)}"
    try:
        grow(root, tree_of(made, base(bare(APART))))
        host = inspect(root)
        assert {str(each.address) for each in host.functions} == {
            each.address for each in made.functions
        }
        check(host, host.cards)
        counts["inspected"] += 1
        desired = desired_of(host, data)
        if desired is None:
            return
        counts["selected"] += 1
        try:
            planned = plan(host, desired)
        except WholecardError:
            counts["refused"] += 1
            return
        hold(host, made, desired, planned)
        counts["planned"] += 1
        before = snapshot(root)
        apply(root, host, desired, planned)
        assert plan(inspect(root), desired).actions == ()
        rollback(root)
        assert snapshot(root) == before
        counts["rolled back"] += 1
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.timeout(900)
def test_generated_hosts(folder: Path) -> None:
    """On 2,000 generated hosts inspect, check, plan, apply and rollback raise only our errors.

    No plan binds a bridge, the boot disk's controller or the only network link; every endpoint of
    a given group is bound or the plan is refused; and rollback gives back every byte.
    """
    counts = dict.fromkeys(("inspected", "selected", "refused", "planned", "rolled back"), 0)
    _every_host(folder, counts)
    print(counts)
    assert counts["inspected"] >= HOSTS
    assert counts["planned"] == counts["rolled back"] >= HOSTS // 20
    assert counts["refused"] >= HOSTS // 20
