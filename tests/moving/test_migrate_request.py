"""`migrate` against a small cloud: what it says before, does, proves, refuses and takes up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.moving_cloud import MovingCloud, MovingServer
from wholecard.audit.record import Disagreement, Domain
from wholecard.audit.report import AuditReport
from wholecard.cloud.client.errors import CloudError
from wholecard.core import RefusedError, UsageError
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import (
    MigrateRequest,
    Tools,
    migrate,
    new_entry,
    plan_migrate,
    unfinished,
)
from wholecard.moving.move_text import plan_text, report_text
from wholecard.moving.pauses import Pauses
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import End, Method, MoveReport

LIVE = "HW_PCI_LIVE_MIGRATABLE"


def moved(cloud: MovingCloud, tools: Tools, request: MigrateRequest) -> MoveReport:
    """The whole of it, as the command does it."""
    conn = cloud.connection()
    plan = unfinished(conn, request, tools.journal) or plan_migrate(conn, request)
    return migrate(conn, request, plan, tools)


def rules(report: MoveReport) -> list[str]:
    return [finding.rule for finding in report.all_findings]


def test_confirmed(cloud: MovingCloud, tools: Tools) -> None:
    """A server with two cards moves to the host with free ones, and is confirmed there."""
    server = cloud.add("train", "gpu-01", 2)
    report = moved(cloud, tools, MigrateRequest("train"))
    assert (report.ended, report.server and report.server.host) == ("confirmed", "gpu-02")
    assert cloud.held(server.id) == cloud.cards("gpu-02")
    assert cloud.held(f"m-{server.id}") == []
    assert cloud.moves == ["train migrate", "train confirmResize"]
    assert [phase.state for phase in report.phases] == [
        "REQUEST", "RESIZE/resize_prep", "RESIZE/resize_migrating", "RESIZE/resize_migrated",
        "RESIZE/resize_finish", "VERIFY_RESIZE", "ACTIVE",
    ]  # fmt: skip
    assert [(event.event, event.seconds) for event in report.events] == [
        ("compute_resize_instance", 90.0)
    ]
    assert rules(report) == []
    assert report.is_good
    entry = tools.journal.read(server.id)
    assert entry is not None
    assert (entry.state, entry.ended, entry.request_id) == ("done", "confirmed", "req-1")


def test_what_is_said_before(cloud: MovingCloud) -> None:
    """The plan says why it is not live, where it goes and how long shutdown and copy take."""
    cloud.add("train", "gpu-01", image={"id": "i", "properties": {"os_shutdown_timeout": "300"}})
    plan = plan_migrate(cloud.connection(), MigrateRequest("train"))
    assert plan.live.possible is False
    assert "does not explicitly request live-migratable devices" in plan.live.why
    assert (plan.method, plan.destination and plan.destination.host) == (Method.COLD, "gpu-02")
    assert (plan.estimate.shutdown, plan.estimate.copy_seconds) == (300, 409.6)
    assert [finding.rule for finding in plan.findings] == ["WC591"]
    assert cloud.moves == []


@pytest.mark.parametrize(("end", "ended", "host"), [
    (End.REVERT, "reverted", "gpu-01"), (End.LEAVE, "verify", "gpu-02"),
])  # fmt: skip
def test_other_ends(cloud: MovingCloud, tools: Tools, end: End, ended: str, host: str) -> None:
    """A migration is reverted, or left to be decided, when that is asked for."""
    server = cloud.add("train", "gpu-01")
    report = moved(cloud, tools, MigrateRequest("train", end=end, told=True))
    assert (report.ended, report.server and report.server.host) == (ended, host)
    assert rules(report) == []
    assert bool(cloud.held(f"m-{server.id}")) is (ended == "verify")


def test_not_confirmed_without_cards(cloud: MovingCloud, tools: Tools) -> None:
    """A server that lost its card on the way is not confirmed, so that it can go back."""
    cloud.add("train", "gpu-01")
    cloud.lose_cards = True
    report = moved(cloud, tools, MigrateRequest("train"))
    assert report.ended == "verify"
    assert rules(report) == ["WC593"]
    assert "--continue --revert" in report.findings[0].fix
    assert cloud.moves == ["train migrate"]
    back = moved(cloud, tools, MigrateRequest("train", end=End.REVERT, told=True, go_on=True))
    assert (back.ended, rules(back)) == ("reverted", [])


def test_one_card_too_many_is_confirmed(cloud: MovingCloud, tools: Tools) -> None:
    """Where nova took another card than Placement allocated the server has what it asked for: it is
    confirmed, and a warning names nova's bug and the repair."""
    server = cloud.add("train", "gpu-01")
    cloud.other_card = True
    report = moved(cloud, tools, MigrateRequest("train"))
    assert report.ended == "confirmed"
    (finding,) = report.findings
    assert (finding.rule, finding.severity.value) == ("WC593", "warning")
    assert "_move_claim" in finding.message
    assert "no failure of the move" in finding.message
    assert "wholecard repair plan" in finding.fix
    # What it left does not count at the next move: two are held, one was requested.
    assert len(cloud.held(server.id)) == 2
    cloud.other_card = False
    entry = new_entry(plan_migrate(cloud.connection(), MigrateRequest("train")), End.CONFIRM)
    assert list(entry.cards.values()) == [1]


