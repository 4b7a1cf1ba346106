"""Rollbacks where an object was made anew by others, and where an API fails for a while."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.openstack_objects import (
    COMPUTE,
    FLAVOR,
    IMAGES,
    MADE,
    QUOTA,
    Cloud,
    aggregate,
    flavor,
    set_specs_of,
    upload,
)
from wholecard.cloud.changing.apply import finish
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError, GoneError
from wholecard.cloud.client.images import SHA256_PROPERTY
from wholecard.cloud.operations.aggregates import AddHosts, CreateAggregate, SetAggregateMetadata
from wholecard.cloud.operations.flavors import CreateFlavor, GiveFlavor, SetExtraSpecs
from wholecard.cloud.operations.images import UploadImage
from wholecard.cloud.operations.quotas import SetQuota
from wholecard.transaction.atomic_files import digest

if TYPE_CHECKING:
    from support.openstack_api import Answer

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


def test_another_image_stays(cloud: Cloud, tmp_path: Path) -> None:
    """An image of the same name and content that was uploaded elsewhere is not the one we made."""
    row = upload(cloud, tmp_path)
    cloud.images = [{**row, "id": "copy", "status": "active"}]
    assert cloud.rollback() == ("image i stays (copy): i1 was made here",)
    assert cloud.writes == []


def anew(flavors: list[dict[str, Any]], **more: object) -> list[dict[str, Any]]:
    """The flavors, deleted and made again with the same mark and values."""
    return [{**each, "id": "f2", **more} for each in flavors]


@pytest.mark.parametrize("discard", [False, True])
def test_a_flavor_that_was_made_anew(cloud: Cloud, discard: bool) -> None:
    """A flavor that another run of wholecard's made in place of ours keeps all that it has."""
    cloud.answer(f"POST {FLAVOR}/os-extra_specs", set_specs_of(cloud))
    create = CreateFlavor("gpu", 1024, 1, 1, public=False)
    specs, give = (
        SetExtraSpecs("gpu", (("k", None, "v"),)),
        GiveFlavor("gpu", (("P", None, "yes"),)),
    )
    cloud.apply(create, specs, give)
    cloud.flavors = anew(cloud.flavors)
    cloud.api.answers[f"GET {COMPUTE}/flavors/f2/os-flavor-access"] = cloud.api.answers[
        f"GET {FLAVOR}/os-flavor-access"
    ]
    cloud.api.asked.clear()
    other = "the flavor gpu is now f2, not f1, which Wholecard changed: nothing of it is restored"
    assert cloud.rollback(discard_edits=discard) == (
        other, other, "flavor gpu stays: its id is f2, not f1, which Wholecard created",
    )  # fmt: skip
    assert not [each for each in cloud.api.asked if "/f2" in each and not each.startswith("GET")]
    assert (cloud.writes, cloud.state) == ([], "clean")


def test_an_aggregate_that_was_made_anew(cloud: Cloud) -> None:
    """So does an aggregate: its metadata and its hosts."""
    metadata = SetAggregateMetadata("gpu", (("k", None, "v"),))
    cloud.apply(CreateAggregate("gpu"), metadata, AddHosts("gpu", (("idle", None, "member"),)))
    cloud.aggregates = [aggregate(2, {**MADE, "k": "v"}, "idle")]
    cloud.api.asked.clear()
    other = "the aggregate gpu is now 2, not 1, which Wholecard changed: nothing of it is restored"
    assert cloud.rollback() == (
        other, other, "aggregate gpu stays: its id is 2, not 1, which Wholecard created",
    )  # fmt: skip
    assert not [each for each in cloud.api.asked if each.startswith("POST /compute")]
    assert cloud.state == "clean"


def test_finishing_on_a_flavor_that_was_made_anew(cloud: Cloud) -> None:
    """An apply that was cut off within a change is not finished on another object."""
    cloud.flavors = [flavor("f1")]
    cloud.api.answers[f"POST {FLAVOR}/os-extra_specs"] = (503, {})
    with pytest.raises(CloudError):
        cloud.apply(SetExtraSpecs("gpu", (("k", None, "v"),)))
    cloud.flavors = anew(cloud.flavors)
    with pytest.raises(GoneError, match="is now f2, not f1"):
        finish(connect("test", cloud.api.clouds, timeout=5), cloud.ledger)
    assert (cloud.rollback(), cloud.state) == ((), "clean")


def test_values_of_journals_without_ids(cloud: Cloud) -> None:
    """Where the log has no id of what was changed, the mark decides."""
    cloud.flavors = [flavor("f1")]
    cloud.answer(f"POST {FLAVOR}/os-extra_specs", set_specs_of(cloud))
    cloud.apply(SetExtraSpecs("gpu", (("k", None, "v"),)))
    log = cloud.ledger.folder / "0001/log.jsonl"
    assert '"id": "f1"' in log.read_text()
    log.write_text(log.read_text().replace(', "id": "f1"', ""))
    cloud.flavors = anew(cloud.flavors)
    key = f"DELETE {COMPUTE}/flavors/f2/os-extra_specs/k"
    cloud.api.answers[key] = (200, {})
    assert (cloud.rollback(), cloud.writes) == ((), [key])


def test_two_uploads_at_once(cloud: Cloud, tmp_path: Path) -> None:
    """Of two images that were uploaded at once from one file the one that was made here goes."""
    row = upload(cloud, tmp_path, {"id": "i2"})
    assert len(cloud.images) == 2
    assert cloud.rollback() == ("image i stays (i2): i1 was made here",)
    assert (cloud.writes, row["id"], cloud.state) == ([f"DELETE {IMAGES}/i1"], "i1", "clean")


def test_two_images_without_an_id(cloud: Cloud, tmp_path: Path) -> None:
    """Where the journal does not know which of two images it made, both stay."""
    upload(cloud, tmp_path, {"id": "i2"})
    log = cloud.ledger.folder / "0001/log.jsonl"
    log.write_text(log.read_text().replace(', "id": "i1"', ""))
    assert cloud.rollback() == (
        "images i stay (i1, i2): it is not known which of them Wholecard made",
    )
    assert (cloud.writes, cloud.state) == ([], "clean")


def test_an_upload_of_others_that_was_waited_for(cloud: Cloud, tmp_path: Path) -> None:
    """An image that another's upload brought to its end is his, and stays."""
    file = tmp_path / "i.qcow2"
    file.write_bytes(b"QFI\xfb")
    sha256 = digest(file)
    row = {
        "id": "i2", "name": "i", "disk_format": "qcow2", SHA256_PROPERTY: sha256,
        "status": "saving",
    }  # fmt: skip
    cloud.images = [row]

    def settle() -> Answer:
        row["status"] = "active"
        return 200, row

    cloud.api.answers[f"GET {IMAGES}/i2"] = settle
    cloud.api.answers[f"DELETE {IMAGES}/i2"] = (204, {})
    cloud.apply(UploadImage("i", str(file), sha256, (), half=True))
    assert f"POST {IMAGES}" not in cloud.api.asked
    assert (cloud.rollback(), cloud.writes, cloud.state) == ((), [], "clean")
