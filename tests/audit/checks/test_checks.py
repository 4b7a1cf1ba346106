"""What the checks say beside the injected faults: variants, severities, silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support import hosts
from support.audit_faults import AUDIT_FAULTS
from support.audit_views import (
    LONG_AGO,
    NOW,
    FixedViews,
    addresses,
    an_id,
    audit_cloud,
    look,
    server_of,
)
from wholecard.audit.checks.registry import CHECKS
from wholecard.audit.record import Disagreement, Mdev, View
from wholecard.audit.request import AuditWatcher, audit_views, compare_views
from wholecard.core import Severity
from wholecard.core.rules import RULES

HOST = "gpu-01"
GIVEN, SECOND, FREE, LAST = addresses(4)
SERVER, OTHER = server_of(HOST, 0), server_of(HOST, 1)
SOUND = audit_cloud(2)
MTTY = f"{HOST}_mtty_mtty"


def found(views: FixedViews) -> tuple[Disagreement, ...]:
    report = audit_views(look(views), 60.0, AuditWatcher(), sleep=lambda seconds: None)
    assert report.in_flight == ()
    return report.disagreements


def rules(views: FixedViews) -> list[str]:
    return [row.rule for row in found(views)]


def domain_of_a_deleted_server() -> FixedViews:
    """The domain goes first: the row is freed only when nobody has the device."""
    return SOUND.with_instance(SERVER, deleted=True, updated_at=LONG_AGO).free(HOST, GIVEN)


def row_of_another() -> FixedViews:
    """nova's row and Placement give the device to a new server, the domain of SERVER has it."""
    new = an_id("new")
    views = SOUND.with_instance(new, host=HOST, node=HOST, created_at=LONG_AGO)
    views = views.with_row(HOST, GIVEN, instance_uuid=new)
    return views.free(HOST, GIVEN).allocate(HOST, GIVEN, new)


def swapped_domains() -> FixedViews:
    """Two servers' domains have each other's device: each lacks its own and has a foreign one."""
    return SOUND.with_domain(HOST, SERVER, hostdevs=(SECOND,)).with_domain(
        HOST, OTHER, hostdevs=(GIVEN,)
    )


def domain_of_a_server_elsewhere() -> FixedViews:
    """A copy of a server that lives on another host runs here, and nova has freed the row."""
    views = SOUND.with_instance(SERVER, node="gpu-02", host="gpu-02").free(HOST, GIVEN)
    views = views.free(HOST, "", SERVER)
    return views.with_row(HOST, GIVEN, status="available", instance_uuid=None)


def held_by_nobody() -> FixedViews:
    """A row that is allocated without a server."""
    return SOUND.with_row(HOST, FREE, status="allocated")


def no_provider_at_all() -> FixedViews:
    """Placement has no provider of a host that has reported devices: said once."""
    return SOUND.with_host(HOST, providers=None, allocations=())


def two_classes() -> FixedViews:
    """A provider with two resource classes."""
    inventory = SOUND.provider(HOST, FREE).inventories
    assert inventory is not None
    both = (*inventory, replace(inventory[0], resource_class="CUSTOM_X"))
    return SOUND.with_provider(HOST, FREE, inventories=both)


def no_inventory() -> FixedViews:
    """A provider without inventory."""
    return SOUND.with_provider(HOST, FREE, inventories=())


def one_time_use_to_clean() -> FixedViews:
    """A one_time_use card whose server is gone waits for its cleaning."""
    traits = SOUND.provider(HOST, FREE).traits | {"HW_PCI_ONE_TIME_USE"}
    return SOUND.with_provider(HOST, FREE, traits=traits, inventory={"reserved": 1})


def not_managed() -> FixedViews:
    """A provider that nova's row belongs to, without nova's own trait."""
    return SOUND.with_provider(HOST, FREE, traits=frozenset({"OWNER_NOVA"}))


def not_migratable() -> FixedViews:
    """A row that says live_migratable, and a provider without the trait."""
    return SOUND.with_row(HOST, FREE, extra_info='{"live_migratable": "true"}')


def migratable_by_trait() -> FixedViews:
    """The trait, and a row that does not say so."""
    traits = SOUND.provider(HOST, FREE).traits | {"HW_PCI_LIVE_MIGRATABLE"}
    return SOUND.with_provider(HOST, FREE, traits=traits)


