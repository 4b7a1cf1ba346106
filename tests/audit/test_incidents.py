"""What really went wrong in clouds, as seen on nova 34, and the rows that the slides show."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support import hosts
from support.audit_views import (
    LONG_AGO,
    NOW,
    FixedViews,
    addresses,
    an_id,
    audit_cloud,
    look,
    looks,
    server_of,
)
from wholecard.audit import fact_names
from wholecard.audit.record import Disagreement, PciDevice, View
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views, compare_views

OLD, NEW = "gpu-01", "gpu-02"
GIVEN, SECOND, FREE, LAST = addresses(4)
SERVER = server_of(OLD, 0)


def found(views: FixedViews) -> list[tuple[str, str, str]]:
    """Rule, host and address of each disagreement."""
    report = audit_views(look(views), 60.0, AuditWatcher(), sleep=lambda seconds: None)
    assert report.in_flight == ()
    return [(row.rule, row.host, row.address) for row in report.disagreements]


def evacuated(status: str = "pre-migrating") -> FixedViews:
    """SERVER with two cards, evacuated from OLD, whose nova-compute is away, to NEW."""
    views = audit_cloud(2, cards=4, given=2, per_server=2).with_migration(
        status=status, migration_type="evacuation", instance_uuid=SERVER, source_compute=OLD,
        source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    views = views.with_service(OLD, is_up=False).without_domain(OLD, SERVER)
    views = views.with_instance(SERVER, host=NEW, node=NEW)
    for address in (FREE, LAST):
        views = views.with_row(NEW, address, status="allocated", instance_uuid=SERVER)
        views = views.allocate(NEW, address, SERVER)
    return views.with_domain(NEW, SERVER, hostdevs=(FREE, LAST))


@pytest.mark.parametrize("status", ["accepted", "pre-migrating", "done", "completed"])
def test_evacuation(status: str) -> None:
    """An evacuation with the old host away leaves two rows there and one allocation over both."""
    assert found(evacuated(status)) == [
        ("WC515", OLD, GIVEN), ("WC522", OLD, GIVEN), ("WC515", OLD, SECOND),
    ]  # fmt: skip


def test_evacuation_says_what_to_do() -> None:
    """The fix is the least invasive: nova-compute frees all of it as it starts."""
    report = compare_views(evacuated())
    assert {row.fix.split(":")[0] for row in report.disagreements} == {
        "Start nova-compute on gpu-01"
    }
    facts = report.disagreements[0].facts
    assert facts[fact_names.SERVICE] == "down"
    assert facts[fact_names.MIGRATION_STATUS] == "pre-migrating"
    assert "Its allocation also names gpu-02." in report.disagreements[1].message


def test_evacuated_domain_still_runs() -> None:
    """Where the old host lost only its nova-compute, the row's finding names the domain."""
    views = evacuated().with_domain(OLD, SERVER, hostdevs=(GIVEN, SECOND))
    report = compare_views(views)
    assert [row.rule for row in report.disagreements] == ["WC515", "WC522", "WC515"]
    assert report.disagreements[0].facts[fact_names.DOMAIN] == SERVER
    assert "Its domain still runs here" in report.disagreements[0].message


def aborted_live_migration() -> FixedViews:
    """nova 34's own leak: the server is in ERROR on NEW, where its domain runs; its allocation is
    on OLD; the migration's uuid holds NEW's card; rows of both are allocated."""
    views = audit_cloud(2, cards=4, given=2).with_migration(
        status="error", migration_type="live-migration", instance_uuid=SERVER, source_compute=NEW,
        source_node=NEW, dest_compute=OLD, dest_node=OLD,
    )  # fmt: skip
    migration = views.cloud.migrations[-1].uuid
    views = views.with_instance(SERVER, host=NEW, node=NEW, vm_state="error")
    views = views.without_domain(OLD, SERVER).with_domain(NEW, SERVER, hostdevs=(FREE,))
    views = views.with_row(NEW, FREE, status="allocated", instance_uuid=SERVER)
    return views.allocate(NEW, FREE, migration)


