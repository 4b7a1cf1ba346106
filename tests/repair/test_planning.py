"""Which remedy each rule gets, and what two findings of the same thing become."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from support.repair_bench import (
    ADDRESS,
    CARD1,
    CARD2,
    CLASS,
    MIGRATION,
    NOW,
    ROOT1,
    ROOT2,
    A,
    B,
    Bench,
    found,
    holding,
    row_facts,
)
from support.repair_cloud import provider
from wholecard.audit.record import Disagreement
from wholecard.core.rules import RULES
from wholecard.repair.operations.allocations import AllocationChange, AllocationGuard
from wholecard.repair.placement_reader import PlacementReader
from wholecard.repair.planning import RepairFilter, plan_repair
from wholecard.repair.record import Refusal, RepairPlan
from wholecard.repair.remedies.case import RepairOptions
from wholecard.repair.remedies.registry import REPAIRS, repair_section

ALL = RepairFilter()
NONE = RepairOptions()
BEYOND = RepairOptions(beyond_restart=True)
RESTART = RepairOptions(restart_compute=True)
CARD = {"provider": CARD1, "resource_class": CLASS, "total": "1", "reserved": "0", "used": "0"}


def planned(
    bench: Bench,
    *rows: Disagreement,
    options: RepairOptions = NONE,
    only: RepairFilter = ALL,
) -> RepairPlan:
    return plan_repair(rows, PlacementReader(bench.conn), options, NOW, only)


def kinds(plan: RepairPlan) -> list[str]:
    return [action.kind for action in plan.plan.actions]


def test_every_rule_of_the_audit() -> None:
    """Each rule of what disagrees has a remedy for every case, and its page says why it is safe."""
    codes = {code for code in RULES if "WC510" <= code <= "WC542"}
    assert REPAIRS.keys() == codes
    for code in codes:
        section = repair_section(code)
        assert section.startswith("## Repair\n\n")
        assert "\n\nWhy it is safe: " in section
    assert repair_section("WC501") == ""


def test_no_case_without_an_answer(bench: Bench) -> None:
    """With no fact but the service each rule is answered: by a step, or by a restart."""
    services = ("", "up", "down", "forced down", "disabled")
    for rule, service, options in product(REPAIRS, services, (NONE, BEYOND, RESTART)):
        plan = planned(bench, found(rule, service=service), options=options)
        assert len(plan.steps) + len(plan.plan.actions) == 1, (rule, service)
        assert set(kinds(plan)) <= {"restart-nova-compute"}


ROW = "change-database-row"
ERROR = {"migration_status": "error"}


@pytest.mark.parametrize(
    ("rule", "facts", "options", "expected"),
    [
        ("WC511", row_facts(1, "allocated", A), NONE, ROW),
        ("WC511", row_facts(1, "allocated", A, "forced down"), NONE, ROW),
        ("WC511", row_facts(1, "allocated", A, "up"), NONE, "Restart nova-compute on gpu-01, or"),
        ("WC511", row_facts(1, "allocated", A, "up"), RESTART, "restart-nova-compute"),
        ("WC515", row_facts(1, "allocated", A) | {"domain": A}, NONE, "Look at gpu-01"),
        ("WC515", row_facts(1, "allocated", A) | {"pending": "a move"}, NONE, "Wait, and audit"),
        ("WC515", row_facts(1, "allocated", A, "up"), NONE, "Restart nova-compute on gpu-01, or"),
        # nova-compute keeps what a move in error has claimed, also over a restart.
        ("WC515", row_facts(1, "allocated", A, "up") | ERROR, NONE, ROW),
        ("WC515", row_facts(1, "allocated", A) | ERROR | {"domain": A}, NONE, "Look at gpu-01"),
        ("WC511", row_facts(1, "allocated", A, "up") | ERROR, NONE, "Restart nova-compute on gpu"),
        ("WC510", row_facts(1, "available", ""), NONE, ROW),
        ("WC510", row_facts(1, "allocated", A), NONE, f"Migrate or delete server {A}"),
        ("WC513", row_facts(1, "available", "") | {"domain": A}, NONE, ROW),
        ("WC513", row_facts(1, "available", "") | {"domain": f"{A},{B}"}, NONE, "Migrate server"),
        ("WC513", row_facts(1, "allocated", B) | {"domain": A}, NONE, "Migrate server"),
        ("WC513", row_facts(1, "allocated", B) | {"domain": A, "request_id": "r"}, NONE, ROW),
        ("WC513", {"domain": A}, NONE, "Migrate server"),
        ("WC516", row_facts(1, "removed", ""), NONE, ROW),
        ("WC516", row_facts(1, "available", A), NONE, ROW),
        ("WC520", CARD | {"consumer": A}, NONE, "change-allocations"),
        ("WC520", CARD | {"consumer": A, "domain": B}, NONE, "Look at gpu-01"),
        ("WC520", CARD | {"consumer": B}, NONE, "Look at gpu-01"),
        ("WC522", CARD | {"consumer": A}, NONE, "See what server"),
        ("WC523", row_facts(1, "allocated", B), NONE, "Run on a controller"),
        ("WC523", row_facts(1, "allocated", A, "up"), NONE, "Restart nova-compute"),
        ("WC524", CARD | {"consumer": A}, NONE, "change-allocations"),
        # A PF's provider counts several VFs.
        ("WC524", CARD | {"consumer": A, "total": "4"}, NONE, "Look at gpu-01"),
        ("WC525", CARD | {"service": "down"}, NONE, "delete-provider"),
        ("WC525", CARD | {"service": "down", "used": "1"}, NONE, "Repair first"),
        ("WC526", CARD | {"service": "up"}, NONE, "Restart nova-compute"),
        ("WC527", {"service": "down"}, NONE, "Start nova-compute on gpu-01"),
        ("WC528", CARD, NONE, "set-provider-parent"),
        ("WC529", {"service": "up"}, BEYOND, "See nova-compute's log on gpu-01"),
        ("WC532", CARD | {"reserved": "1"}, NONE, "set-reserved"),
        ("WC532", CARD | {"provider": CARD2, "reserved": "1"}, NONE, "Clean the card"),
        ("WC532", CARD | {"reserved": "1", "used": "1"}, NONE, "Look at gpu-01"),
    ],
)  # fmt: skip
def test_remedies(
    bench: Bench, rule: str, facts: dict[str, str], options: RepairOptions, expected: str
) -> None:
    """Each case gets the least invasive remedy that reaches it."""
    bench.change(
        consumers={A: holding(CARD1)},
        providers={CARD2: provider("gpu-02_0000:41:00.0", ROOT2, traits=["HW_PCI_ONE_TIME_USE"])},
    )
    server = B if rule == "WC523" and facts["row_instance"] == B else A
    plan = planned(bench, found(rule, server=server, **facts), options=options)
    answers = kinds(plan) + [step.text for step in plan.steps]
    assert answers[0].startswith(expected), answers


def test_one_consumer_is_one_action(bench: Bench) -> None:
    """Findings of the same server become one change, which does what all of them would."""
    bench.change(consumers={A: holding(ROOT1, CARD1, ROOT2, CARD2)})
    rows = (
        found("WC522", "gpu-02", provider=CARD2, consumer=A),
        found("WC524", "gpu-01", provider=CARD1, consumer=A, total="1"),
    )
    for order in (rows, rows[::-1]):
        (action,) = planned(bench, *order).plan.actions
        assert isinstance(action.do, AllocationChange)
        (change,) = action.do.changes
        assert {row.provider for row in change.removed} == {CARD1, ROOT2, CARD2}
        assert not change.is_emptied
        assert len(action.do.guards) == 2
    assert action.reason.startswith("WC522: ")
    assert "; WC524: " in action.reason


def test_one_row_is_one_action(bench: Bench) -> None:
    """Two findings of the same row with the same repair are one action with both reasons."""
    facts = row_facts(1, "claimed", A)
    plan = planned(bench, found("WC519", **facts), found("WC515", **facts))
    (action,) = plan.plan.actions
    assert ("WC515" in action.reason, "WC519" in action.reason) == (True, True)
    assert plan.rules == ("WC515", "WC519")


def test_one_restart_for_a_host(bench: Bench) -> None:
    """A host is restarted once, and a step is said once, whatever many findings ask for it."""
    rows = [found("WC527", address=f"0000:4{n}:00.0", service="up") for n in range(3)]
    assert kinds(planned(bench, *rows, options=RESTART)) == ["restart-nova-compute"]
    (step,) = planned(bench, *rows).steps
    assert step.subject.count("gpu-01") == 3


def _given_away(bench: Bench, domain: str = A) -> Disagreement:
    """Placement counts A's card for B: nova-compute of gpu-01 fails at its start."""
    bench.change(consumers={A: holding(ROOT1), B: holding(ROOT1, CARD1)})
    facts = row_facts(1, "allocated", A) | CARD | {"consumer": B, "domain": domain, "used": "1"}
    return found("WC514", server=A, start_fails="yes", **facts)


