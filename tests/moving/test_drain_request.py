"""`drain` and `undrain` against a small cloud: the list, moves, stop, going on, the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.moving_cloud import MovingCloud, moving_cloud
from support.openstack_api import Api
from wholecard.audit.record import Disagreement
from wholecard.audit.report import AuditReport
from wholecard.cloud.proving.record import ProveReport
from wholecard.core import Finding, Severity, UsageError
from wholecard.moving.drain_journal import DrainJournal
from wholecard.moving.drain_plan import DrainPlan, Fate, plan_drain
from wholecard.moving.drain_request import DrainReport, DrainRequest, drain, drain_status, stop
from wholecard.moving.drain_text import plan_text, report_text, status_text, undrain_text
from wholecard.moving.migrate_request import Tools
from wholecard.moving.planner import MoveOptions
from wholecard.moving.undrain_request import UndrainReport, UndrainRequest, undrain


@pytest.fixture
def drained(tmp_path: Path) -> DrainJournal:
    """An empty journal of a host's drain."""
    return DrainJournal(tmp_path / "drain")


def fates(plan: DrainPlan) -> dict[str, tuple[str, str | None]]:
    return {row.plan.server.name: (row.fate, row.to.host if row.to else None)
            for row in plan.rows}  # fmt: skip


def run(cloud: MovingCloud, journal: DrainJournal, tools: Tools, **fields: Any) -> DrainReport:
    """A drain of gpu-01, as the command does it."""
    conn = cloud.connection()
    request = DrainRequest("gpu-01", "firmware", **fields)
    ours = frozenset(row.server for row in journal.servers.entries() if not row.is_over)
    plan = plan_drain(conn, "gpu-01", request.options, live_only=request.live_only, ours=ours)
    return drain(conn, request, plan, journal, tools)


def test_the_list(api: Api) -> None:
    """Each server has its fate; the last free card is promised to one of them alone."""
    cloud = moving_cloud(api, {"gpu-01": 8, "gpu-02": 2})
    cloud.add("big", "gpu-01", 2)
    cloud.add("locked", "gpu-01", locked=True)
    cloud.add("none", "gpu-01", 0)
    cloud.add("off", "gpu-01", vm_state="stopped")
    live = cloud.add("live", "gpu-01")
    cloud.traits[cloud.held(live.id)[0]] = ["HW_PCI_LIVE_MIGRATABLE"]
    cloud.add("taken", "gpu-02")
    options = MoveOptions(migratable={"h100": True})
    plan = plan_drain(cloud.connection(), "gpu-01", options)
    found = fates(plan)
    assert found["big"] == (Fate.STAYS, None)
    assert found["locked"] == (Fate.STAYS, None)
    assert found["none"][0] is Fate.LIVE
    # One card is free on gpu-02, and two servers could have it.
    assert sorted(str(found[name][1]) for name in ("off", "live")) == ["None", "gpu-02"]
    assert [finding.rule for finding in plan.findings] == ["WC590"] * 3
    whys = {row.plan.server.name: row.why for row in plan.rows}
    assert "1 of 2" in whys["big"]
    assert sum("take the last room" in why for why in whys.values()) == 1


def test_two_of_a_group(cloud: MovingCloud) -> None:
    """Two servers of an anti-affinity group are not sent to one host."""
    one, two = (cloud.add(name, "gpu-01", groups=["g"]) for name in ("one", "two"))
    cloud.groups = [{"id": "g", "name": "apart", "policy": "anti-affinity", "rules": {},
                     "members": [one.id, two.id]}]  # fmt: skip
    found = fates(plan_drain(cloud.connection(), "gpu-01", MoveOptions()))
    assert sorted(str(at) for _, at in found.values()) == ["None", "gpu-02"]


def test_live_only(cloud: MovingCloud) -> None:
    """With --live-only no server is stopped, and nothing is said of what a stop may leave."""
    cloud.add("train", "gpu-01")
    with_stop = plan_drain(cloud.connection(), "gpu-01", MoveOptions())
    assert "WC524" in " ".join(with_stop.notes)
    plan = plan_drain(cloud.connection(), "gpu-01", MoveOptions(), live_only=True)
    assert fates(plan) == {"train": (Fate.STAYS, None)}
    assert "it would be stopped" in plan.rows[0].why
    assert plan.notes == ()


@pytest.mark.parametrize("jobs", [1, 2])
def test_drained(cloud: MovingCloud, drained: DrainJournal, tools: Tools, jobs: int) -> None:
    """The service is disabled with the reason, all servers move, and the texts say so."""
    cloud.add("a", "gpu-01")
    cloud.add("b", "gpu-01")
    report = run(cloud, drained, tools, jobs=jobs)
    assert (report.left, report.stopped, report.findings) == ((), False, ())
    assert cloud.services["gpu-01"]["status"] == "disabled"
    assert cloud.services["gpu-01"]["disabled_reason"] == "firmware"
    assert sorted(cloud.moves) == ["a confirmResize", "a migrate", "b confirmResize", "b migrate"]
    assert "gpu-01 is empty" in report_text(report)
    assert "8 min" in plan_text(report.plan)
    status = drain_status(cloud.connection(), "gpu-01", drained)
    assert status.disabled_by_us
    assert [move.ended for move in status.moves] == ["confirmed", "confirmed"]
    assert "Drained: firmware" in status_text(status)