def test_aborted_live_migration() -> None:
    """Its three leaks are named, and the card that the migration holds is not called free."""
    assert found(aborted_live_migration()) == [
        ("WC515", OLD, GIVEN), ("WC522", OLD, GIVEN), ("WC521", NEW, FREE),
    ]  # fmt: skip


def test_failed_cold_migration() -> None:
    """What it claimed on its destination is found, and nobody is told to restart nova-compute."""
    views = audit_cloud(2, cards=4, given=2).with_migration(
        status="error", migration_type="migration", instance_uuid=SERVER, source_compute=OLD,
        source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    views = views.with_row(NEW, FREE, status="allocated", instance_uuid=SERVER)
    (row,) = compare_views(views).disagreements
    assert (row.rule, row.host, row.address) == ("WC515", NEW, FREE)
    assert "nova-compute keeps what a move in error has claimed" in row.message
    assert "Neither the next run of nova-compute nor a restart does" in row.fix


def test_aborted_live_migration_and_deleted() -> None:
    """After the server is deleted the dead migration's consumer is all that is left."""
    views = aborted_live_migration().with_instance(SERVER, deleted=True, vm_state="deleted")
    views = views.with_row(OLD, GIVEN, status="available", instance_uuid=None).free(OLD, GIVEN)
    views = views.with_row(NEW, FREE, status="available", instance_uuid=None)
    views = views.free(OLD, "", SERVER).without_domain(NEW, SERVER)
    assert found(views) == [("WC521", NEW, FREE)]


def test_confirmed_migration_left_behind() -> None:
    """After a confirm nothing may be left on the old host: a row there is WC515, the migration's
    allocation WC521."""
    views = audit_cloud(2).with_migration(
        status="confirmed", migration_type="migration", instance_uuid=SERVER, source_compute=OLD,
        source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    migration = views.cloud.migrations[-1].uuid
    views = views.with_instance(SERVER, host=NEW, node=NEW).without_domain(OLD, SERVER)
    views = views.free(OLD, GIVEN).free(OLD, "", SERVER).allocate(OLD, GIVEN, migration)
    views = views.with_row(NEW, FREE, status="allocated", instance_uuid=SERVER)
    views = views.allocate(NEW, FREE, SERVER).with_domain(NEW, SERVER, hostdevs=(FREE,))
    assert found(views) == [("WC515", OLD, GIVEN), ("WC521", OLD, GIVEN)]


def test_abandoned_migration() -> None:
    """A migration that is `running` for hours while its server does nothing is dead."""
    views = audit_cloud(2).with_migration(
        status="running", migration_type="live-migration", instance_uuid=SERVER,
        source_compute=OLD, source_node=OLD, dest_compute=NEW, dest_node=NEW,
        updated_at=NOW - timedelta(hours=3),
    )  # fmt: skip
    assert found(views.allocate(NEW, FREE, views.cloud.migrations[-1].uuid)) == [
        ("WC521", NEW, FREE)
    ]


# The two rows at the end of the slides: created and updated in August 2016, deleted_at NULL,
# deleted 0, type-PCI, available, extra_info {}, no server, no request, NUMA node 1.
def slide_row(number: int, address: str, **changes: object) -> PciDevice:
    row = PciDevice(
        number, OLD, 1, address, "10de", "11b4", "type-PCI", "available", None, None, 1, None,
        "label_10de_11b4", "{}", datetime(2016, 8, 11, 0, 54, 45),
        datetime(2016, 8, 19, 4, 58, 1),
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


SLIDE_ROWS = (slide_row(45, "0000:84:00.0"), slide_row(48, "0000:88:00.0"))


def old_host(*functions: str) -> FixedViews:
    """The slides' old host, which reports nothing in Placement, with these K4200."""
    there = [hosts.bound(address, "10de:11b4", numa_node=1) for address in functions]
    views = audit_cloud(2, cards=0, given=0, placement=False)
    return views.with_host(OLD, devices=SLIDE_ROWS, sysfs=hosts.host(*there))


def test_slides_rows_of_a_host_that_has_its_cards() -> None:
    """The slides' rows are what nova says of two free cards: nothing is wrong with them."""
    assert found(old_host("0000:84:00.0", "0000:88:00.0")) == []


def test_slides_rows_of_a_host_without_the_cards() -> None:
    """If the cards were taken out of the old host, its rows are of devices that are gone."""
    assert found(old_host()) == [("WC510", OLD, "0000:84:00.0"), ("WC510", OLD, "0000:88:00.0")]


def test_slides_rows_as_they_were_before() -> None:
    """What the author must have met before: rows that the moved server still holds."""
    views = old_host("0000:84:00.0", "0000:88:00.0").with_instance(SERVER, host=NEW, node=NEW)
    for row in SLIDE_ROWS:
        views = views.with_row(OLD, row.address, status="allocated", instance_uuid=SERVER)
    assert found(views) == [("WC515", OLD, "0000:84:00.0"), ("WC515", OLD, "0000:88:00.0")]


class Waits(AuditWatcher):
    """What the audit said of its looks."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def look(self, hosts: int, again: bool) -> None:
        self.said.append(("look", hosts, again))

    def wait(self, seconds: float, hosts: int) -> None:
        self.said.append(("wait", seconds, hosts))


def audited(
    *views: FixedViews, wait: float | None = 60.0
) -> tuple[AuditReport, list[tuple[object, ...]]]:
    watcher = Waits()
    report = audit_views(looks(*views), wait, watcher, sleep=lambda seconds: None)
    return report, watcher.said


def rows(some: tuple[Disagreement, ...]) -> list[str]:
    return [row.rule for row in some]


SOUND = audit_cloud(2)
DELETING = SOUND.with_instance(SERVER, task_state="deleting").free(OLD, GIVEN)
LOST = SOUND.free(OLD, GIVEN)


def test_sound_is_looked_at_once() -> None:
    """A cloud in which all agree is read once."""
    report, said = audited(SOUND)
    assert said == [("look", 2, False)]
    assert report.exit_status == 0


def test_pending_that_passes() -> None:
    """A server that is being deleted is gone at the second look: nothing is wrong."""
    gone = SOUND.with_instance(SERVER, deleted=True, vm_state="deleted").without_domain(OLD, SERVER)
    gone = gone.free(OLD, GIVEN).free(OLD, "", SERVER)
    gone = gone.with_row(OLD, GIVEN, status="available", instance_uuid=None)
    report, said = audited(DELETING, gone)
    assert said == [("look", 2, False), ("wait", 60.0, 1), ("look", 1, True)]
    assert report.findings == ()
    assert (report.hosts, report.devices) == (2, 8)


def test_pending_that_stays_pending() -> None:
    """What is still in progress at the second look is a note, and exit status 4."""
    report, _ = audited(DELETING)
    assert report.disagreements == ()
    assert [finding.rule for finding in report.findings] == ["WC551"]
    assert report.exit_status == 4


def test_pending_that_becomes_damage() -> None:
    """The work ended, and the disagreement stayed: it counts."""
    report, _ = audited(DELETING, LOST)
    assert rows(report.disagreements) == ["WC523"]
    assert report.exit_status == 1


def test_young_row_that_stays() -> None:
    """A row younger than one run of the periodic task counts when it is the same after it."""
    young = SOUND.with_row(OLD, FREE, status="allocated", instance_uuid=an_id("gone"),
                           updated_at=NOW - timedelta(seconds=5))  # fmt: skip
    report, said = audited(young)
    assert rows(report.disagreements) == ["WC511"]
    assert ("wait", 60.0, 1) in said


def test_row_that_changes_between() -> None:
    """A row that nova changed between the looks is in progress, whatever it says."""
    one = SOUND.with_row(OLD, FREE, status="allocated", instance_uuid=an_id("gone"))
    two = one.with_row(OLD, FREE, updated_at=NOW - timedelta(seconds=1))
    report, _ = audited(one, two)
    assert report.disagreements == ()
    assert rows(report.in_flight) == ["WC511"]


def test_now_does_not_wait() -> None:
    """With --now what is in flight is a note at once, and nothing is waited for."""
    report, said = audited(DELETING, wait=None)
    assert said == [("look", 2, False)]
    assert rows(report.in_flight) == ["WC523"]


def test_now_confirms_what_is_settled() -> None:
    """Without a wait a settled disagreement is still read twice: views are read one by one."""
    report, said = audited(LOST, SOUND, wait=None)
    assert said == [("look", 2, False), ("look", 1, True)]
    assert report.findings == ()


def test_seen_in_the_second_look_only() -> None:
    """What only the second look has began during the audit: it was seen once."""
    other = SOUND.with_row(OLD, FREE, status="allocated", instance_uuid=an_id("gone"))
    report, _ = audited(LOST, other)
    assert report.disagreements == ()
    assert [(row.rule, row.pending) for row in report.in_flight] == [
        ("WC511", "it began during the audit")
    ]


def test_steady_is_looked_at_once() -> None:
    """A NUMA node or a driver is no matter of servers that come and go."""
    report, said = audited(SOUND.with_row(OLD, FREE, numa_node=7))
    assert rows(report.disagreements) == ["WC531"]
    assert said == [("look", 2, False)]


def test_new_provider() -> None:
    """A provider that nova-compute is just making has no row yet: it is looked at after a wait."""
    new = SOUND.without_row(OLD, FREE).with_provider(OLD, FREE, generation=1)
    assert rows(compare_views(new).in_flight) == ["WC526"]
    report, said = audited(new)
    assert rows(report.disagreements) == ["WC526"]
    assert ("wait", 60.0, 1) in said
    assert audited(new, SOUND)[0].findings == ()


def test_new_consumer() -> None:
    """An allocation of nobody waits: a server that is created has one before nova lists it."""
    ghost = SOUND.allocate(OLD, FREE, an_id("ghost"))
    report, said = audited(ghost)
    assert rows(report.disagreements) == ["WC520"]
    assert ("wait", 60.0, 1) in said
    assert rows(compare_views(ghost).in_flight) == ["WC520"]


def test_api_only() -> None:
    """Without nova's database Placement is still compared with servers and domains."""
    views = SOUND.allocate(OLD, FREE, an_id("ghost")).free(OLD, SECOND)
    for host in (OLD, NEW):
        views = views.with_host(host, devices=None, unread={View.NOVA: "only the API was read"})
    report, _ = audited(views)
    assert rows(report.disagreements) == ["WC523", "WC520"]
    assert report.exit_status == 1


def test_facts() -> None:
    """A disagreement has what a repair needs to find the row and the provider again."""
    (row,) = compare_views(LOST).disagreements
    provider = SOUND.provider(OLD, GIVEN)
    assert dict(row.facts) == {
        "row_id": "1000", "row_status": "allocated", "row_instance": SERVER,
        "row_updated": LONG_AGO.isoformat(), "compute_node": "1", "cell": "cell1",
        "provider": provider.uuid, "generation": "3", "resource_class": "CUSTOM_PCI_10DE_2330",
        "total": "1", "reserved": "0", "used": "0", "domain": SERVER, "service": "up",
    }  # fmt: skip
    (ghost,) = compare_views(SOUND.allocate(OLD, FREE, an_id("g"))).in_flight
    assert ghost.facts[fact_names.CONSUMER] == an_id("g")
    assert ghost.facts[fact_names.CONSUMER_GENERATION] == "1"
    assert ghost.facts[fact_names.USED] == "1"
