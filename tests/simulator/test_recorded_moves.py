"""nova's own moves, seen after each commit: the audit says nothing of them but what nova leaves.

The states are in `golden/moves.json`, see `recorded_moves.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from simulator.recorded_moves import RecordedMove, StatePlacement, StateViews, recorded_moves
from support.audit_views import NOW
from wholecard.audit.compare import compare
from wholecard.repair.operations.allocations import AllocationChange
from wholecard.repair.planning import plan_repair
from wholecard.repair.remedies.case import RepairOptions

MOVES = {move.name: move for move in recorded_moves()}
# The old host stays away in these.
AWAY = {"evacuate": ("gpu-01",), "other host's periodic": ("gpu-01",)}
LATER = timedelta(minutes=5)
# What is wrong for ever after a move, by nova 34.0.0 itself: rule, host, address.
LEFT = {
    # The claim on the destination takes nova's first free card, and not the one that the scheduler
    # allocated: nova/compute/resource_tracker.py, _move_claim makes the requests anew from the
    # flavor, without the providers of the allocation. The next update adds its card to the
    # server's allocation and takes the other one off it never.
    # The server waits for confirm or revert, for days perhaps: it is said there already.
    "migrate": {("WC524", "gpu-02", "0000:81:02.0")},
    "migrate again": {("WC524", "gpu-02", "0000:81:02.0")},
    "periodic in VERIFY_RESIZE": {("WC524", "gpu-02", "0000:81:02.0")},
    "confirm": {("WC524", "gpu-02", "0000:81:02.0")},
    "evacuate": {
        ("WC515", "gpu-01", "0000:81:00.0"), ("WC515", "gpu-01", "0000:81:01.0"),
        ("WC522", "gpu-01", "0000:81:00.0"), ("WC524", "gpu-02", "0000:81:02.0"),
    },
    "old host back": {("WC524", "gpu-02", "0000:81:02.0")},
    "periodic": {("WC524", "gpu-02", "0000:81:02.0")},
    # nova never sets `reserved` back.
    "delete one time": {("WC532", "gpu-01", "0000:81:00.0")},
}  # fmt: skip
LEFT["other host's periodic"] = LEFT["evacuate"]
# Until nova-compute's next run: a first look calls it pending.
UNTIL_NEXT_RUN = {
    "shelve": {("WC515", "gpu-01", "0000:81:00.0")},
    "delete held and unlisted": {("WC525", "gpu-01", "0000:81:00.0")},
}


def _found(
    state: Mapping[str, Any], age: timedelta, away: tuple[str, ...], second: bool
) -> set[tuple[str, str, str]]:
    views = StateViews(state, age, away).views()
    return {
        (row.rule, row.host, row.address)
        for host in compare(views, second_look=second) for row in host.disagreements
        if not row.pending
    }  # fmt: skip


@pytest.mark.parametrize("move", MOVES.values(), ids=list(MOVES))
def test_nothing_is_broken_in_the_middle(move: RecordedMove) -> None:
    """After whichever of nova's commits the audit looks, a first look calls nothing broken."""
    known = LEFT.get(move.name, set())
    for number, state in enumerate(move.states):
        found = _found(state, timedelta(0), AWAY.get(move.name, ()), second=False)
        assert found <= known, f"state {number} of {move.name}"


@pytest.mark.parametrize("name", UNTIL_NEXT_RUN)
def test_until_the_next_run(name: str) -> None:
    """What goes with nova-compute's next run is pending also a little more than a period later: a
    run takes time, and begins up to 5 % late."""
    for age in (timedelta(0), timedelta(seconds=75)):
        assert _found(MOVES[name].last, age, (), second=False) == set()


@pytest.mark.parametrize("name", ["migrate", "confirm"])
def test_what_a_move_leaves_is_repaired(name: str) -> None:
    """The plan takes the third card, and nothing else, out of the allocation of a server with two:
    in VERIFY_RESIZE and after confirm."""
    state = StateViews(MOVES[name].last, LATER)
    (host,) = (host for host in compare(state.views()) if host.disagreements)
    assert "nova itself leaves this: at its migration" in host.disagreements[0].message
    plan = plan_repair(host.disagreements, StatePlacement(state), RepairOptions(), NOW)
    assert not plan.steps
    (action,) = plan.plan.actions
    assert isinstance(action.do, AllocationChange)
    (change,) = action.do.changes
    assert [(row.name, row.used) for row in change.removed] == [("gpu-02_0000:81:02.0", 1)]
    assert (change.consumer, change.added, change.is_emptied) == ("server-1", (), False)


@pytest.mark.parametrize("move", MOVES.values(), ids=list(MOVES))
def test_what_a_move_leaves(move: RecordedMove) -> None:
    """Minutes after a move its leak is found, and nothing else."""
    found = _found(move.last, LATER, AWAY.get(move.name, ()), second=True)
    assert found == LEFT.get(move.name, UNTIL_NEXT_RUN.get(move.name, set()))


def test_devices_are_read_at_start() -> None:
    """nova-compute sees a removed device or a new device_spec at its start, not at a periodic run.

    nova/compute/resource_tracker.py, _setup_pci_tracker.
    """
    for name in ("periodic after device_spec changed", "periodic after devices left"):
        assert len(MOVES[name].states) == 1, name
    for name in ("restart with device_spec", "restart after devices left"):
        assert len(MOVES[name].last["rows"]) < len(MOVES[name].states[0]["rows"]), name


def test_a_build_is_never_seen_claimed() -> None:
    """A row goes from available to allocated in one commit: `claimed` is a live migration's."""
    seen = {row[2] for move in MOVES.values() for state in move.states for row in state["rows"]}
    assert seen == {"available", "allocated"}


def test_one_time_card_cannot_leave_for_another_card_than_allocated() -> None:
    """A cold migration of a one-time-use card fails where nova takes another card than Placement.

    Its claim sets `reserved` before the allocation is corrected, and Placement refuses that.
    """
    move = MOVES["migrate one time"]
    assert "ReshapeFailed" in move.error
    assert [row[1] for row in move.last["servers"]] == ["error"]