def test_a_card_that_placement_refuses(cloud: MovingCloud, tools: Tools) -> None:
    """A move that nova's bug made fail says so, and what to look for."""
    cloud.add("train", "gpu-01")
    cloud.fail, cloud.fault = "error", (
        "Resource provider inventory and allocation data migration failed: {'errors': "
        "[{'status': 409, 'detail': 'Unable to allocate inventory: Unable to creat"
    )  # fmt: skip
    report = moved(cloud, tools, MigrateRequest("train"))
    assert (report.ended, rules(report)[0]) == ("failed", "WC592")
    assert "WC524" in report.findings[0].fix
    assert "wholecard audit shows on gpu-02" in report.findings[0].fix


def test_one_time_use_is_said_before(cloud: MovingCloud) -> None:
    """The plan of a cold migration says that nova may fail to move a one-time-use card."""
    cloud.add("train", "gpu-01")
    notes = plan_migrate(cloud.connection(), MigrateRequest("train")).notes
    cloud.traits[cloud.cards("gpu-01")[0]] = ["HW_PCI_ONE_TIME_USE"]
    note, *others = plan_migrate(cloud.connection(), MigrateRequest("train")).notes
    assert tuple(others) == notes
    assert "ReshapeFailed" in note
    assert "openstack server set --state active" in note


@pytest.mark.parametrize(("fail", "status", "words", "fix"), [
    ("error", "ERROR", "Disk is full", "set its state only where its guest is intact"),
    ("back", "ACTIVE", "No valid host was found.", "See nova's steps"),
])  # fmt: skip
def test_failed(
    cloud: MovingCloud, tools: Tools, fail: str, status: str, words: str, fix: str
) -> None:
    """A move that nova gives up is a finding with nova's own words, and what to do next."""
    cloud.add("train", "gpu-01")
    cloud.fail = fail
    report = moved(cloud, tools, MigrateRequest("train"))
    assert (report.ended, report.server and report.server.status) == ("failed", status)
    assert rules(report)[0] == "WC592"
    assert words in report.findings[0].message
    assert fix in report.findings[0].fix
    assert not report.is_good


def test_deleted_meanwhile(cloud: MovingCloud, tools: Tools) -> None:
    """A server that is deleted while it moves ends the run."""
    server = cloud.add("train", "gpu-01")
    cloud.fail = "deleted"
    with pytest.raises(CloudError, match="was deleted"):
        moved(cloud, tools, MigrateRequest("train"))
    entry = tools.journal.read(server.id)
    assert entry is not None
    assert entry.is_over


def killed_in(cloud: MovingCloud, tools: Tools, looks: int) -> MovingServer:
    """A run that was killed after so many looks at the server."""
    server = cloud.add("train", "gpu-01")
    seen = iter(range(looks))
    pace = replace(tools.pace, stopped=lambda: next(seen, None) is None)
    with pytest.raises(CloudError, match="stopped"):
        moved(cloud, replace(tools, pace=pace), MigrateRequest("train"))
    return server


@pytest.mark.parametrize("looks", [4, 6])
def test_taken_up(cloud: MovingCloud, tools: Tools, looks: int) -> None:
    """A run that ended anywhere is taken up by the same command; nova is asked nothing twice."""
    server = killed_in(cloud, tools, looks)
    report = moved(cloud, tools, MigrateRequest("train"))
    assert (report.ended, rules(report)) == ("confirmed", [])
    assert cloud.moves == ["train migrate", "train confirmResize"]
    assert cloud.held(server.id) == cloud.cards("gpu-02")[:1]


