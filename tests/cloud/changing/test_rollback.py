"""Rollbacks against an API: what is gone or refused is told, and only what is ours is deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.openstack_api import offer_keystone
from support.openstack_objects import (
    AGGREGATES,
    COMPUTE,
    FLAVOR,
    IMAGES,
    MADE,
    QUOTA,
    TRAITS,
    Cloud,
    aggregate,
    flavor,
    set_specs_of,
    upload,
)
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.operations.aggregates import AddHosts, CreateAggregate, SetAggregateMetadata
from wholecard.cloud.operations.flavors import CreateFlavor, GiveFlavor, SetExtraSpecs
from wholecard.cloud.operations.images import SetImageProperties
from wholecard.cloud.operations.quotas import SetQuota
from wholecard.cloud.operations.traits import SetHostTraits
from wholecard.core import WholecardError


def test_a_zone_stays(cloud: Cloud) -> None:
    """nova takes no zone away: it is not asked to, it is told, and the rest is undone."""
    cloud.aggregates = [aggregate(1, MADE)]
    changes = (("availability_zone", None, "z"), ("k", None, "v"))
    cloud.apply(SetAggregateMetadata("gpu", changes))
    assert cloud.rollback() == (
        "aggregate gpu keeps its availability zone z: nova cannot remove a zone",
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
    assert cloud.rollback() == ("the image i is gone: nothing of it is restored",)
    assert cloud.state == "clean"


def test_a_project_that_is_gone(cloud: Cloud) -> None:
    """nova's 400 for the quotas of a project that Keystone does not know keeps nothing back."""
    cloud.apply(
        SetQuota("p", "P", False, (("cores", "20", "40"),)),
        SetHostTraits("h", "u", (("CUSTOM_A", None, "set"),)),
    )
    said = {"badRequest": {"code": 400, "message": "Project ID P is not a valid project."}}
    cloud.api.answers[f"GET {QUOTA}"] = cloud.api.answers[f"PUT {QUOTA}"] = (400, said)
    assert cloud.rollback() == ("the project P is gone: nothing of it is restored",)
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


def test_quotas_are_never_unset(cloud: Cloud) -> None:
    """nova unsets a project's quotas with those of its users: what was default is set instead."""
    cloud.apply(SetQuota("p", "P", True, (("cores", "20", "40"),)))
    assert cloud.rollback() == (
        "quotas of p: cores set to the former default values; nova cannot unset single quotas",
    )
    assert cloud.writes == [f"PUT {QUOTA}"] * 2
    assert cloud.quota == {"cores": 20, "ram": 100}


@pytest.mark.parametrize(
    ("there", "note"),
    [
        (flavor("f1"), None),
        (flavor("f1", "Team X's"), "Wholecard did not make it"),
        (flavor("f2"), "its id is f2, not f1, which Wholecard created"),
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
    assert cloud.rollback() == ("flavor gpu stays: somebody gave theirs access to it",)
    assert (cloud.access, cloud.writes) == (["theirs"], [])


def test_a_project_that_an_old_nova_keeps(cloud: Cloud) -> None:
    """Older novas refuse to take a flavor from a project that is gone; that keeps no flavor."""
    offer_keystone(cloud.api)
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
        "the flavor gpu is no longer marked as made by Wholecard: nothing of it is restored",
    )
    assert cloud.writes == []


@pytest.mark.parametrize(
    ("there", "note"),
    [
        (aggregate(1, MADE), None),
        (aggregate(2, {"availability_zone": "z"}), "Wholecard did not make it"),
        (aggregate(2, MADE), "its id is 2, not 1, which Wholecard created"),
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
    with pytest.raises(WholecardError, match="changed since it was applied"):
        cloud.rollback()
    assert cloud.writes == []


def test_half_of_an_aggregate_goes(cloud: Cloud) -> None:
    """An aggregate whose making was cut off before its mark was set is deleted."""
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = (503, {})
    with pytest.raises(CloudError):
        cloud.apply(CreateAggregate("gpu"))
    assert cloud.state == "applying"
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {AGGREGATES}/1"])


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


def test_journals_without_ids(cloud: Cloud) -> None:
    """Where a kill left no id in the log, the mark decides."""
    cloud.apply(CreateFlavor("gpu", 1024, 1, 1))
    log = cloud.ledger.folder / "0001/log.jsonl"
    assert '"id": "f1"' in log.read_text()
    log.write_text(log.read_text().replace(', "id": "f1"', ""))
    cloud.flavors = [flavor("f2")]
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {COMPUTE}/flavors/f2"])
