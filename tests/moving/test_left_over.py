"""The card that nova leaves in a moved server's allocation, taken out by the repair room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from support.moving_cloud import CLASS, MovingCloud, moving_cloud
from support.openstack_api import Api
from wholecard.audit import fact_names
from wholecard.audit.record import Disagreement, Domain
from wholecard.audit.report import AuditReport
from wholecard.core import Plan, WholecardError
from wholecard.moving.drain_journal import DrainJournal
from wholecard.moving.drain_plan import plan_drain
from wholecard.moving.drain_request import DrainReport, DrainRequest, drain
from wholecard.moving.left_over import RULE, LeftOver
from wholecard.moving.migrate_request import MigrateRequest, Tools, migrate, plan_migrate
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import End, MoveReport
from wholecard.repair.changing.journal import RepairJournal
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.operations.operation import RepairContext
from wholecard.repair.planning import RepairFilter
from wholecard.repair.record import RepairPlan, RepairReport
from wholecard.repair.request import RepairRequest, apply, rollback


@dataclass
class Repairer:
    """The repair room on that cloud; `domains` are what its hosts say of libvirt.

    A server has the last cards that its allocation names, as `MovingCloud.other_card` gives them.
    """

    cloud: MovingCloud
    folder: Path
    blind: bool = False
    domains_of: dict[str, tuple[Domain, ...]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def domains(self, host: str) -> tuple[Domain, ...]:
        return self.domains_of.get(host, ())

    def restart_compute(self, host: str) -> str:
        raise WholecardError(f"{host} is not to be touched")

    def audit(self, host: str) -> AuditReport:
        found = [] if self.blind else list(self._found(host))
        return AuditReport(1, 2, tuple(found))

    def _found(self, host: str) -> Iterable[Disagreement]:
        for server in self.cloud.servers.values():
            held = [card for card in self.cloud.held(server.id) if card.startswith(host)]
            requested = int(server.specs["pci_passthrough:alias"].rpartition(":")[2])
            for card in held[:-requested]:
                facts = {fact_names.PROVIDER: card, fact_names.CONSUMER: server.id,
                         fact_names.RESOURCE_CLASS: CLASS, fact_names.TOTAL: "1"}  # fmt: skip
                address = card.rpartition("_")[2]
                yield Disagreement(RULE, host, address, "Placement counts it", server=server.id,
                                   facts=facts)  # fmt: skip

    def request(self, host: str, server: str) -> RepairRequest:
        context = RepairContext(self.cloud.connection(), CellDatabases(), self)
        only = RepairFilter(frozenset({RULE}), frozenset({host}), frozenset({server}))
        journal = RepairJournal(self.folder)
        return RepairRequest(context, lambda: self.audit(host), journal, only=only)

    def __call__(self, host: str, server: str) -> RepairReport:
        self.asked.append((host, server))
        return apply(self.request(host, server))


@pytest.fixture
def wide(api: Api) -> MovingCloud:
    """A host with two cards, and one with five, whose nova takes another card than allocated."""
    cloud = moving_cloud(api, {"gpu-01": 2, "gpu-02": 5})
    cloud.other_card = True
    return cloud


@pytest.fixture
def repairer(wide: MovingCloud, tmp_path: Path) -> Repairer:
    """A repair of that cloud, with an empty journal."""
    return Repairer(wide, tmp_path / "repair")


def moved(cloud: MovingCloud, tools: Tools, end: End = End.CONFIRM) -> MoveReport:
    request = MigrateRequest("train", MoveOptions(repaired=True), end, told=True)
    return migrate(cloud.connection(), request, plan_migrate(cloud.connection(), request), tools)


def drained(
    cloud: MovingCloud, tmp_path: Path, tools: Tools, options: MoveOptions, jobs: int = 1
) -> DrainReport:
    conn = cloud.connection()
    plan = plan_drain(conn, "gpu-01", options)
    request = DrainRequest("gpu-01", "firmware", options, jobs=jobs)
    return drain(conn, request, plan, DrainJournal(tmp_path / "drain"), tools)


def test_taken_out(wide: MovingCloud, repairer: Repairer, tools: Tools) -> None:
    """The card too many is out of the allocation, a note names the journal, and rollback undoes
    it."""
    server = wide.add("train", "gpu-01")
    report = moved(wide, replace(tools, left_over=LeftOver(repairer)))
    (finding,) = report.findings
    assert (finding.rule, finding.severity.value) == ("WC593", "note")
    assert "it was taken out (wholecard repair, journal 0001)" in finding.message
    assert report.is_good
    assert [card.provider for card in report.holdings.cards] == wide.held(server.id)
    assert wide.held(server.id) == wide.cards("gpu-02")[1:2]
    rollback(repairer.request("gpu-02", server.id))
    assert wide.held(server.id) == wide.cards("gpu-02")[:2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_between_two_moves(
    wide: MovingCloud, repairer: Repairer, tools: Tools, tmp_path: Path, jobs: int
) -> None:
    """A drain repairs each server that it moved on the host that it went to, and no other; the
    plan says so."""
    other = wide.add("other", "gpu-02")
    servers = [wide.add("a", "gpu-01"), wide.add("b", "gpu-01")]
    options = MoveOptions(repaired=True)
    tools = replace(tools, left_over=LeftOver(repairer))
    report = drained(wide, tmp_path, tools, options, jobs)
    assert sorted(repairer.asked) == [("gpu-02", server.id) for server in servers]
    assert [len(wide.held(server.id)) for server in (other, *servers)] == [1, 1, 1]
    assert (report.left, {each.severity.value for each in report.findings}) == ((), {"note"})
    assert "It is taken out after the move" in report.plan.notes[0]


def test_not_allowed(wide: MovingCloud, repairer: Repairer, tools: Tools, tmp_path: Path) -> None:
    """Without --repair nothing is taken out, and the plan says before what may be left."""
    server = wide.add("a", "gpu-01")
    report = drained(wide, tmp_path, tools, MoveOptions())
    assert (repairer.asked, len(wide.held(server.id))) == ([], 2)
    assert [each.severity.value for each in report.findings] == ["warning"]
    assert "--repair takes it out after each move" in report.plan.notes[0]


@pytest.mark.parametrize(
    ("other", "end", "ended"),
    [(False, End.CONFIRM, "confirmed"), (True, End.LEAVE, "verify"), (True, End.REVERT, "reverted")]
)  # fmt: skip
def test_nothing_to_take_out(
    wide: MovingCloud, repairer: Repairer, tools: Tools, other: bool, end: End, ended: str
) -> None:
    """Where nova left nothing, or the migration is not confirmed, nothing is repaired."""
    wide.add("train", "gpu-01")
    wide.other_card = other
    assert moved(wide, replace(tools, left_over=LeftOver(repairer)), end).ended == ended
    assert repairer.asked == []


def having(card: str) -> Domain:
    return Domain("d-1", "late", "running", (card.rpartition("_")[2],))


@pytest.mark.parametrize(
    ("blind", "held", "why"),
    [
        (True, False, "the audit does not show it (WC524)"),
        (False, True, "the domain late on gpu-02 has"),
    ],
)
def test_not_taken_out(
    wide: MovingCloud, repairer: Repairer, tools: Tools, blind: bool, held: bool, why: str
) -> None:
    """A card that the audit does not name, or that a domain has, stays; the warning says why."""
    server = wide.add("train", "gpu-01")
    repairer.blind = blind
    if held:
        repairer.domains_of["gpu-02"] = tuple(map(having, wide.cards("gpu-02")))
    report = moved(wide, replace(tools, left_over=LeftOver(repairer)))
    assert report.ended == "confirmed"
    (finding,) = report.findings
    assert finding.severity.value == "warning"
    assert f"It was not taken out: {why}" in finding.message
    assert len(wide.held(server.id)) == 2


def test_a_repair_that_fails(wide: MovingCloud, tools: Tools) -> None:
    """An audit that fails keeps no server from moving."""
    wide.add("train", "gpu-01")

    def repair(host: str, _: str) -> RepairReport:
        raise WholecardError(f"nova's database of {host} does not answer")

    report = moved(wide, replace(tools, left_over=LeftOver(repair)))
    assert report.ended == "confirmed"
    assert "It was not taken out: nova's database of gpu-02" in report.findings[0].message


def test_another_was_first(wide: MovingCloud, tools: Tools) -> None:
    """Where the card is out of the allocation without us, nothing is said to be ours."""
    server = wide.add("train", "gpu-01")

    def repair(_host: str, _server: str) -> RepairReport:
        del wide.allocations[server.id][wide.held(server.id)[0]]
        return RepairReport(RepairPlan(Plan(())))

    report = moved(wide, replace(tools, left_over=LeftOver(repair)))
    assert (report.findings, len(wide.held(server.id))) == ((), 1)
