"""Rollbacks against an API: what is gone or refused is told, and only what is ours is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wholecard.cloud.aggregates import AddHosts, CreateAggregate, SetAggregateMetadata
from wholecard.cloud.apply import Outcome, apply, rollback
from wholecard.cloud.change import Change
from wholecard.cloud.connection import connect
from wholecard.cloud.errors import CloudError
from wholecard.cloud.flavors import DESCRIPTION, CreateFlavor, GiveFlavor, SetExtraSpecs
from wholecard.cloud.images import SHA256_PROPERTY, SetImageProperties, UploadImage, file_sha256
from wholecard.cloud.journal import Ledger
from wholecard.cloud.quotas import SetQuota
from wholecard.cloud.traits import SetHostTraits
from wholecard.core import Action, Plan

if TYPE_CHECKING:
    from cloudapi import Answer, Api

COMPUTE = "/compute/v2.1"
FLAVOR = f"{COMPUTE}/flavors/f1"
AGGREGATES = f"{COMPUTE}/os-aggregates"
QUOTA = f"{COMPUTE}/os-quota-sets/P"
TRAITS = "/placement/resource_providers/u/traits"
IMAGES = "/image/v2/images"
MADE = {"wholecard": "made"}


@dataclass
class Cloud:
    """An API with a few objects that a test changes behind our back, and the journals of it."""

    api: Api
    ledger: Ledger
    flavors: list[dict[str, Any]] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    aggregates: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    traits: list[str] = field(default_factory=list)
    quota: dict[str, int] = field(default_factory=lambda: {"cores": 20, "ram": 100})

    def apply(self, *changes: Change) -> Outcome:
        subject = [getattr(each, "name", "") or "x" for each in changes]
        actions = [Action(do.op, of, "why", do, "") for do, of in zip(changes, subject)]
        conn = connect("test", self.api.clouds, timeout=5)
        return apply(conn, self.ledger, Plan(tuple(actions)), Path("/site.yaml"))

    def rollback(self, **more: bool) -> tuple[str, ...]:
        conn = connect("test", self.api.clouds, timeout=5)
        return rollback(conn, self.ledger, **more).notes  # type: ignore[arg-type]

    @property
    def state(self) -> str:
        return str(self.ledger.status()["state"])

    @property
    def writes(self) -> list[str]:
        return [each for each in self.api.asked if each.split()[0] in ("PUT", "PATCH", "DELETE")]

    def answer(self, key: str, function: Callable[[dict[str, Any]], Answer]) -> None:
        """Answer `key` by what it was sent."""
        self.api.answers[key] = lambda: function(json.loads(self.api.sent[-1] or b"{}"))


@pytest.fixture
def cloud(api: Api, tmp_path: Path) -> Cloud:
    """Its objects are made, changed and deleted as by the real API, where this asks for it."""
    made = Cloud(api, Ledger(tmp_path / "state"))
    answers = api.answers
    answers[f"GET {COMPUTE}/flavors/detail"] = lambda: (200, {"flavors": made.flavors})
    answers[f"GET {AGGREGATES}"] = lambda: (200, {"aggregates": made.aggregates})
    answers[f"GET {IMAGES}"] = lambda: (200, {"images": made.images})
    answers[f"GET {QUOTA}"] = lambda: (200, {"quota_set": made.quota})
    answers[f"GET {FLAVOR}/os-flavor-access"] = lambda: (
        200,
        {"flavor_access": [{"flavor_id": "f1", "tenant_id": each} for each in made.access]},
    )
    answers[f"GET {TRAITS}"] = lambda: (
        200,
        {"resource_provider_generation": 1, "traits": made.traits},
    )

    values_of(made)
    flavors_of(made)
    aggregates_of(made)
    for path in (f"{COMPUTE}/flavors", AGGREGATES, IMAGES):
        for name in ("f1", "f2", "1", "2", "i1", "copy"):
            api.answers[f"DELETE {path}/{name}"] = (204, {})
    return made


def values_of(made: Cloud) -> None:
    """Traits and quotas that are put."""

    def put_traits(body: dict[str, Any]) -> Answer:
        made.traits = body["traits"]
        return 200, {}

    def put_quota(body: dict[str, Any]) -> Answer:
        made.quota |= {key: value for key, value in body["quota_set"].items() if key != "force"}
        return 200, {"quota_set": made.quota}

    made.answer(f"PUT {TRAITS}", put_traits)
    made.answer(f"PUT {QUOTA}", put_quota)


def flavors_of(made: Cloud) -> None:
    """Flavors that are made, and used by projects."""

    def create_flavor(body: dict[str, Any]) -> Answer:
        row = body["flavor"]
        public = row["os-flavor-access:is_public"]
        made.flavors.append(flavor("f1", row.get("description"), public=public))
        return 200, {"flavor": made.flavors[-1]}

    def act_on_flavor(body: dict[str, Any]) -> Answer:
        if "addTenantAccess" in body:
            made.access.append(body["addTenantAccess"]["tenant"])
        else:
            made.access.remove(body["removeTenantAccess"]["tenant"])
        return 200, {"flavor_access": []}

    made.answer(f"POST {COMPUTE}/flavors", create_flavor)
    made.answer(f"POST {FLAVOR}/action", act_on_flavor)


def aggregates_of(made: Cloud) -> None:
    """Aggregates that are made and changed, with what nova refuses of it."""

    def create_aggregate(body: dict[str, Any]) -> Answer:
        made.aggregates.append(aggregate(1, {}))
        return 200, {"aggregate": made.aggregates[-1]}

    def act_on_aggregate(body: dict[str, Any]) -> Answer:
        (there,) = made.aggregates
        if "add_host" in body:
            there["hosts"].append(body["add_host"]["host"])
        elif "remove_host" in body:
            if body["remove_host"]["host"] == "busy":
                return 409, {"conflictingRequest": {"code": 409, "message": "It has servers."}}
            there["hosts"].remove(body["remove_host"]["host"])
        else:
            metadata = body["set_metadata"]["metadata"]
            if metadata.get("availability_zone", "z") is None:
                return 400, {"badRequest": {"code": 400, "message": "empty named zone"}}
            kept = {**there["metadata"], **metadata}
            there["metadata"] = {key: each for key, each in kept.items() if each is not None}
        return 200, {"aggregate": there}

    made.answer(f"POST {AGGREGATES}", create_aggregate)
    made.answer(f"POST {AGGREGATES}/1/action", act_on_aggregate)


def flavor(
    number: str, description: str | None = DESCRIPTION, *, public: bool = True
) -> dict[str, Any]:
    return {
        "id": number, "name": "gpu", "ram": 1024, "vcpus": 1, "disk": 1, "links": [],
        "description": description, "os-flavor-access:is_public": public, "extra_specs": {},
    }  # fmt: skip


def aggregate(number: int, metadata: dict[str, str], *hosts: str) -> dict[str, Any]:
    return {"id": number, "name": "gpu", "metadata": metadata, "hosts": list(hosts)}


def set_specs_of(made: Cloud) -> Callable[[dict[str, Any]], Answer]:
    """Extra specs that are set on the first flavor."""

    def set_specs(body: dict[str, Any]) -> Answer:
        made.flavors[0]["extra_specs"] = body["extra_specs"]
        return 200, body

    return set_specs


def test_a_zone_stays(cloud: Cloud) -> None:
    """nova takes no zone away: it is not asked to, it is told, and the rest is undone."""
    cloud.aggregates = [aggregate(1, MADE)]
    changes = (("availability_zone", None, "z"), ("k", None, "v"))
    cloud.apply(SetAggregateMetadata("gpu", changes))
    assert cloud.rollback() == (
        "aggregate gpu keeps its availability zone z: nova takes none away",
    )
    assert cloud.aggregates[0]["metadata"] == {**MADE, "availability_zone": "z"}
    assert cloud.state == "clean"


def test_a_host_with_servers_stays(cloud: Cloud) -> None:
    """nova from 30 on keeps a host with servers in its zone; the other hosts go."""
    cloud.aggregates = [aggregate(1, MADE)]
    cloud.apply(AddHosts("gpu", (("busy", None, "member"), ("idle", None, "member"))))
    assert cloud.rollback() == ("host busy stays in aggregate gpu: It has servers.",)
    assert (cloud.aggregates[0]["hosts"], cloud.state) == (["busy"], "clean")


def test_a_provider_that_is_gone(cloud: Cloud) -> None:
    """With a host its provider and our traits go: nothing is left to undo."""
    cloud.apply(SetHostTraits("h", "u", (("CUSTOM_A", None, "set"),)))
    cloud.api.answers[f"GET {TRAITS}"] = (404, {"errors": [{"detail": "No such provider"}]})
    assert (cloud.rollback(), cloud.state) == ((), "clean")


def test_an_image_that_is_gone(cloud: Cloud) -> None:
    """The former property of an image that somebody deleted is not put back, and that is told."""
    row = {"id": "i1", "name": "i", "status": "active", "hw_machine_type": "pc"}
    cloud.images = [row]
    cloud.api.answers[f"PATCH {IMAGES}/i1"] = lambda: (200, row)
    change = SetImageProperties("i", "i1", (("hw_machine_type", "pc", "q35"),))
    cloud.apply(change)
    cloud.images = []
    cloud.api.answers[f"PATCH {IMAGES}/i1"] = (404, {"message": "No image found"})
    assert cloud.rollback() == ("the image i is gone: nothing of it is put back",)
    assert cloud.state == "clean"


def test_a_project_that_is_gone(cloud: Cloud) -> None:
    """nova's 400 for the quotas of a project that Keystone does not know keeps nothing back."""
    cloud.apply(
        SetQuota("p", "P", False, (("cores", "20", "40"),)),
        SetHostTraits("h", "u", (("CUSTOM_A", None, "set"),)),
    )
    said = {"badRequest": {"code": 400, "message": "Project ID P is not a valid project."}}
    cloud.api.answers[f"GET {QUOTA}"] = cloud.api.answers[f"PUT {QUOTA}"] = (400, said)
    assert cloud.rollback() == ("the project P is gone: nothing of it is put back",)
    assert (cloud.traits, cloud.state) == ([], "clean")


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_refusal_is_a_note(cloud: Cloud, status: int) -> None:
    """An action whose undoing the API refuses is told, and does not keep the others."""
    cloud.apply(
        SetHostTraits("h", "u", (("CUSTOM_A", None, "set"),)),
        SetQuota("p", "P", False, (("cores", "20", "40"),)),
    )
    cloud.api.answers[f"PUT {QUOTA}"] = (status, {"fault": {"message": "no", "code": status}})
    (note,) = cloud.rollback()
    assert note.startswith("set-quota p is not undone: ")
    assert (cloud.traits, cloud.state) == ([], "clean")
    assert cloud.apply(SetHostTraits("h", "u", (("CUSTOM_B", None, "set"),))).journals == ("0002",)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_what_may_pass_stops(cloud: Cloud, status: int) -> None:
    """A service that fails, or a user who may not, keeps the journal for the next rollback."""
    cloud.apply(SetQuota("p", "P", False, (("cores", "20", "40"),)))
    before = cloud.api.answers[f"PUT {QUOTA}"]
    cloud.api.answers[f"PUT {QUOTA}"] = (status, {})
    with pytest.raises(CloudError):
        cloud.rollback()
    assert cloud.state == "rolling-back"
    cloud.api.answers[f"PUT {QUOTA}"] = before
    assert (cloud.rollback(), cloud.quota["cores"], cloud.state) == ((), 20, "clean")