@pytest.mark.parametrize("options", [NONE, RESTART, BEYOND])
def test_no_restart_before(bench: Bench, options: RepairOptions) -> None:
    """nova-compute is not restarted where it would not start again, and no row changed that needs
    that: what keeps it is said first."""
    other = found("WC510", address="0000:42:00.0", **row_facts(2, "available", "", "up"))
    rows = (_given_away(bench), other)
    only = RepairFilter(rules=frozenset({"WC510"}))
    plan = planned(bench, *rows, options=options, only=only)
    assert kinds(plan) == []
    (step,) = plan.steps
    assert step.text.startswith(f"Repair WC514 of {ADDRESS} first: ")
    # Which of two domains keeps the card is a person's to say: then it is not repaired here.
    plan = planned(bench, _given_away(bench, f"{A},{B}"), other, options=options)
    assert kinds(plan) == []
    assert "Do not start nova-compute on gpu-01" in plan.steps[0].text
    # It has tried to start already.
    dead = found("WC529", address="0000:43:00.0", service="down")
    plan = planned(bench, rows[0], dead, options=options, only=RepairFilter(frozenset({"WC529"})))
    assert plan.steps[0].text.startswith(f"Repair WC514 of {ADDRESS} first: ")


def test_restart_after(bench: Bench) -> None:
    """Repaired in the same plan, it is before the restart; refused, nothing is restarted."""
    other = found("WC510", address="0000:42:00.0", **row_facts(2, "available", "", "up"))
    plan = planned(bench, _given_away(bench), other, options=RESTART)
    assert kinds(plan) == ["change-allocations", "restart-nova-compute"]
    allocations, _ = plan.plan.actions
    left = plan.without({allocations: Refusal("change-allocations", "the server has gone")})
    assert kinds(left) == []
    assert "would not start again" in left.refused[1].brief


