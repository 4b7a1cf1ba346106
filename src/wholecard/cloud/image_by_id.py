"""One image: by its id, hidden ones too, or by a name that only one image has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors
from wholecard.cloud.client.images import find_images
from wholecard.core import UsageError

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class ImageWords:
    """An image's name, and those of its fields that are texts; Glance's own may be among them."""

    name: str
    properties: Mapping[str, str]


def image_by_id(conn: Connection, image_id: str) -> ImageWords | None:
    """The image of that id, None where it is gone or not ours to see. Raises CloudError."""
    with api_errors(conn, f"read the image {image_id}"):
        answer = conn.image.get(f"/images/{image_id}")
        if answer.status_code in (403, 404):
            return None
        sdk.raise_from_response(answer)
        row = answer.json()
    texts = {key: value for key, value in row.items() if isinstance(value, str)}
    return ImageWords(texts.get("name", image_id), texts)


def the_image(conn: Connection, name: str) -> ImageWords:
    """The image of that id, or of that name.

    Raises UsageError where there is none, or several of the name: a server is made of one of them,
    and their properties may differ. CloudError.
    """
    by_id = image_by_id(conn, name) if _ID.fullmatch(name) else None
    if by_id:
        return by_id
    named = find_images(conn, name)
    if not named:
        raise UsageError(
            f"the cloud has no image {name}",
            resolution="openstack image list shows those that it has; a hidden one is known by its "
            "id alone.",
        )
    if len(named) > 1:
        raise UsageError(
            f"the cloud has {len(named)} images {name}",
            "\n".join(each.id for each in named),
            "Name one by its id: --image ID",
        )
    return ImageWords(named[0].name, named[0].properties)
