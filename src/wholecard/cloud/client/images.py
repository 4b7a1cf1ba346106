"""Images as Glance has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read
from wholecard.core import UsageError

# Glance hashes what it stores, but an upload that was cut off has no hash: ours is set before.
SHA256_PROPERTY = "wholecard_sha256"

# Fields of Glance's own, which no property can have (glance: api/v2/images.py).
_GLANCE = {
    *("id", "name", "status", "disk_format", "container_format", "visibility", "owner"),
    *("checksum", "size", "virtual_size", "created_at", "updated_at", "tags", "self", "file"),
    *("schema", "min_disk", "min_ram", "protected", "os_hidden", "locations", "direct_url"),
    *("stores", "os_hash_algo", "os_hash_value"),
}


@dataclass(frozen=True)
class Image:
    """An image as it is; `sha256` is of what we uploaded, None for an image that others made.

    `copied` is whether it is a server's snapshot that nova gave the properties of an image of ours,
    our own among them; its content is the server's, and it is nobody's but its maker's.
    `properties` are those of its fields that are texts and not Glance's own.
    """

    id: str
    name: str
    status: str
    disk_format: str | None
    sha256: str | None
    properties: Mapping[str, str]
    copied: bool = False


def find_images(conn: Connection, name: str) -> tuple[Image, ...]:
    """The images of that name that the cloud shows us. Raises CloudError."""
    with answer_read(conn, f"look for the image {name}"):
        answer = conn.image.get("/images", params={"name": name, "limit": "100"})
        sdk.raise_from_response(answer)
        return tuple(
            _image(row)
            for row in answer.json()["images"]
            if row["status"] not in {"deleted", "pending_delete"}
        )


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