def gone_and_held() -> FixedViews:
    """A device that a server holds is gone from the host, and from its domain."""
    sysfs = SOUND.host(HOST).sysfs
    assert sysfs is not None
    left = [function for function in sysfs.functions if str(function.address) != GIVEN]
    views = SOUND.with_host(HOST, sysfs=hosts.host(*left))
    return views.with_domain(HOST, SERVER, state="shut off", hostdevs=())


def vgpu(mdevs: tuple[str, ...], used: int) -> FixedViews:
    """A server that asks for a VGPU, has these mediated devices, and so much of VGPU."""
    root = SOUND.host(HOST).providers
    assert root is not None
    card = SOUND.provider(HOST, FREE)
    assert card.inventories is not None
    inventory = replace(card.inventories[0], resource_class="VGPU", total=2)
    parent = replace(card, name=MTTY, uuid=an_id(MTTY), inventories=(inventory,))
    views = SOUND.and_provider(HOST, parent).with_instance(SERVER, vgpus=1)
    views = views.with_domain(HOST, SERVER, mdevs=mdevs)
    views = views.with_host(HOST, mdevs=(Mdev(an_id("m"), "mtty_mtty", "mtty-2"),))
    if not used:
        return views
    rows = views.host(HOST).allocations or ()
    own = replace(rows[0], provider_uuid=parent.uuid, resource_class="VGPU", consumer=SERVER)
    return views.with_host(HOST, allocations=(*rows, own))


def vgpu_of_nobody() -> FixedViews:
    """A slice that Placement counts for nobody."""
    views = vgpu((an_id("m"),), 1)
    rows = views.host(HOST).allocations or ()
    return views.with_host(HOST, allocations=(*rows, replace(rows[-1], consumer=an_id("ghost"))))


def parents(has: dict[str, int], counted: dict[str, int]) -> FixedViews:
    """A server with devices of the parents a and b in a class of the operator's, and what
    Placement counts of them; `cyborg` has no provider of nova's."""
    views = SOUND
    card = SOUND.provider(HOST, FREE)
    assert card.inventories is not None
    rows = views.host(HOST).allocations or ()
    made = list(rows)
    for name in ("a", "b"):
        inventory = replace(card.inventories[0], resource_class="CUSTOM_X", total=4)
        parent = replace(card, name=f"{HOST}_{name}", uuid=an_id(name), inventories=(inventory,))
        views = views.and_provider(HOST, parent)
        if name in counted:
            made.append(replace(rows[0], provider_uuid=an_id(name), resource_class="CUSTOM_X",
                                consumer=SERVER, used=counted[name]))  # fmt: skip
    ids = [(name, an_id(name, str(number))) for name in has for number in range(has[name])]
    mdevs = tuple(Mdev(uuid, name, "t") for name, uuid in ids)
    views = views.with_host(HOST, mdevs=mdevs, allocations=tuple(made))
    return views.with_domain(HOST, SERVER, mdevs=tuple(uuid for _, uuid in ids))


def parent_gone() -> FixedViews:
    """A parent without its card: its provider stays."""
    card = SOUND.provider(HOST, FREE)
    gone = replace(card, name=f"{HOST}_pci_0000_fe_00_0", uuid=an_id("gone"))
    here = replace(card, name=MTTY, uuid=an_id(MTTY))
    return SOUND.and_provider(HOST, gone).and_provider(HOST, here)


def moved_without_report() -> FixedViews:
    """Of a host without report_in_placement: CPU and memory of a server with cards that left."""
    views = audit_cloud(2, placement=False).with_instance(SERVER, node="gpu-02", host="gpu-02")
    views = views.with_row(HOST, GIVEN, status="available", instance_uuid=None)
    return views.without_domain(HOST, SERVER)


def on_no_host(vm_state: str | None) -> FixedViews:
    """Placement counts a card for a server that is on no host."""
    new = an_id("new")
    views = SOUND.with_instance(new, host=None, node=None, vm_state=vm_state, created_at=LONG_AGO)
    return views.allocate(HOST, FREE, new)