NO_KEYSTONE = {
    "badRequest": {"code": 400, "message": "Nova was unable to find Keystone service endpoint."}
}


def test_a_nova_without_keystone_stops(cloud: Cloud) -> None:
    """nova's 400 that it could not ask Keystone passes: neither quota nor access is given up."""
    create = CreateFlavor("gpu", 1024, 1, 1, public=False)
    quota = SetQuota("p", "P", False, (("cores", "20", "40"),))
    cloud.apply(quota, create, GiveFlavor("gpu", (("P", None, "yes"),)))
    for key in (f"POST {FLAVOR}/action", f"PUT {QUOTA}"):
        before = cloud.api.answers[key]
        cloud.api.answers[key] = (400, NO_KEYSTONE)
        with pytest.raises(CloudError, match="refused"):
            cloud.rollback()
        assert cloud.state == "rolling-back"
        cloud.api.answers[key] = before
    assert (cloud.rollback(), cloud.access, cloud.quota["cores"], cloud.state) == (
        (), [], 20, "clean",
    )  # fmt: skip


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("good", [0, 1])
def test_a_list_that_fails_stops(cloud: Cloud, status: int, good: int) -> None:
    """A proxy's 404 of the list, at the first look or behind it, says nothing of what is in it."""
    cloud.flavors = [flavor("f1")]
    cloud.answer(f"POST {FLAVOR}/os-extra_specs", set_specs_of(cloud))
    cloud.apply(SetExtraSpecs("gpu", (("k", None, "v"),)))
    key = f"GET {COMPUTE}/flavors/detail"
    before = cloud.api.answers[key]
    answers = [(200, {"flavors": cloud.flavors})] * good + [(status, {"x": "page not found"})] * 9
    cloud.api.answers[key] = lambda: answers.pop(0)
    with pytest.raises(CloudError):
        cloud.rollback(discard_edits=True)
    assert cloud.state == "rolling-back"
    cloud.api.answers[key] = before
    cloud.api.answers[f"DELETE {FLAVOR}/os-extra_specs/k"] = (200, {})
    assert (cloud.rollback(), cloud.writes[-1]) == ((), f"DELETE {FLAVOR}/os-extra_specs/k")


