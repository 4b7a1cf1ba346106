"""A site file applied to a real OpenStack: planned, applied, killed, finished, rolled back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clouds import HOST, NAME, Cloud, control_plane
from support.faults import counted, die, killed
from wholecard.cloud.changing import apply as applying
from wholecard.cloud.changing.journal import CloudJournal
from wholecard.cloud.client.connection import connect
from wholecard.cloud.operations import aggregates, images
from wholecard.cloud.operations.quotas import SetLimit, identity_of, read_quota
from wholecard.cloud.planning.current import find
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.cloud.planning.plan import CloudPlan, plan
from wholecard.lab.base.folder import LabFolder, default_folder
from wholecard.lab.control import service_settings
from wholecard.site.load import read_site

PROJECT = "service"
TRAIT = "CUSTOM_WHOLECARD_TEST"
SITE = f"""\
release: "2026.2"
cards:
  gpu:
    match: [{{vendor: "1002", product: "5046"}}]
hosts:
  {HOST}: {{}}
flavors:
  c.card1:
    ram: 512
    vcpus: 2
    cards: {{gpu: 1}}
    cpu_policy: dedicated
    hugepages: 2M
    numa_policy: preferred
    maxphysaddr: emulate
    maxphysaddr_bits: 42
    required_traits: [{TRAIT}]
  c.private:
    ram: 256
    vcpus: 1
    maxphysaddr: none
    cards: {{gpu: 2}}
    projects: [{PROJECT}]
  c.others:
    ram: 1024
    vcpus: 1
    maxphysaddr: none
    cards: {{gpu: 1}}
images:
  guest:
    file: guest.qcow2
    os: windows
    hide_hypervisor: true
aggregates:
  gpu-hosts:
    hosts: [{HOST}]
    availability_zone: gpu
    metadata: {{"trait:{TRAIT}": required}}
"""
QUOTAS = f"""\
release: "2026.2"
quota_driver: db
cards:
  gpu:
    match: [{{vendor: "1002", product: "5046"}}]
quotas:
  {PROJECT}: {{instances: 4, cores: 8, ram: 4096}}
"""
UNIFIED = f"""\
release: "2026.2"
quota_driver: unified
cards:
  gpu:
    match: [{{vendor: "1002", product: "5046"}}]
quotas:
  {PROJECT}: {{instances: 4, cards: {{gpu: 2}}}}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """A control plane of its own name, with one fake host and a flavor that others made."""
    with control_plane(LabFolder(default_folder().top, NAME)) as running:
        running.conn.compute.create_flavor(name="c.others", ram=2048, vcpus=1, disk=0)
        yield running


@pytest.fixture
def site(cloud: Cloud, tmp_path: Path) -> Path:
    """The site file and its image: a small disk of the kind that Glance takes."""
    (tmp_path / "site.yaml").write_text(SITE)
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(96)
    (tmp_path / "guest.qcow2").write_bytes(qcow2(header))
    return tmp_path / "site.yaml"


def qcow2(header: bytes) -> bytes:
    """An empty disk of 1 MiB (qemu: docs/interop/qcow2.txt), padded to be read in pieces."""
    fields = [
        b"QFI\xfb", (2).to_bytes(4, "big"), bytes(8), bytes(4), (16).to_bytes(4, "big"),
        (1 << 20).to_bytes(8, "big"), bytes(4), (1).to_bytes(4, "big"),
        (0x30000).to_bytes(8, "big"), (0x10000).to_bytes(8, "big"), (1).to_bytes(4, "big"),
        bytes(4), bytes(8),
    ]  # fmt: skip
    table = (0x20000).to_bytes(8, "big").ljust(0x10000, b"\0")
    counts = b"".join([(1).to_bytes(2, "big")] * 4).ljust(0x10000, b"\0")
    return b"".join(fields).ljust(0x10000, b"\0") + table + counts + bytes(3 << 20)


def quota(cloud: Cloud) -> dict[str, int]:
    """nova's quotas of the project; nova-api looks it up in Keystone, which takes its time."""
    return read_quota(cloud.conn, identity_of(cloud.conn).find_project(PROJECT).id)  # type: ignore[union-attr]