CASES: dict[Callable[[], FixedViews], list[str]] = {
    domain_of_a_deleted_server: ["WC542"],
    row_of_another: ["WC514"],
    swapped_domains: ["WC514", "WC514"],
    domain_of_a_server_elsewhere: ["WC542"],
    held_by_nobody: ["WC511"],
    no_provider_at_all: ["WC527"],
    two_classes: ["WC529"],
    no_inventory: ["WC529"],
    one_time_use_to_clean: ["WC532"],
    not_managed: ["WC530"],
    not_migratable: ["WC530"],
    migratable_by_trait: ["WC530"],
    gone_and_held: ["WC510"],
    lambda: vgpu((an_id("m"),), 1): [],
    lambda: vgpu((), 1): ["WC512"],
    lambda: vgpu((an_id("m"),), 0): ["WC523"],
    lambda: vgpu((an_id("lost"),), 1): ["WC541"],
    vgpu_of_nobody: ["WC520"],
    lambda: parents({"a": 1}, {"a": 1}): [],
    lambda: parents({"a": 1}, {"b": 1}): ["WC534"],
    lambda: parents({"a": 2}, {"a": 1, "b": 1}): ["WC534"],
    lambda: parents({"a": 1}, {}): ["WC523"],
    lambda: parents({"cyborg": 1}, {}): [],
    parent_gone: ["WC535"],
    moved_without_report: ["WC522"],
}


@pytest.mark.parametrize(("make", "expected"), CASES.items(), ids=range(len(CASES)))
def test_variant(make: Callable[[], FixedViews], expected: list[str]) -> None:
    """A variant of a fault has its rule, and no other."""
    assert rules(make()) == expected


@pytest.mark.parametrize(
    ("vm_state", "where", "fix"),
    [
        ("error", "is on no host, for its build failed;", "openstack server delete"),
        (
            "building",
            "is on no host, for nova-compute ended as it began its build;",
            "openstack server delete",
        ),
        ("shelved_offloaded", "is on no host (shelved_offloaded);", "wholecard repair plan"),
        (None, "is in a cell of nova's that was not read;", "wholecard repair plan"),
    ],
)
def test_on_no_host(vm_state: str | None, where: str, fix: str) -> None:
    """WC522 says why a server that holds a card has no host, and how its allocation goes."""
    (row,) = found(on_no_host(vm_state))
    assert row.rule == "WC522"
    assert f"which {where} no migration of it is in progress." in row.message
    assert fix in row.fix


@pytest.mark.parametrize(
    ("task_state", "host", "age"),
    [(None, None, timedelta(minutes=59)), ("scheduling", None, timedelta(days=1)),
     (None, HOST, timedelta(days=1))],
    ids=["just begun", "waits for nova-compute", "claimed"],
)  # fmt: skip
def test_a_build_is_not_lost(task_state: str | None, host: str | None, age: timedelta) -> None:
    """A build may be young, wait for a nova-compute that is busy, or have its host: in flight."""
    views = on_no_host("building").with_instance(
        an_id("new"), task_state=task_state, host=host, node=host, created_at=NOW - age
    )
    report = audit_views(look(views), 60.0, AuditWatcher(), sleep=lambda seconds: None)
    assert report.disagreements == ()
    assert [row.rule for row in report.in_flight] == ["WC524" if host else "WC522"]


def test_every_rule_is_in_the_registry() -> None:
    """Each rule of a disagreement is some check's, and a check needs at least one view."""
    codes = {code for check in CHECKS for code in check.rules}
    assert codes == {code for code in RULES if "WC510" <= code <= "WC549"}
    assert all(check.views for check in CHECKS)


@pytest.mark.parametrize(
    ("driver", "extra_info", "severity"),
    [
        ("nvidia", "{}", Severity.ERROR),
        (None, "{}", Severity.WARNING),
        (None, '{"managed": "false"}', Severity.ERROR),
    ],
)
def test_driver_severity(driver: str | None, extra_info: str, severity: Severity) -> None:
    """No driver is a warning where libvirt binds the device itself, else an error."""
    sysfs = SOUND.host(HOST).sysfs
    assert sysfs is not None
    functions = (
        replace(function, driver=driver) if str(function.address) == FREE else function
        for function in sysfs.functions
    )
    views = SOUND.with_host(HOST, sysfs=hosts.host(*functions))
    (row,) = found(views.with_row(HOST, FREE, extra_info=extra_info))
    assert (row.rule, row.finding().severity) == ("WC540", severity)


def test_own_allocation_decides_the_fix() -> None:
    """nova-compute adds a card to an allocation that exists, and heals none that is gone."""
    (row,) = found(SOUND.free(HOST, GIVEN))
    assert row.fix.startswith("nova-compute on gpu-01 adds it")
    (row,) = found(SOUND.free(HOST, GIVEN).free(HOST, "", SERVER))
    assert row.fix.startswith("nova does not write it again")