def test_quotas_are_never_unset(cloud: Cloud) -> None:
    """nova unsets a project's quotas with those of its users: what was default is set instead."""
    cloud.apply(SetQuota("p", "P", True, (("cores", "20", "40"),)))
    assert cloud.rollback() == ("quotas of p: cores set to what the defaults were, and not unset",)
    assert cloud.writes == [f"PUT {QUOTA}"] * 2
    assert cloud.quota == {"cores": 20, "ram": 100}


@pytest.mark.parametrize(
    ("there", "note"),
    [
        (flavor("f1"), None),
        (flavor("f1", "Team X's"), "it is not wholecard's"),
        (flavor("f2"), "it is f2 and not f1, which was made here"),
        ({**flavor("f1"), "extra_specs": {"mine": "1"}}, "somebody set mine on it"),
    ],
)
def test_which_flavor_goes(cloud: Cloud, there: dict[str, Any], note: str | None) -> None:
    """Of flavors only the one that was made goes, whatever is to be discarded."""
    cloud.apply(CreateFlavor("gpu", 1024, 1, 1))
    cloud.flavors = [there]
    assert cloud.rollback(discard_edits=True) == ((f"flavor gpu stays: {note}",) if note else ())
    deleted = [] if note else [f"DELETE {FLAVOR}"]
    assert (cloud.writes, cloud.state) == (deleted, "clean")


