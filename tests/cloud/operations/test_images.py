"""Properties of an image: what Glance is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import GoneError
from wholecard.cloud.client.images import SHA256_PROPERTY
from wholecard.cloud.operations.images import SetImageProperties, UploadImage

if TYPE_CHECKING:
    from support.openstack_api import Api

IMAGES = "/image/v2/images"
SET = SetImageProperties(
    "i", "i1", (("hw_a", None, "new"), ("hw_b", "old", "other"), ("hw_c/~d", "old", None))
)


def test_one_patch_has_each_kind_of_change(api: Api) -> None:
    """What the image has now decides on add, replace or remove; JSON pointers are escaped."""
    row = {"id": "i1", "name": "i", "status": "active", "hw_b": "old", "hw_c/~d": "old"}
    copy = {"id": "i2", "name": "i", "status": "active", "hw_a": "a copy's"}
    api.answers[f"GET {IMAGES}"] = (200, {"images": [copy, row]})
    api.answers[f"PATCH {IMAGES}/i1"] = (200, row)
    assert SET.put(connect("test", api.clouds), SET.state_after) is None
    assert json.loads(api.sent[-1]) == [
        {"op": "add", "path": "/hw_a", "value": "new"},
        {"op": "replace", "path": "/hw_b", "value": "other"},
        {"op": "remove", "path": "/hw_c~1~0d"},
    ]


def test_what_is_not_there_is_not_removed(api: Api) -> None:
    """Glance refuses to remove a property that an image has not; it is not asked to."""
    row = {"id": "i1", "name": "i", "status": "active"}
    api.answers[f"GET {IMAGES}"] = (200, {"images": [row]})
    api.answers[f"PATCH {IMAGES}/i1"] = (200, row)
    SET.put(connect("test", api.clouds), SET.state_after)
    assert [change["op"] for change in json.loads(api.sent[-1])] == ["add", "add"]


def test_an_image_that_is_gone(api: Api) -> None:
    """An image that is deleted meanwhile is named."""
    api.answers[f"GET {IMAGES}"] = (200, {"images": []})
    api.answers[f"PATCH {IMAGES}/i1"] = (404, {"message": "No image found"})
    with pytest.raises(GoneError, match="the image i is gone"):
        SET.put(connect("test", api.clouds), SET.state_after)


def image(number: str, sha256: str = "abc", status: str = "active") -> dict[str, str]:
    return {"id": number, "name": "i", "status": status, SHA256_PROPERTY: sha256}


def test_the_command_has_the_least_disk() -> None:
    """The openstack client's command asks for the same smallest disk, where one is known."""
    upload = UploadImage("i", "/i.qcow2", "abc", ())
    assert "--min-disk" not in upload.describe()
    assert "--disk-format qcow2 --min-disk 5 " in replace(upload, min_disk=5).describe()


@pytest.mark.parametrize(
    ("rows", "made"),
    [
        ([], None),
        ([image("i1")], "i1"),
        ([image("i1"), image("i2")], None),
        ([image("i1"), image("i2", status="queued")], "i1"),
        ([image("i1", status="saving")], None),
        ([image("i1", sha256="another"), image("i2")], "i2"),
    ],
)
def test_what_an_interrupted_run_had_made(
    api: Api, rows: list[dict[str, str]], made: str | None
) -> None:
    """The one whole image of this content is what an interrupted run made; of two, none is."""
    api.answers[f"GET {IMAGES}"] = (200, {"images": rows})
    change = UploadImage("i", "/i.qcow2", "abc", ())
    assert change.made(connect("test", api.clouds)) == made