def seen(cloud: Cloud) -> dict[str, Any]:
    """Everything else that the tests' sites ask for, as the APIs show it."""
    conn = cloud.conn
    flavors = conn.compute.get("/flavors/detail?is_public=None", microversion="2.61").json()
    access = {
        each["name"]: conn.compute.get(f"/flavors/{each['id']}/os-flavor-access").json()
        for each in flavors["flavors"]
        if not each["os-flavor-access:is_public"]
    }
    groups = conn.compute.get("/os-aggregates").json()["aggregates"]
    answer = conn.placement.get(f"/resource_providers?name={HOST}", microversion="1.39").json()
    provider = answer["resource_providers"][0]["uuid"]
    traits = conn.placement.get(f"/resource_providers/{provider}/traits", microversion="1.39")
    return {
        "flavors": sorted(flavors["flavors"], key=lambda each: str(each["name"])),
        "access": access,
        "images": sorted(each["name"] for each in conn.image.get("/images").json()["images"]),
        "aggregates": sorted(each["name"] for each in groups),
        "traits": conn.placement.get("/traits?name=startswith:CUSTOM_", microversion="1.39").json(),
        "provider": sorted(traits.json()["traits"]),
        "registered": [each.resource_name for each in identity_of(conn).registered_limits()],
        "limits": [each.resource_name for each in identity_of(conn).limits()],
    }


def planned(cloud: Cloud, site: Path) -> CloudPlan:
    """What a plan of the site says now."""
    file = read_site(site)
    asked = desired_cloud(file.site, file.facts(), file.release)
    return plan(asked, find(cloud.conn, asked, site.parent))


