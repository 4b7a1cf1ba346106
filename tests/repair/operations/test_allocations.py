"""What consumers hold is changed with their generations, and given back."""

from __future__ import annotations

from typing import Any

import pytest

from support.repair_bench import (
    ADDRESS,
    CARD1,
    CARD2,
    CLASS,
    MIGRATION,
    ROOT1,
    ROOT2,
    A,
    B,
    Bench,
    holding,
)
from support.repair_cloud import CONCURRENT, Answer
from wholecard.audit.record import Domain
from wholecard.cloud.client.errors import CloudError
from wholecard.core import WholecardError
from wholecard.repair.operations.allocations import (
    AllocationChange,
    AllocationGuard,
    ConsumerChange,
    Holding,
)
from wholecard.repair.operations.guards import GuardError

CARD_1 = Holding(CARD1, "gpu-01_0000:41:00.0", CLASS, 1)
CARD_2 = Holding(CARD2, "gpu-02_0000:41:00.0", CLASS, 1)
CPU_1 = Holding(ROOT1, "gpu-01", "VCPU", 1)
GUARD = AllocationGuard("gpu-01", (ADDRESS,))


def one(consumer: str, *guards: AllocationGuard, **fields: Any) -> AllocationChange:
    values = {"generation": 1, "project": "P", "user": "U", "type": "INSTANCE", **fields}
    return AllocationChange((ConsumerChange(consumer, **values),), guards)


WHOLE = one(A, GUARD, removed=(CARD_1, CPU_1), is_emptied=True)


@pytest.mark.parametrize("kind", ["INSTANCE", "MIGRATION", None])
def test_a_whole_consumer(bench: Bench, kind: str | None) -> None:
    """A consumer loses all and is forgotten; rollback gives it back with project, user and type."""
    bench.change(consumers={A: holding(ROOT1, CARD1, type=kind, project="P7", user="U7")})
    before = bench.seen()
    owned = {"project": "P7", "user": "U7", "type": kind or ""}
    bench.apply(one(A, GUARD, removed=(CARD_1, CPU_1), is_emptied=True, **owned))
    assert bench.cloud.state["consumers"] == {}
    assert bench.rollback().notes == ()
    assert bench.seen() == before


def test_some_providers(bench: Bench) -> None:
    """A server loses one host's part and keeps the other's; rollback adds it to what it has."""
    bench.change(consumers={A: holding(ROOT1, CARD1, ROOT2, CARD2)})
    before = bench.seen()
    bench.apply(one(A, GUARD, removed=(CARD_1, CPU_1)))
    assert bench.cloud.state["consumers"][A]["held"] == {ROOT2: {"VCPU": 1}, CARD2: {CLASS: 1}}
    state = bench.cloud.state
    state["consumers"][A]["held"][ROOT2]["VCPU"] = 4
    state["consumers"][A]["generation"] = 9
    bench.cloud.write(state)
    bench.rollback()
    held = bench.cloud.state["consumers"][A]["held"]
    assert held == {**before[1]["consumers"][A]["held"], ROOT2: {"VCPU": 4}}


def test_moved_to_a_server(bench: Bench) -> None:
    """What a migration holds goes to the server in one request, and back."""
    bench.change(consumers={MIGRATION: holding(ROOT1, CARD1, type="MIGRATION")})
    before = bench.seen()
    bench.apply(AllocationChange((
        ConsumerChange(MIGRATION, 1, "P", "U", "MIGRATION", (CARD_1, CPU_1), (), True),
        ConsumerChange(A, None, "P", "U", "INSTANCE", (), (CARD_1, CPU_1)),
    )))  # fmt: skip
    assert bench.cloud.state["consumers"] == {A: holding(ROOT1, CARD1)}
    assert [row for row in bench.cloud.asked if "POST /placement" in row] == [
        "POST /placement/allocations"
    ]
    assert bench.rollback().notes == ()
    assert bench.seen() == before


@pytest.mark.parametrize(
    "now",
    [
        {},
        {A: holding(ROOT1, CARD1, generation=2)},
        {A: holding(ROOT1)},
    ],
)
def test_changed_since_the_audit(bench: Bench, now: dict[str, Any]) -> None:
    """A consumer that was written or deleted since is not touched."""
    bench.change(consumers=now)
    if now:
        with pytest.raises(WholecardError, match="was changed since"):
            bench.apply(WHOLE)
    assert bench.cloud.state["consumers"] == now


