"""Images: known again by content, and the progress of reading one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.images import SHA256_PROPERTY, disk_format_of
from wholecard.cloud.operations.images import (
    ImageConflictError,
    ImageSpec,
    ProgressReader,
    differences,
    ensure_image,
)
from wholecard.core import UsageError
from wholecard.transaction.atomic_files import digest

if TYPE_CHECKING:
    from support.openstack_api import Api

WISH = ImageSpec("guest", Path("guest.qcow2"), {"hw_machine_type": "q35"})
SAME = {SHA256_PROPERTY: "abc"}
ATTRIBUTES = {"disk_format": "qcow2", "hw_machine_type": "q35", "name": "guest"}


@pytest.mark.parametrize(
    ("properties", "attributes", "lines"),
    [
        (SAME, ATTRIBUTES, []),
        ({**SAME, "more": "1"}, ATTRIBUTES, []),
        ({SHA256_PROPERTY: "abd"}, ATTRIBUTES, ["wholecard_sha256: 'abd' instead of 'abc'"]),
        ({}, ATTRIBUTES, ["wholecard_sha256: None instead of 'abc'"]),
        (
            SAME,
            {**ATTRIBUTES, "hw_machine_type": "pc"},
            ["hw_machine_type: 'pc' instead of 'q35'"],
        ),
        (SAME, {**ATTRIBUTES, "disk_format": "raw"}, ["disk_format: 'raw'"]),
    ],
)
def test_differences(
    properties: dict[str, str], attributes: dict[str, str], lines: list[str]
) -> None:
    """Content, wished properties and format have to agree; what nobody wished does not matter."""
    assert differences(WISH, "abc", properties, attributes) == lines


def test_sha256(tmp_path: Path) -> None:
    """The hash is that of the whole file."""
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert digest(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_progress_goes_up_to_the_whole(tmp_path: Path) -> None:
    """Reading in pieces tells each time how much of how much has been read."""
    (tmp_path / "a").write_bytes(b"x" * 10)
    told: list[tuple[int, int]] = []
    with ProgressReader(tmp_path / "a", lambda *both: told.append(both)) as stream:
        while stream.read(4):
            pass
    assert told == [(4, 10), (8, 10), (10, 10), (10, 10)]


CONTENT = b"qcow2 of a guest"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
IMAGES = "/image/v2/images"


def wish_for(folder: Path) -> ImageSpec:
    """A wish for a small file in that folder."""
    (folder / "guest.qcow2").write_bytes(CONTENT)
    return ImageSpec("guest", folder / "guest.qcow2", {"hw_machine_type": "q35"})


def image(status: str, sha256: str = SHA256) -> dict[str, Any]:
    """An image as Glance shows it: properties stand beside the attributes."""
    return {
        "id": "i1", "name": "guest", "status": status, "disk_format": "qcow2",
        "container_format": "bare", "hw_machine_type": "q35", SHA256_PROPERTY: sha256,
    }  # fmt: skip


def glance_of(api: Api, *there: dict[str, Any]) -> None:
    """A Glance that has these images and takes another."""
    api.answers[f"GET {IMAGES}"] = (200, {"images": list(there)})
    api.answers[f"POST {IMAGES}"] = (201, image("queued"))
    api.answers[f"PUT {IMAGES}/i1/file"] = (204, {})
    api.answers[f"DELETE {IMAGES}/i1"] = (204, {})
    api.answers[f"GET {IMAGES}/i1"] = (200, image("active"))


@pytest.mark.parametrize("there", [[], [image("queued")]])
def test_upload(api: Api, tmp_path: Path, there: list[dict[str, Any]]) -> None:
    """An image that is not there, or whose upload was cut off, is sent with its properties."""
    glance_of(api, *there)
    told: list[tuple[int, int]] = []
    found = ensure_image(
        connect("test", api.clouds),
        wish_for(tmp_path),
        timeout=5,
        progress=lambda *both: told.append(both),
    )
    assert found == ("i1", True)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    created = json.loads(api.sent[api.asked.index(f"POST {IMAGES}")])
    assert created["hw_machine_type"] == "q35"
    assert created[SHA256_PROPERTY] == SHA256
    assert api.sent[api.asked.index(f"PUT {IMAGES}/i1/file")] == CONTENT
    assert api.asked.count(f"DELETE {IMAGES}/i1") == len(there)


def test_same_content_is_not_sent_again(api: Api, tmp_path: Path) -> None:
    """An image of the same name, content and properties is taken as it is."""
    glance_of(api, image("active"))
    assert ensure_image(connect("test", api.clouds), wish_for(tmp_path)) == ("i1", False)
    assert f"POST {IMAGES}" not in api.asked


def test_other_content_is_left_alone(api: Api, tmp_path: Path) -> None:
    """An image of the same name with other content is neither used nor replaced."""
    glance_of(api, image("active", sha256="0"))
    with pytest.raises(ImageConflictError, match="wholecard_sha256: '0' instead of"):
        ensure_image(connect("test", api.clouds), wish_for(tmp_path))
    assert not {f"POST {IMAGES}", f"DELETE {IMAGES}/i1"} & set(api.asked)


def test_a_file_that_is_not_there(api: Api) -> None:
    """Without its file an image cannot be wished for."""
    with pytest.raises(UsageError, match="does not exist"):
        ensure_image(connect("test", api.clouds), WISH)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"QFI\xfb\0\0\0\3", "qcow2"), (b"QFI", "raw"), (b"\0QFI\xfb", "raw"), (b"", "raw")],
)
def test_format_of_a_file(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file is qcow2 by its first four bytes, whatever its name is, and raw without them."""
    file = tmp_path / "guest.qcow2"
    file.write_bytes(content)
    assert disk_format_of(file) == expected


def test_format_of_no_file(tmp_path: Path) -> None:
    """A file that cannot be read is named with the reason."""
    with pytest.raises(UsageError, match=r"cannot read .*guest.img: No such file"):
        disk_format_of(tmp_path / "guest.img")