def test_a_flavor_that_others_use_stays(cloud: Cloud) -> None:
    """A private flavor that somebody let another project use is not taken from it."""
    create = CreateFlavor("gpu", 1024, 1, 1, public=False)
    cloud.apply(create, GiveFlavor("gpu", (("ours", None, "yes"),)))
    cloud.access.append("theirs")
    assert cloud.rollback() == ("flavor gpu stays: somebody let theirs use it",)
    assert (cloud.access, cloud.writes) == (["theirs"], [])


def test_a_project_that_an_old_nova_keeps(cloud: Cloud) -> None:
    """Older novas refuse to take a flavor from a project that is gone; that keeps no flavor."""
    catalog = cloud.api.answers["POST /v3/auth/tokens"][1]["token"]["catalog"]  # type: ignore[index]
    catalog.append({"type": "identity", "name": "keystone", "id": "k", "endpoints": [
        {"id": "k", "interface": "public", "region": "R", "region_id": "R",
         "url": f"{cloud.api.url}/v3"}]})  # fmt: skip
    create = CreateFlavor("gpu", 1024, 1, 1, public=False)
    cloud.apply(create, GiveFlavor("gpu", (("P", None, "yes"),)))
    said = {"badRequest": {"code": 400, "message": "Project ID P is not a valid project."}}
    cloud.api.answers[f"POST {FLAVOR}/action"] = (400, said)
    gone = {"error": {"code": 404, "message": "Could not find project: P."}}
    cloud.api.answers["GET /v3/projects/P"] = (404, gone)
    assert cloud.rollback() == (
        "flavor gpu keeps the project P: Project ID P is not a valid project.",
    )
    assert (cloud.writes, cloud.state) == ([f"DELETE {FLAVOR}"], "clean")


def test_others_flavors_keep_their_extra_specs(cloud: Cloud) -> None:
    """Extra specs that we set go with our flavor; one that was made anew keeps its own."""
    changes = (("k", None, "v"),)
    cloud.flavors = [flavor("f1")]

    cloud.answer(f"POST {FLAVOR}/os-extra_specs", set_specs_of(cloud))
    cloud.apply(SetExtraSpecs("gpu", changes))
    cloud.flavors = [{**flavor("f2", "Team X's"), "extra_specs": {"k": "v"}}]
    assert cloud.rollback() == (
        "the flavor gpu is not wholecard's any more: nothing of it is put back",
    )
    assert cloud.writes == []


