"""What the audit's own comparison finds is repaired, audited again, and rolled back."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from support.repair_audit import FAULTS, GONE, Datacenter, spare
from support.repair_bench import ADDRESS, CARD1, MIGRATION, NOW, ROOT1, A, Bench, holding
from wholecard.audit.record import Domain, Migration
from wholecard.core import UsageError
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.remedies.case import RepairOptions
from wholecard.repair.request import apply, plan, rollback


@pytest.fixture
def datacenter(bench: Bench) -> Datacenter:
    """Two servers with a card each; the four views agree."""
    return Datacenter(bench)


def test_nothing_to_do(datacenter: Datacenter) -> None:
    """Where nothing disagrees nothing is planned, and apply leaves no journal."""
    assert datacenter.rules == []
    planned = plan(datacenter.request())
    assert (planned.plan.actions, planned.steps) == ((), ())
    report = datacenter.repair()
    assert (report.outcome.journals, report.remaining) == ((), None)


@pytest.mark.parametrize("rule", FAULTS)
def test_each_fault(datacenter: Datacenter, rule: str) -> None:
    """Each fault is found under its rule, repaired so that nothing disagrees, and restored."""
    FAULTS[rule](datacenter)
    broken = datacenter.bench.seen()
    seen = datacenter.rules
    # A claim is an owner too, whom Placement does not have.
    assert seen == ([rule, "WC523"] if rule == "WC519" else [rule])
    report = datacenter.repair()
    assert len(report.planned.plan.actions) == 1
    assert report.remaining is not None
    assert report.remaining.disagreements == ()
    assert rollback(datacenter.request()).notes == ()
    assert datacenter.bench.seen() == broken
    assert datacenter.rules == seen


def _without_times(seen: tuple[Any, ...]) -> tuple[Any, ...]:
    rows, state = seen
    return [row[3:] for row in rows], state


def _repaired(datacenter: Datacenter, *orders: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """What is left after the rules were repaired in each of these orders, then all that is left."""
    states = []
    datacenter.bench.save()
    for order in orders:
        datacenter.bench.restore()
        for rule in order:
            datacenter.repair(rule)
        for _ in range(2):
            if datacenter.rules:
                datacenter.repair()
        assert datacenter.rules == [], order
        states.append(_without_times(datacenter.bench.seen()))
    return states


# Pairs that touch the same row, consumer, provider or server, and one that does not.
PAIRS = [("WC511", "WC522"), ("WC513", "WC514"), ("WC520", "WC526"), ("WC521", "WC532"),
         ("WC522", "WC523"), ("WC519", "WC524")]  # fmt: skip


def either_order(datacenter: Datacenter, pair: tuple[str, str]) -> None:
    for rule in pair:
        FAULTS[rule](datacenter)
    first, second = _repaired(datacenter, pair, pair[::-1])
    assert first == second


@pytest.mark.parametrize("pair", PAIRS)
def test_either_order(datacenter: Datacenter, pair: tuple[str, str]) -> None:
    """Two faults are both found, and repaired in either order to the same state."""
    either_order(datacenter, pair)


@pytest.mark.long
@pytest.mark.parametrize("pair", combinations(FAULTS, 2))
def test_all_pairs(datacenter: Datacenter, pair: tuple[str, str]) -> None:
    """All pairs of faults are repaired in either order to the same state."""
    either_order(datacenter, pair)


def test_all_at_once(datacenter: Datacenter) -> None:
    """All faults together are repaired, and one rollback restores all of them."""
    for rule in FAULTS:
        FAULTS[rule](datacenter)
    broken = datacenter.bench.seen()
    report = datacenter.repair()
    while datacenter.rules:
        report = datacenter.repair()
        assert report.outcome.journals
    rollback(datacenter.request(), to=0)
    assert datacenter.bench.seen() == broken


def test_aborted_live_migration(datacenter: Datacenter) -> None:
    """Of nova 34's own leak the server gets what its dead migration holds on the host it is on."""
    bench = datacenter.bench
    datacenter.migrations.append(Migration(
        7, MIGRATION, "error", "live-migration", A, "gpu-01", "gpu-02", "gpu-01", "gpu-02"
    ))  # fmt: skip
    other = spare(2, 1)[1]
    bench.change(consumers={MIGRATION: holding(ROOT1, CARD1, type="MIGRATION"),
                            A: holding("20000000-0000-4000-8000-000000000000", other)})  # fmt: skip
    bench.sql("UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE id = 21", A)
    broken = bench.seen()
    assert datacenter.rules == ["WC515", "WC521", "WC522"]
    while datacenter.rules:
        assert datacenter.repair().outcome.journals
    assert bench.cloud.state["consumers"][A]["held"] == holding(ROOT1, CARD1)["held"]
    assert MIGRATION not in bench.cloud.state["consumers"]
    rollback(datacenter.request(), to=0)
    assert bench.seen() == broken