def test_killed_before_the_answer(cloud: MovingCloud, tools: Tools) -> None:
    """Where nova's answer was not written down, the migration may be another's: it is not ended."""
    server = killed_in(cloud, tools, 4)
    entry = tools.journal.read(server.id)
    assert entry is not None
    tools.journal.write(replace(entry, state="begun", request_id=""))
    cloud.finish_steps()
    with pytest.raises(UsageError, match="is not known"):
        moved(cloud, tools, MigrateRequest("train"))
    report = moved(cloud, tools, MigrateRequest("train", told=True))
    assert report.ended == "confirmed"


def test_killed_before_the_request(cloud: MovingCloud, tools: Tools) -> None:
    """Where nova never got the request, it is asked."""
    server = killed_in(cloud, tools, 0)
    entry = tools.journal.read(server.id)
    assert entry is not None
    server.task, server.steps, server.actions = None, [], []
    tools.journal.write(replace(entry, state="begun", request_id=""))
    assert moved(cloud, tools, MigrateRequest("train")).ended == "confirmed"


def resized_by_others(cloud: MovingCloud) -> MovingServer:
    """A server that somebody else migrated, in VERIFY_RESIZE."""
    server = cloud.add("train", "gpu-01")
    conn = cloud.connection()
    conn.compute.migrate_server(server.id, host="gpu-02")
    cloud.finish_steps()
    return server


def test_anothers_migration(cloud: MovingCloud, tools: Tools) -> None:
    """A migration that we did not begin is neither confirmed nor reverted, unless one says so."""
    resized_by_others(cloud)
    plan = plan_migrate(cloud.connection(), MigrateRequest("train"))
    assert "VERIFY_RESIZE" in plan.blocked
    with pytest.raises(UsageError, match="no migration of train by wholecard"):
        moved(cloud, tools, MigrateRequest("train", go_on=True))
    request = MigrateRequest("train", end=End.REVERT, told=True, go_on=True)
    report = moved(cloud, tools, request)
    assert (report.ended, rules(report)) == ("reverted", [])
    assert cloud.moves == ["train migrate", "train revertResize"]