def test_missing_and_reserved(bench: Bench) -> None:
    """An allocation that nova-compute cannot write: no restart helps, and it is looked at."""
    facts = row_facts(1, "allocated", A, "up") | CARD | {"reserved": "1", "start_fails": "yes"}
    bench.change(consumers={A: holding(ROOT1)})
    plan = planned(bench, found("WC523", server=A, **facts), options=RESTART)
    assert kinds(plan) == []
    assert plan.steps[0].text.startswith(f"Look what keeps gpu-01 {ADDRESS} in Placement")


def test_filters(bench: Bench) -> None:
    """Only the rules, hosts and servers that are named are repaired."""
    rows = (
        found("WC511", **row_facts(1, "allocated", A)),
        found("WC515", "gpu-02", B, **row_facts(2, "allocated", B)),
    )
    for only in (
        RepairFilter(rules=frozenset({"WC515"})),
        RepairFilter(hosts=frozenset({"gpu-02"})),
        RepairFilter(servers=frozenset({B})),
    ):
        assert planned(bench, *rows, only=only).rules == ("WC515",)


def test_resizes_that_are_decided(bench: Bench) -> None:
    """A resize is decided only where the operator names the server."""
    options = RepairOptions(confirm=frozenset({A}), revert=frozenset({B}))
    described = [action.do.describe() for action in planned(bench, options=options).plan.actions]
    assert described == [f"openstack server resize confirm {A}",
                         f"openstack server resize revert {B}"]  # fmt: skip


def test_a_migration_of_a_server_elsewhere(bench: Bench) -> None:
    """What a dead migration holds of a host that the server is not on is removed, not given."""
    bench.change(consumers={MIGRATION: holding(CARD1, type="MIGRATION")})
    facts: dict[str, Any] = {**CARD, "consumer": MIGRATION, "migration": MIGRATION}
    (removed,) = planned(bench, found("WC521", **facts)).plan.actions
    facts |= {"row_instance": A, "domain": A}
    (given,) = planned(bench, found("WC521", **facts)).plan.actions
    assert isinstance(removed.do, AllocationChange)
    assert isinstance(given.do, AllocationChange)
    assert [change.consumer for change in removed.do.changes] == [MIGRATION]
    assert [(change.consumer, change.type) for change in given.do.changes] == [
        (A, "INSTANCE"), (MIGRATION, "MIGRATION")
    ]  # fmt: skip
    assert given.do.guards[0].addresses == (ADDRESS,)


def test_a_migration_of_a_server_that_is_here(bench: Bench) -> None:
    """What has no row is given to the server that nova has on the host, and to no other."""
    bench.change(consumers={A: None, MIGRATION: holding(ROOT1, type="MIGRATION")})
    facts = {"provider": ROOT1, "consumer": MIGRATION, "migration": MIGRATION,
             "lacks_allocation": "yes"}  # fmt: skip
    (given,) = planned(bench, found("WC521", address="", **facts)).plan.actions
    assert isinstance(given.do, AllocationChange)
    assert [change.consumer for change in given.do.changes] == [A, MIGRATION]
    assert given.do.guards == (AllocationGuard("gpu-01", (), A, "home"),)