def test_a_conflict_is_read_and_guarded_again(bench: Bench) -> None:
    """A 409 because of the provider is tried again; one because of the consumer is refused."""
    bench.change(consumers={A: holding(ROOT1, CARD1)})
    answers: list[Answer] = [(409, {"errors": [{"code": CONCURRENT, "detail": "update"}]})]

    def conflict(when: str, method: str, path: str) -> Answer | None:
        if when == "before" and method == "POST" and answers:
            return answers.pop()
        return None

    bench.cloud.fault = conflict
    reads = bench.hosts.reads
    bench.apply(WHOLE)
    # Once for all before anything is begun, and once for each try.
    assert bench.hosts.reads - reads == 3

    bench.rollback()
    bench.change(consumers={A: holding(ROOT1, CARD1)})

    def rewritten(when: str, method: str, path: str) -> Answer | None:
        if when == "before" and method == "POST":
            bench.change(consumers={A: holding(ROOT1, CARD1, generation=5)})
        return None

    bench.cloud.fault = rewritten
    with pytest.raises(GuardError, match="was changed since the audit"):
        bench.apply(WHOLE)
    assert bench.cloud.state["consumers"][A]["held"] == {ROOT1: {"VCPU": 1}, CARD1: {CLASS: 1}}


def test_placement_fails_in_the_middle(bench: Bench) -> None:
    """A 503 leaves the journal unfinished; the next run finishes it."""
    bench.change(consumers={A: holding(ROOT1, CARD1)})
    bench.cloud.fault = lambda when, method, path: (503, {}) if method == "POST" else None
    with pytest.raises(CloudError, match="the service failed"):
        bench.apply(WHOLE)
    assert bench.status == "applying"
    bench.cloud.fault = lambda when, method, path: None
    outcome = bench.finish()
    assert outcome is not None
    assert (bench.status, bench.cloud.state["consumers"]) == ("applied", {})


def test_the_card_is_anothers_by_now(bench: Bench) -> None:
    """Rollback cannot take a card back that another server has by now; a note says it."""
    bench.change(consumers={A: holding(ROOT1, CARD1)})
    bench.apply(WHOLE)
    bench.change(consumers={B: holding(CARD1)})
    (note,) = bench.rollback().notes
    assert "is not undone" in note
    assert "exhausted" in note
    assert set(bench.cloud.state["consumers"]) == {B}


@pytest.mark.parametrize(
    ("guard", "domains", "servers", "said"),
    [
        (GUARD, [Domain(B, "b", "running", (ADDRESS.upper(),))], {}, "the domain b on gpu-01 has"),
        (AllocationGuard("gpu-01", (), A), [Domain(A, "a", "running")], {}, "has a domain on"),
        (AllocationGuard("gpu-01", (ADDRESS,), A, "unknown"), [], {A: {}}, "nova has a server"),
        (AllocationGuard("gpu-01", (), A, "elsewhere"), [], {}, "is nowhere"),
        (AllocationGuard("gpu-01", (), A, "elsewhere"), [], {A: {"x": 1}}, "is nowhere"),
        (AllocationGuard("gpu-01", (), A, "elsewhere"), [],
         {A: {"OS-EXT-SRV-ATTR:hypervisor_hostname": "gpu-01"}}, "is on gpu-01"),
        (AllocationGuard("gpu-01", (), A, "elsewhere"), [],
         {A: {"OS-EXT-SRV-ATTR:hypervisor_hostname": "gpu-02",
              "OS-EXT-STS:task_state": "migrating"}}, "is nowhere"),
        (AllocationGuard("gpu-01", (ADDRESS,), A, "holder"), [], {}, "is not with the running"),
    ],
)  # fmt: skip
def test_guards(
    bench: Bench, guard: AllocationGuard, domains: list[Domain], servers: Any, said: str
) -> None:
    """Whatever a domain, a server or its host says against it keeps the allocation."""
    bench.change(consumers={A: holding(ROOT1, CARD1)}, servers=servers)
    bench.hosts.by_host["gpu-01"] = tuple(domains)
    before = bench.seen()
    with pytest.raises(GuardError, match=said):
        bench.apply(one(A, guard, removed=(CARD_1, CPU_1), is_emptied=True))
    assert (bench.seen(), bench.status) == (before, "clean")


def test_a_server_that_moved(bench: Bench) -> None:
    """A server that is on another host loses what it holds here."""
    bench.change(consumers={A: holding(ROOT1, CARD1, CARD2)},
                 servers={A: {"OS-EXT-SRV-ATTR:hypervisor_hostname": "gpu-02"}})  # fmt: skip
    guard = AllocationGuard("gpu-01", (), A, "elsewhere")
    bench.apply(one(A, guard, removed=(CARD_1, CPU_1)))
    assert bench.cloud.state["consumers"][A]["held"] == {CARD2: {CLASS: 1}}