def openstack(cloud: Cloud, *words: str, status: int = 0) -> Any:
    """What the openstack client shows, from its JSON; it ends with that status."""
    environment = os.environ | {"OS_CLIENT_CONFIG_FILE": str(cloud.folder.clouds_yaml)}
    client = Path(sys.executable).parent / "openstack"
    done = subprocess.run(
        [client, "--os-cloud", service_settings.CLOUD, *words, "-f", "json"],
        capture_output=True, text=True, timeout=600, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def card(cloud: Cloud) -> Iterator[str]:
    """The class of a card that Placement has below the host, as nova-compute would report it."""
    placement, resource_class = cloud.conn.placement, "CUSTOM_WHOLECARD_TEST"
    host = placement.get(f"/resource_providers?name={HOST}", microversion="1.14").json()
    root = host["resource_providers"][0]["uuid"]
    body = {"name": f"{HOST}_0000:41:00.0", "uuid": str(uuid.uuid4()),
            "parent_provider_uuid": root}  # fmt: skip
    provider = f"/resource_providers/{body['uuid']}"
    inventory = {
        "resource_provider_generation": 0,
        "inventories": {resource_class: {"total": 1}},
    }
    made = [
        placement.put(f"/resource_classes/{resource_class}", microversion="1.7"),
        placement.post("/resource_providers", json=body, microversion="1.14"),
        placement.put(f"{provider}/inventories", json=inventory, microversion="1.14"),
    ]
    try:
        assert all(answer.ok for answer in made), [answer.text for answer in made]
        yield resource_class
    finally:
        placement.delete(provider, microversion="1.14")
        placement.delete(f"/resource_classes/{resource_class}", microversion="1.7")


def test_openstack_gpu(cloud: Cloud, card: str) -> None:
    """openstackclient's own `gpu` commands see the card and count it; no flavor asks for it (4)."""
    assert openstack(cloud, "gpu", "card", "list") == [
        {"Host": HOST, "Card": "0000:41:00.0", "Resource Class": card, "Traits": [],
         "State": "free", "Servers": []}
    ]  # fmt: skip
    (row,) = openstack(cloud, "gpu", "capacity", status=4)
    assert (row["Resource Class"], row["Total"], row["Free"]) == (card, 1, 1)


def test_plan_apply_rollback(cloud: Cloud, site: Path, tmp_path: Path) -> None:
    """Applied, the cloud shows what the site asks and the next plan is empty; undone, nothing."""
    before = seen(cloud)
    state = tmp_path / "state"
    ran = cloud.wholecard("plan", "--site", str(site), "--json", state=state)
    assert (ran.status, seen(cloud)) == (1, before), ran.stderr
    planned_json = json.loads(ran.stdout)
    assert [each["rule"] for each in planned_json["findings"]] == ["WC330"]
    assert len(planned_json["actions"]) == 11
    ran = cloud.wholecard("apply", "--site", str(site), state=state)
    assert ran.status == 1, ran.stderr
    assert "Applied as journal 0001." in ran.stdout
    assert "[11/11] give flavor c.private ... " in ran.stderr
    shown = openstack(cloud, "flavor", "show", "c.card1")
    assert shown["properties"] == {
        "hw:cpu_policy": "dedicated",
        "hw:maxphysaddr_bits": "42",
        "hw:maxphysaddr_mode": "emulate",
        "hw:mem_page_size": "2048",
        "hw:pci_numa_affinity_policy": "preferred",
        "pci_passthrough:alias": "gpu:1",
        f"trait:{TRAIT}": "required",
    }
    after = seen(cloud)
    assert TRAIT in after["provider"]
    assert set(before["provider"]) < set(after["provider"])
    others = [each for each in after["flavors"] if each["name"] == "c.others"]
    assert others == [each for each in before["flavors"] if each["name"] == "c.others"]
    again = planned(cloud, site)
    assert (again.plan.actions, [each.rule for each in again.findings]) == ((), ["WC330"])
    assert cloud.wholecard("status", state=state).status == 0
    ran = cloud.wholecard("rollback", state=state)
    assert (ran.status, ran.stdout) == (0, "Journal 0001 is rolled back.\n")
    assert seen(cloud) == before


def kill_here(*_arguments: Any, **_more: Any) -> None:
    """kill -9 instead of a call."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(cloud: Cloud, run: Callable[[Any], Any], where: tuple[object, str] | int) -> None:
    """Run with a connection of its own in a process that is killed there.

    `where` is the changing call of that number, or a function that the kill replaces.
    """

    def child() -> None:
        conn = connect(service_settings.CLOUD, cloud.folder.clouds_yaml)
        if isinstance(where, tuple):
            pytest.MonkeyPatch().setattr(*where, kill_here)
            run(conn)
            return
        with counted(where, die):
            run(conn)

    assert killed(child)


def test_killed_and_finished(cloud: Cloud, site: Path, tmp_path: Path) -> None:
    """Killed again and again, in every half way that an API has, apply is finished by the next."""
    before = seen(cloud)
    journal = CloudJournal(tmp_path / "state")
    cloud_plan = planned(cloud, site).plan
    whole = [f"{each.kind} {each.subject}" for each in cloud_plan.actions]

    def apply(conn: Any) -> None:
        applying.apply(conn, journal, cloud_plan, site)

    def finish(conn: Any) -> None:
        applying.finish(conn, journal)

    # An aggregate that has no mark yet.
    killed_at(cloud, apply, (aggregates, "_set_metadata"))
    assert (journal.status()["state"], journal.status()["next"]) == ("applying", whole[2])
    # Half of an image: Glance has its name and waits for its content.
    killed_at(cloud, finish, (images.ProgressReader, "read"))
    assert journal.status()["next"] == whole[5]
    # The call was made and the log does not say so yet: four actions after each other.
    for number in (5, 6, 7, 8):
        # The lock takes two calls, each record in the log three.
        killed_at(cloud, finish, 4 if number == 5 else 10)
        assert journal.status()["next"] == whole[number]
    outcome = applying.finish(cloud.conn, journal)
    assert outcome is not None
    assert planned(cloud, site).plan.actions == ()
    assert [each["name"] for each in seen(cloud)["flavors"]].count("c.card1") == 1
    assert seen(cloud)["images"].count("guest") == 1

    def undo(conn: Any) -> None:
        applying.rollback(conn, journal)

    # Its flavors are undone when it dies, its image is not.
    killed_at(cloud, undo, (images.UploadImage, "unmake"))
    assert (journal.status()["state"], journal.status()["next"]) == ("rolling-back", whole[5])
    applying.rollback(cloud.conn, journal)
    assert seen(cloud) == before


def test_killed_and_rolled_back(cloud: Cloud, site: Path, tmp_path: Path) -> None:
    """Killed in the middle of making an aggregate, apply is undone and leaves nothing of it."""
    before = seen(cloud)
    journal = CloudJournal(tmp_path / "state")
    cloud_plan = planned(cloud, site).plan
    killed_at(
        cloud,
        lambda conn: applying.apply(conn, journal, cloud_plan, site),
        (aggregates, "_set_metadata"),
    )
    assert seen(cloud)["aggregates"] == ["gpu-hosts"]
    applying.rollback(cloud.conn, journal)
    assert seen(cloud) == before


def test_values_become_what_they_were(cloud: Cloud, site: Path, tmp_path: Path) -> None:
    """What an apply changed of what an earlier one made becomes what that one made it."""
    before = seen(cloud)
    journal = CloudJournal(tmp_path / "state")
    applying.apply(cloud.conn, journal, planned(cloud, site).plan, site)
    first = seen(cloud)
    text = SITE.replace("hugepages: 2M", "hugepages: 1G").replace("os: windows", "os: linux")
    site.write_text(text.replace(": gpu\n", ": other\n"))
    more = planned(cloud, site).plan
    assert sorted(each.kind for each in more.actions) == [
        "set extra specs of flavor",
        "set metadata of aggregate",
        "set properties of image",
    ]
    applying.apply(cloud.conn, journal, more, site)
    assert planned(cloud, site).plan.actions == ()
    applying.rollback(cloud.conn, journal)
    assert seen(cloud) == first
    site.write_text(SITE)
    assert planned(cloud, site).plan.actions == ()
    # Somebody else puts something on a flavor of ours: it stays, and so does the flavor.
    flavor = cloud.conn.compute.find_flavor("c.card1", ignore_missing=False)
    cloud.conn.compute.create_flavor_extra_specs(flavor, {"mine": "1"})
    assert applying.rollback(cloud.conn, journal).notes == (
        "flavor c.card1 stays: somebody set mine on it",
    )
    assert cloud.conn.compute.get_flavor(flavor.id).extra_specs == {"mine": "1"}
    cloud.conn.compute.delete_flavor(flavor.id)
    assert seen(cloud) == before


def test_quota(cloud: Cloud, tmp_path: Path) -> None:
    """nova's own quotas of a project are set, and afterwards what they were."""
    site = tmp_path / "site.yaml"
    site.write_text(QUOTAS)
    before = quota(cloud)
    journal = CloudJournal(tmp_path / "state")
    applying.apply(cloud.conn, journal, planned(cloud, site).plan, site)
    assert quota(cloud) == {**before, "instances": 4, "cores": 8, "ram": 4096}
    assert planned(cloud, site).plan.actions == ()
    applying.rollback(cloud.conn, journal)
    assert quota(cloud) == before


def test_unified_limits(cloud: Cloud, tmp_path: Path) -> None:
    """Keystone takes the limits, cards among them, registered without a limit for all others."""
    site = tmp_path / "site.yaml"
    site.write_text(UNIFIED)
    before = seen(cloud)
    journal = CloudJournal(tmp_path / "state")
    result = planned(cloud, site)
    assert (len(result.plan.actions), result.findings) == (3, ())
    applying.apply(cloud.conn, journal, result.plan, site)
    after = seen(cloud)
    resources = ["class:CUSTOM_PCI_1002_5046", "servers"]
    assert (sorted(after["registered"]), sorted(after["limits"])) == (resources, resources)
    site.write_text(UNIFIED.replace("instances: 4", "instances: 5").replace("unified", "auto"))
    (action,) = planned(cloud, site).plan.actions
    assert action.kind == "set limits"
    assert isinstance(action.do, SetLimit)
    assert action.do.changes == (("servers", "4", "5"),)
    applying.rollback(cloud.conn, journal)
    assert seen(cloud) == before
