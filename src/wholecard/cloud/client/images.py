"""Images as Glance has them: by a name, or one by its id, hidden ones too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read, api_errors
from wholecard.core import UsageError

# Glance's own hash is set when an upload ends: ours is set before, for one that is cut off.
SHA256_PROPERTY = "wholecard_sha256"
# What went into an image that was built: the identity that the record beside its file has.
RECIPE_PROPERTY = "wholecard_recipe_sha256"

# Fields of Glance's own, which no property can have (glance: api/v2/images.py).
_GLANCE = {
    *("id", "name", "status", "disk_format", "container_format", "visibility", "owner"),
    *("checksum", "size", "virtual_size", "created_at", "updated_at", "tags", "self", "file"),
    *("schema", "min_disk", "min_ram", "protected", "os_hidden", "locations", "direct_url"),
    *("stores", "os_hash_algo", "os_hash_value"),
}

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """An image as it is; `sha256` is of what we uploaded, None for others' images.

    `copied` tells a server's snapshot to which nova copied our image's properties, with
    SHA256_PROPERTY among them: its content is the server's, and we did not make it.
    `properties` are those of its fields that are texts and not Glance's own.
    """

    id: str
    name: str
    status: str
    disk_format: str | None
    sha256: str | None
    properties: Mapping[str, str]
    copied: bool = False


@dataclass(frozen=True)
class ImageProperties:
    """An image's name, and those of its fields that are texts; Glance's own may be among them."""

    name: str
    properties: Mapping[str, str]


def find_images(conn: Connection, name: str) -> tuple[Image, ...]:
    """The images of that name that the cloud shows us. Raises CloudError."""
    with answer_read(conn, f"look for the image {name}"):
        response = conn.image.get("/images", params={"name": name, "limit": "100"})
        sdk.raise_from_response(response)
        return tuple(
            _image(row)
            for row in response.json()["images"]
            if row["status"] not in {"deleted", "pending_delete"}
        )


def image_by_id(conn: Connection, image_id: str) -> ImageProperties | None:
    """The image of that id, None where it is deleted or not shown to us. Raises CloudError."""
    with api_errors(conn, f"read the image {image_id}"):
        response = conn.image.get(f"/images/{image_id}")
        if response.status_code in (403, 404):
            return None
        sdk.raise_from_response(response)
        row = response.json()
    texts = {key: value for key, value in row.items() if isinstance(value, str)}
    return ImageProperties(texts.get("name", image_id), texts)


def the_image(conn: Connection, name: str) -> ImageProperties:
    """The image of that id, or the only one of that name.

    Raises UsageError where the cloud has none, or several of the name: a server is made from one
    of them, and their properties may differ. CloudError.
    """
    by_id = image_by_id(conn, name) if _ID.fullmatch(name) else None
    if by_id:
        return by_id
    named = _the_named(conn, name)
    return ImageProperties(named.name, named.properties)


def image_to_boot(conn: Connection, name: str) -> Image:
    """As `the_image`, with its id and its status. Raises UsageError, CloudError."""
    if _ID.fullmatch(name):
        with answer_read(conn, f"read the image {name}"):
            response = conn.image.get(f"/images/{name}")
            if response.status_code not in (403, 404):
                sdk.raise_from_response(response)
                return _image(response.json())
    return _the_named(conn, name)


def _the_named(conn: Connection, name: str) -> Image:
    named = find_images(conn, name)
    if not named:
        raise UsageError(
            f"the cloud has no image {name}",
            resolution="openstack image list shows its images; name a hidden one by its id.",
        )
    if len(named) > 1:
        raise UsageError(
            f"the cloud has {len(named)} images {name}",
            "\n".join(image.id for image in named),
            "Name one by its id: --image ID",
        )
    return named[0]


def _image(row: dict[str, Any]) -> Image:
    sha256 = row.get(SHA256_PROPERTY)
    snapshot = is_snapshot(row)
    return Image(
        id=str(row["id"]),
        name=str(row["name"]),
        status=str(row["status"]),
        disk_format=row.get("disk_format"),
        sha256=None if snapshot else sha256,
        properties={
            key: value
            for key, value in row.items()
            if key not in _GLANCE and isinstance(value, str)
        },
        copied=snapshot and sha256 is not None,
    )


def is_snapshot(properties: Mapping[str, Any]) -> bool:
    """Whether nova made the image of a server (nova/compute/utils.py, create_image)."""
    return properties.get("image_type") == "snapshot" or bool(properties.get("base_image_ref"))


def disk_format_of(file: Path) -> str:
    """`qcow2` or `raw`, by the first bytes. Raises UsageError when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return "qcow2" if stream.read(4) == b"QFI\xfb" else "raw"
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