def test_dead_migration_of_a_server_that_has_the_card() -> None:
    """The allocation of a dead migration is its server's where the server has the card."""
    views = SOUND.with_migration(
        status="error", migration_type="live-migration", instance_uuid=SERVER,
        source_compute="gpu-02", source_node="gpu-02", dest_compute=HOST, dest_node=HOST,
    )  # fmt: skip
    uuid = views.cloud.migrations[0].uuid
    (row,) = found(views.free(HOST, GIVEN).allocate(HOST, GIVEN, uuid))
    assert row.rule == "WC521"
    assert row.fix == "wholecard repair plan gives the allocation to the server."
    assert row.facts["row_instance"] == SERVER
    assert row.facts["migration_status"] == "error"


def test_dead_migration_of_a_server_that_is_here() -> None:
    """A part of a card has no row: it is its server's if that is here and holds nothing here."""
    views = vgpu((an_id("m"),), 1).with_migration(
        status="error", migration_type="live-migration", instance_uuid=SERVER,
        source_compute=HOST, source_node=HOST, dest_compute="gpu-02", dest_node="gpu-02",
    )  # fmt: skip
    *rows, part = views.host(HOST).allocations or ()
    uuid = views.cloud.migrations[0].uuid
    views = views.with_host(HOST, allocations=(*rows, replace(part, consumer=uuid)))
    (removed,) = (row for row in found(views) if row.rule == "WC521")
    assert "lacks_allocation" not in removed.facts
    left = tuple(row for row in rows if row.consumer != SERVER)
    views = views.with_host(HOST, allocations=(*left, replace(part, consumer=uuid)))
    (given,) = (row for row in found(views) if row.rule == "WC521")
    assert given.facts["lacks_allocation"] == "yes"
    assert given.fix == "wholecard repair plan gives the allocation to the server."


def test_one_finding_for_each_consumer() -> None:
    """A consumer that holds several devices of a host is one finding that names them all."""
    ghost = an_id("ghost")
    (row,) = found(SOUND.allocate(HOST, FREE, ghost).allocate(HOST, LAST, ghost))
    assert (row.rule, row.address) == ("WC520", FREE)
    assert f"{FREE}, {LAST}" in row.message


def test_service_down_does_not_wait() -> None:
    """Where nova-compute is down nothing heals by itself: a young row counts at once."""
    views = SOUND.with_service(HOST, is_up=False).with_row(
        HOST, FREE, status="allocated", instance_uuid=an_id("gone"),
        updated_at=NOW - timedelta(seconds=3),
    )  # fmt: skip
    (row,) = compare_views(views).disagreements
    assert row.rule == "WC511"
    assert row.fix.startswith("Start nova-compute on gpu-01")


def test_request_of_a_lost_row() -> None:
    """The row's finding names the server's request, so that the row can be written back whole."""
    (row,) = found(SOUND.with_row(HOST, GIVEN, status="available", instance_uuid=None,
                                  request_id=None))  # fmt: skip
    assert row.facts["request_id"] == an_id("request", SERVER)


def test_split_without_facts() -> None:
    """Without the host's facts functions of one slot are one card."""
    split = AUDIT_FAULTS["card split"].inject(SOUND, HOST, GIVEN)
    unread = {View.SYSFS: "no access"}
    (row,) = found(split.with_host(HOST, sysfs=None, unread=unread))
    assert (row.rule, row.address) == ("WC518", GIVEN)


def test_domain_that_is_off() -> None:
    """A domain that is off only names its devices: another may have them."""
    views = SOUND.with_domain(HOST, an_id("virsh"), state="shut off", hostdevs=(FREE, GIVEN))
    assert rules(views) == []


def test_lost_row_where_requests_were_not_read() -> None:
    """Where it is not known how many devices a server asked for, a device without row counts."""
    views = SOUND.without_row(HOST, GIVEN).with_instance(SERVER, pci_requests=None)
    assert rules(views) == ["WC513"]


def test_device_attached_by_hand() -> None:
    """A device that the server did not ask for, and nova does not know, is nobody's damage."""
    assert rules(SOUND.with_domain(HOST, SERVER, hostdevs=(GIVEN, "0000:e1:00.0"))) == []