@pytest.mark.parametrize(
    ("fields", "options", "why"),
    [
        ({"locked": True}, {}, "it is locked"),
        ({"vm_state": "error", "fault": "Boom"}, {}, "it is ERROR: Boom"),
        ({}, {"method": Method.LIVE}, "is not live-migratable"),
        ({}, {"to": ("gpu-03",)}, "0 of 1 CUSTOM_PCI_10DE_2330 are free"),
    ],
)
def test_cannot_move(
    cloud: MovingCloud, tools: Tools, fields: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    """WC590 says why a server cannot be moved, and nova is not asked."""
    cloud.add("train", "gpu-01", **fields)
    request = MigrateRequest("train", MoveOptions(**options))
    plan = plan_migrate(cloud.connection(), request)
    assert [finding.rule for finding in plan.findings] == ["WC590"]
    assert why in plan.blocked
    with pytest.raises(RefusedError):
        migrate(cloud.connection(), request, plan, tools)
    assert cloud.moves == []


def test_what_would_have_to_change(cloud: MovingCloud) -> None:
    """A live move that nova would refuse is refused with what has to change, in JSON too."""
    cloud.add("train", "gpu-01")
    request = MigrateRequest("train", MoveOptions(method=Method.LIVE))
    plan = plan_migrate(cloud.connection(), request)
    (finding,) = plan.findings
    assert 'To move it live: write "live_migratable": "yes" in the alias' in finding.fix
    assert plan.to_json()["live"]["fix"] == plan.live.fix


def test_locked_on_purpose(cloud: MovingCloud, tools: Tools) -> None:
    """nova lets an administrator move a locked server, where that is asked for."""
    cloud.add("train", "gpu-01", locked=True)
    request = MigrateRequest("train", MoveOptions(unlocked=True))
    assert moved(cloud, tools, request).ended == "confirmed"


def test_which_server(cloud: MovingCloud) -> None:
    """A name of none or of several servers, and an unknown host, are called wrongly."""
    cloud.add("twin", "gpu-01")
    cloud.add("twin", "gpu-02")
    conn = cloud.connection()
    for request, words in (
        (MigrateRequest("none"), "no server none"),
        (MigrateRequest("twin"), "2 servers are named twin"),
    ):
        with pytest.raises(UsageError, match=words):
            plan_migrate(conn, request)
    own = next(iter(cloud.servers))
    with pytest.raises(UsageError, match="nova has no host gpu-99") as refused:
        plan_migrate(conn, MigrateRequest(own, MoveOptions(to=("gpu-99",))))
    assert refused.value.resolution


def test_server_groups(cloud: MovingCloud) -> None:
    """Anti-affinity excludes the hosts of its other servers."""
    one = cloud.add("one", "gpu-01", groups=["g"])
    other = cloud.add("other", "gpu-02", groups=["g"])
    cloud.groups = [{"id": "g", "name": "apart", "policy": "anti-affinity", "rules": {},
                     "members": [one.id, other.id]}]  # fmt: skip
    plan = plan_migrate(cloud.connection(), MigrateRequest("one"))
    assert "apart (anti-affinity) has a server there" in plan.blocked


def test_live(cloud: MovingCloud, tools: Tools) -> None:
    """Where alias and devices are live-migratable the server moves live."""
    server = cloud.add("train", "gpu-01")
    cloud.traits[cloud.held(server.id)[0]] = [LIVE]
    options = MoveOptions(migratable={"h100": True})
    plan = plan_migrate(cloud.connection(), MigrateRequest("train", options))
    assert (plan.method, plan.findings) == (Method.LIVE, ())
    asked: list[tuple[str, str]] = []

    def read(node: str, moved: str) -> float:
        asked.append((node, moved))
        return 1.25

    report = moved(
        cloud, replace(tools, pauses=Pauses(read=read)), MigrateRequest("train", options)
    )
    assert (report.ended, rules(report)) == ("moved", [])
    assert cloud.moves == ["train live-migration"]
    assert asked == [(report.plan.destination and report.plan.destination.node, server.id)]
    assert "about 0.5 s were said; the guest paused for 1.2 s" in report_text(report)
    assert "at the end the guest pauses for about 0.5 s" in " ".join(
        plan_text(plan).lower().split()
    )


@pytest.mark.parametrize(("state", "forced", "words"), [
    ("up", False, "is up"), ("down", False, "does not report, and may still run"),
])  # fmt: skip
def test_not_fenced(cloud: MovingCloud, state: str, forced: bool, words: str) -> None:
    """A server is not evacuated from a host that may still run it."""
    cloud.add("train", "gpu-01")
    cloud.services["gpu-01"] |= {"state": state, "forced_down": forced}
    with pytest.raises(RefusedError) as refused:
        plan_migrate(cloud.connection(),
                     MigrateRequest("train", MoveOptions(method=Method.EVACUATE)))  # fmt: skip
    assert words in refused.value.details
    assert "openstack compute service set --down gpu-01" in refused.value.resolution


def test_evacuated(cloud: MovingCloud, tools: Tools) -> None:
    """An evacuated server is stopped, and still named on the host that it left: a note."""
    cloud.add("train", "gpu-01")
    cloud.services["gpu-01"] |= {"state": "down", "forced_down": True}
    report = moved(cloud, tools, MigrateRequest("train", MoveOptions(method=Method.EVACUATE)))
    assert (report.ended, report.server and report.server.status) == ("evacuated", "SHUTOFF")
    assert [(each.rule, each.severity.value) for each in report.findings] == [("WC593", "note")]
    assert report.is_good


def test_audits_and_domains(cloud: MovingCloud, tools: Tools) -> None:
    """Both hosts are audited before and after; what is new counts, and libvirt is compared."""
    server = cloud.add("train", "gpu-01")
    old = Disagreement("WC511", "gpu-01", "0000:01:00.0", "known before")
    new = Disagreement("WC515", "gpu-01", "0000:41:00.0", "left behind", server=server.id)
    reports = [AuditReport(2, 4, (old,)), AuditReport(2, 4, (old, new))]
    asked = []

    def audit(hosts: tuple[str, ...]) -> AuditReport:
        asked.append(hosts)
        return reports.pop(0)

    def domains(node: str) -> tuple[Domain, ...]:
        return (Domain(server.id, "i", "running"),) if node == "gpu-02" else ()

    report = moved(cloud, replace(tools, audit=audit, domains=domains), MigrateRequest("train"))
    assert asked == [("gpu-01", "gpu-02"), ("gpu-01", "gpu-02")]
    assert report.ended == "verify"
    assert rules(report) == ["WC593", "WC515"]
    assert "0 devices of the host, not 1" in report.findings[0].message


def test_a_damaged_journal(cloud: MovingCloud, journal: MoveJournal) -> None:
    """A journal that cannot be read is an error that names its file."""
    server = cloud.add("train", "gpu-01")
    journal.folder.mkdir()
    (journal.folder / f"{server.id}.json").write_text("{")
    with pytest.raises(Exception, match=f"{server.id}.json"):
        journal.read(server.id)