def test_a_guard_refuses_one(datacenter: Datacenter) -> None:
    """What a guard refuses is left out with its reason, and the rest is repaired."""
    FAULTS["WC511"](datacenter)
    FAULTS["WC521"](datacenter)
    # Libvirt gave it away after the audit had read the host.
    domain = Domain(GONE, "late", "paused", (spare(1, 1)[0],))
    by_host = datacenter.bench.hosts.by_host
    audited = datacenter.request()

    def appears() -> Any:
        report = datacenter.audit()
        by_host["gpu-01"] = (*by_host["gpu-01"], domain)
        return report

    report = apply(replace(audited, audit=appears))
    (refusal,) = report.planned.refused
    assert refusal.brief == "the domain late on gpu-01 has 0000:c1:00.0"
    assert [action.kind for action in report.planned.plan.actions] == ["change-allocations"]
    assert datacenter.bench.state_of(11)[0] == "allocated"


def test_a_server_deleted_meanwhile(datacenter: Datacenter) -> None:
    """A server that is deleted between plan and apply keeps its allocation from being changed."""
    FAULTS["WC524"](datacenter)

    def deleted() -> Any:
        report = datacenter.audit()
        state = datacenter.bench.cloud.state
        state["consumers"].pop(A, None)
        datacenter.bench.cloud.write(state)
        return report

    report = apply(replace(datacenter.request(), audit=deleted))
    assert report.planned.plan.actions == ()
    assert A not in datacenter.bench.cloud.state["consumers"]


def test_without_credentials(datacenter: Datacenter) -> None:
    """A plan needs no account that may write; apply of a row's change names the file and GRANTs."""
    FAULTS["WC515"](datacenter)
    request = datacenter.request()
    request = replace(request, context=replace(request.context, databases=CellDatabases()))
    assert len(plan(request).plan.actions) == 1
    with pytest.raises(UsageError, match="has no account for it") as caught:
        apply(request)
    assert "GRANT" in caught.value.details
    assert datacenter.bench.status == "clean"


def test_least_invasive_first(datacenter: Datacenter) -> None:
    """A running nova-compute is restarted first, by the operator or by repair when asked to."""
    FAULTS["WC515"](datacenter)
    datacenter.options = RepairOptions()
    planned = plan(datacenter.request())
    (step,) = planned.steps
    assert (planned.plan.actions, planned.exit_status) == ((), 1)
    assert step.text.startswith("Restart nova-compute on gpu-02")
    datacenter.options = RepairOptions(restart_compute=True)
    (action,) = plan(datacenter.request()).plan.actions
    assert (action.kind, action.subject) == ("restart-nova-compute", "gpu-02")
    datacenter.options = RepairOptions(restart_compute=True, beyond_restart=True)
    assert [action.kind for action in plan(datacenter.request()).plan.actions] == [
        "change-database-row", "restart-nova-compute"
    ]  # fmt: skip


def test_in_flight(datacenter: Datacenter) -> None:
    """What may pass by itself is waited for."""
    FAULTS["WC515"](datacenter)
    young = f"{NOW:%Y-%m-%d %H:%M:%S}.000000"
    datacenter.bench.sql("UPDATE pci_devices SET updated_at = ? WHERE id = 21", young)
    datacenter.wait = None
    planned = plan(datacenter.request())
    (step,) = planned.steps
    assert (planned.plan.actions, step.waits, planned.exit_status) == ((), True, 4)


def test_the_servers_own_card(datacenter: Datacenter) -> None:
    """The plan of a freed row names the guard's values and the way back."""
    FAULTS["WC513"](datacenter)
    assert ADDRESS in datacenter.plan_text()
    assert "status = 'allocated', instance_uuid = '" in datacenter.plan_text()
    assert "undo: the whole former row is written back" in datacenter.plan_text()