def test_nodes_unknown() -> None:
    """A migration without nodes is told by nova-compute's hosts, on either side."""
    for side in ("source", "dest"):
        views = SOUND.with_instance(SERVER, host="gpu-09", node="gpu-09").with_migration(
            status="migrating", migration_type="migration", instance_uuid=SERVER,
            updated_at=NOW, **{f"{side}_compute": HOST},
        )  # fmt: skip
        assert compare_views(views).findings == ()
        other = views.with_cloud(migrations=()).with_migration(
            status="migrating", migration_type="migration", instance_uuid=SERVER,
            updated_at=NOW - timedelta(minutes=9), **{f"{side}_compute": "gpu-09"},
        )  # fmt: skip
        assert {row.rule for row in compare_views(other).in_flight} == {"WC515", "WC522"}


def test_server_that_left_and_is_rebooted() -> None:
    """Work on the server delays a row of a running host, and not of one whose service is down."""
    views = SOUND.with_instance(SERVER, host="gpu-02", node="gpu-02", task_state="rebooting")
    views = views.free(HOST, GIVEN).free(HOST, "", SERVER).without_domain(HOST, SERVER)
    assert [row.rule for row in compare_views(views).in_flight] == ["WC515"]
    down = compare_views(views.with_service(HOST, is_up=False))
    assert [row.rule for row in down.disagreements] == ["WC515"]


def test_classes_are_named() -> None:
    """The finding of a wrong inventory names what is there."""
    assert "has CUSTOM_PCI_10DE_2330, CUSTOM_X, where" in found(two_classes())[0].message
    assert "has no inventory, where" in found(no_inventory())[0].message


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [(HOST, "reverted", True), (HOST, "confirmed", False), ("gpu-02", "reverted", False)],
)
def test_row_that_a_revert_freed(source: str, status: str, said: bool) -> None:
    """A free row of a server that came back by a revert: nova itself can have freed it."""
    views = SOUND.with_row(HOST, GIVEN, status="available", instance_uuid=None).with_migration(
        status=status, migration_type="resize", instance_uuid=SERVER, source_node=source,
        dest_node="gpu-09",
    )  # fmt: skip
    (row,) = found(views)
    assert row.rule == "WC513"
    assert ("was reverted to this host" in row.message) == said


def _resized_here(views: FixedViews) -> FixedViews:
    """SERVER's resize on one host: its migration has the old device's allocation."""
    views = views.with_migration(
        status="finished", migration_type="resize", instance_uuid=SERVER,
        source_node=HOST, dest_node=HOST,
    )  # fmt: skip
    views = views.with_instance(SERVER, vm_state="resized").free(HOST, GIVEN)
    return views.allocate(HOST, GIVEN, views.cloud.migrations[-1].uuid)


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (AUDIT_FAULTS["host driver"].inject, False),
        (AUDIT_FAULTS["given away in Placement"].inject, True),
        # Of a server without any allocation here nova-compute writes none.
        (lambda views, *_: row_of_another().free(HOST, GIVEN).allocate(HOST, GIVEN, OTHER), False),
        # There is room for it: nova-compute adds it.
        (AUDIT_FAULTS["allocation deleted"].inject, False),
        (lambda views, *_: views.free(HOST, GIVEN).with_provider(HOST, GIVEN,
                                                                 inventory={"reserved": 1}), True),
        (lambda views, *_: _resized_here(views), False),
    ],
    ids=["sound", "another's", "no other", "missing", "reserved", "same-host resize"],
)  # fmt: skip
def test_nova_compute_that_would_not_start(change: Callable[..., FixedViews], fails: bool) -> None:
    """A device for whose server Placement has no room keeps nova-compute from starting."""
    views = AUDIT_FAULTS["wrong trait"].inject(change(SOUND, HOST, GIVEN), HOST, GIVEN)
    rows = [row for row in found(views) if row.address == GIVEN]
    assert rows
    assert {row.facts.get("start_fails") == "yes" for row in rows} == {fails}
    said = any("would not start again" in row.message for row in rows)
    assert said == fails


def test_what_the_places_say() -> None:
    """Each place says of the device what it knows, in a few words."""
    (row,) = found(SOUND.with_row(HOST, GIVEN, status="available", instance_uuid=None))
    assert row.says == {
        View.SYSFS: "10de:2330, vfio-pci, NUMA node 0",
        View.LIBVIRT: f"instance-{SERVER[:8]} {SERVER}",
        View.NOVA: "available",
        View.PLACEMENT: f"1 of 1 used: train-0 {SERVER}",
    }