def test_one_fails(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """A server that does not move does not keep the others."""
    cloud.add("a", "gpu-01")
    cloud.add("b", "gpu-01")
    first = next(iter(cloud.servers.values()))
    cloud.api.answers[f"POST /compute/v2.1/servers/{first.id}/action"] = (
        409, {"conflictingRequest": {"message": "Instance is busy", "code": 409}},
    )  # fmt: skip
    report = run(cloud, drained, tools)
    assert report.left == ("a",)
    assert [finding.rule for finding in report.failed] == ["WC592"]
    assert "Instance is busy" in report.failed[0].message
    assert cloud.moves == ["b migrate", "b confirmResize"]


@pytest.mark.parametrize("looks", [3, 9])
def test_goes_on(cloud: MovingCloud, drained: DrainJournal, tools: Tools, looks: int) -> None:
    """A drain that was killed anywhere goes on: every server moves once."""
    cloud.add("a", "gpu-01")
    cloud.add("b", "gpu-01")
    seen = iter(range(looks))

    class Killed(BaseException):
        pass

    class Watcher(type(tools.watcher)):  # type: ignore[misc]
        def server(self, name: str, state: str, seconds: float) -> None:
            if next(seen, None) is None:
                raise Killed

    with pytest.raises(Killed):
        run(cloud, drained, replace(tools, watcher=Watcher()))
    assert cloud.services["gpu-01"]["status"] == "disabled"
    report = run(cloud, drained, tools)
    assert report.left == ()
    assert sorted(cloud.moves) == ["a confirmResize", "a migrate", "b confirmResize", "b migrate"]


def test_stopped(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """--stop ends a running drain after the server that moves now, and enables the service."""
    cloud.add("a", "gpu-01")
    cloud.add("b", "gpu-01")
    said: list[str] = []

    class Watcher(type(tools.watcher)):  # type: ignore[misc]
        def done(self, name: str, ended: str, seconds: float) -> None:
            said.extend(stop(cloud.connection(), "gpu-01", drained))

    report = run(cloud, drained, replace(tools, watcher=Watcher()))
    assert (report.stopped, report.left) == (True, ("b",))
    assert "still runs" in said[0]
    assert "Stopped" in report_text(report)
    lines = stop(cloud.connection(), "gpu-01", drained)
    assert lines[0] == "The drain of gpu-01 has ended. Its service is enabled."
    assert cloud.services["gpu-01"]["status"] == "enabled"


def test_a_host_of_others(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """A service that was disabled before stays so at --stop; an unknown host is refused."""
    cloud.services["gpu-01"] |= {"status": "disabled", "disabled_reason": "theirs"}
    run(cloud, drained, tools)
    stop(cloud.connection(), "gpu-01", drained)
    assert cloud.services["gpu-01"]["disabled_reason"] == "theirs"
    with pytest.raises(UsageError, match="no nova-compute on gpu-09"):
        drain_status(cloud.connection(), "gpu-09", drained)


def proof(*findings: Finding) -> ProveReport:
    return ProveReport("test", "gpu", "debian", "r", (), (), 1.0, findings=findings)


NOT_PROVED = Finding("WC401", "s", Severity.ERROR, "no card")


def test_stop_without_a_drain(cloud: MovingCloud, drained: DrainJournal) -> None:
    """A host that was not drained from here is not said to have been; nothing is enabled."""
    (line,) = stop(cloud.connection(), "gpu-02", drained)
    assert line == "wholecard did not drain gpu-02 from this machine: nothing was stopped."
    assert not [asked for asked in cloud.api.asked if asked.startswith("PUT")]


def test_back(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """After a proof the host is enabled, and its servers come back where that is asked for."""
    cloud.add("a", "gpu-01")
    run(cloud, drained, tools)
    asked: list[tuple[str, str]] = []

    def prove(host: str) -> ProveReport:
        asked.append((host, cloud.services[host]["status"]))
        return proof()

    request = UndrainRequest("gpu-01", back=True)
    report = undrain(cloud.connection(), request, drained, tools, prove)
    assert asked == [("gpu-01", "enabled")]
    assert (report.enabled, report.findings) == (True, ())
    assert [each.server and each.server.host for each in report.back] == ["gpu-01"]
    assert "gpu-01 is enabled" in undrain_text(report)
    assert cloud.services["gpu-01"]["status"] == "enabled"


def given_back(
    cloud: MovingCloud, drained: DrainJournal, tools: Tools, *found: Disagreement,
    proved: ProveReport | None = None,
) -> UndrainReport:  # fmt: skip
    run(cloud, drained, tools)
    audited = replace(tools, audit=lambda _: AuditReport(1, 2, found))
    prove = (lambda _: proved) if proved else None
    return undrain(cloud.connection(), UndrainRequest("gpu-01"), drained, audited, prove)


def test_not_given_back(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """WC594: an error of the audit leaves the host disabled; a failed proof disables it again."""
    bad = Disagreement("WC511", "gpu-01", "0000:41:00.0", "a deleted server holds it")
    report = given_back(cloud, drained, tools, bad)
    assert [finding.rule for finding in report.findings] == ["WC594", "WC511"]
    assert cloud.services["gpu-01"]["status"] == "disabled"
    report = given_back(cloud, drained, tools, proved=proof(NOT_PROVED))
    assert [finding.rule for finding in report.findings] == ["WC594", "WC401"]
    assert cloud.services["gpu-01"]["status"] == "disabled"
    assert "proof" in cloud.services["gpu-01"]["disabled_reason"]
    report = given_back(cloud, drained, tools, proved=proof())
    assert (report.enabled, report.findings) == (True, ())


def test_down(cloud: MovingCloud, drained: DrainJournal, tools: Tools) -> None:
    """A host whose nova-compute is down is not given back."""
    cloud.services["gpu-01"]["state"] = "down"
    with pytest.raises(UsageError, match="is down"):
        undrain(cloud.connection(), UndrainRequest("gpu-01"), drained, tools)