@pytest.mark.parametrize(
    ("there", "note"),
    [
        (aggregate(1, MADE), None),
        (aggregate(2, {"availability_zone": "z"}), "it is not wholecard's"),
        (aggregate(2, MADE), "it is 2 and not 1, which was made here"),
        (aggregate(1, MADE, "h"), "it has h"),
    ],
)
def test_which_aggregate_goes(cloud: Cloud, there: dict[str, Any], note: str | None) -> None:
    """Of aggregates only the one that was made goes; a bare one that came later is another's."""
    cloud.apply(CreateAggregate("gpu"))
    cloud.aggregates = [there]
    assert cloud.rollback(discard_edits=True) == ((f"aggregate gpu stays: {note}",) if note else ())
    deleted = [] if note else [f"DELETE {AGGREGATES}/1"]
    assert (cloud.writes, cloud.state) == (deleted, "clean")


def test_a_bare_aggregate_is_seen_as_a_change(cloud: Cloud) -> None:
    """Once ours is whole, a bare one of its name is not half of it: it is not deleted unasked."""
    cloud.apply(CreateAggregate("gpu"))
    cloud.aggregates = [aggregate(2, {})]
    with pytest.raises(CloudError, match="changed since it was applied"):
        cloud.rollback()
    assert cloud.writes == []


def test_half_of_an_aggregate_goes(cloud: Cloud) -> None:
    """An aggregate whose making was cut off before its mark was set is deleted."""
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = (503, {})
    with pytest.raises(CloudError):
        cloud.apply(CreateAggregate("gpu"))
    assert cloud.state == "applying"
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {AGGREGATES}/1"])


def upload(cloud: Cloud, folder: Path) -> dict[str, Any]:
    """An image of ours, made through the journal."""
    file = folder / "i.qcow2"
    file.write_bytes(b"QFI\xfb")
    sha256 = file_sha256(file)
    row = {"id": "i1", "name": "i", "disk_format": "qcow2", SHA256_PROPERTY: sha256}

    def create(_: dict[str, Any]) -> Answer:
        cloud.images = [{**row, "status": "active"}]
        return 201, {**row, "status": "queued"}

    cloud.answer(f"POST {IMAGES}", create)
    cloud.api.answers[f"PUT {IMAGES}/i1/file"] = (204, {})
    cloud.api.answers[f"GET {IMAGES}/i1"] = lambda: (200, cloud.images[0])
    cloud.apply(UploadImage("i", str(file), sha256, ()))
    cloud.api.asked.clear()
    return row


@pytest.mark.parametrize("sign", [{"image_type": "snapshot"}, {"base_image_ref": "i1"}])
def test_snapshots_stay(cloud: Cloud, tmp_path: Path, sign: dict[str, str]) -> None:
    """A server's snapshot has our property from its image by inheritance, and is not ours."""
    row = upload(cloud, tmp_path)
    cloud.images.append({**row, "id": "copy", "status": "active", **sign})
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {IMAGES}/i1"])


@pytest.mark.parametrize("status", [403, 409])
def test_an_image_that_is_needed_stays(cloud: Cloud, tmp_path: Path, status: int) -> None:
    """An image that is protected, or that its back end needs, stays, and that is told."""
    upload(cloud, tmp_path)
    cloud.images[0]["protected"] = True
    cloud.api.answers[f"DELETE {IMAGES}/i1"] = (status, {"message": "no"})
    (note,) = cloud.rollback()
    assert note.startswith("image i stays (i1): ")
    assert cloud.state == "clean"


def test_another_image_stays(cloud: Cloud, tmp_path: Path) -> None:
    """An image of the same name and content that was uploaded elsewhere is not the one we made."""
    row = upload(cloud, tmp_path)
    cloud.images = [{**row, "id": "copy", "status": "active"}]
    assert cloud.rollback() == ("image i stays (copy): i1 was made here",)
    assert cloud.writes == []


def test_journals_without_ids(cloud: Cloud) -> None:
    """Journals of older releases know no ids: there the mark decides."""
    cloud.apply(CreateFlavor("gpu", 1024, 1, 1))
    log = cloud.ledger.folder / "0001/log.jsonl"
    assert '"id": "f1"' in log.read_text()
    log.write_text(log.read_text().replace(', "id": "f1"', ""))
    cloud.flavors = [flavor("f2")]
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {COMPUTE}/flavors/f2"])
