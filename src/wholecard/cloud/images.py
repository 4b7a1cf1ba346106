"""Images: uploaded once, known again by their content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.errors import CloudError, api_errors
from wholecard.cloud.waiting import wait_until
from wholecard.core import UsageError, WholecardError

# Glance hashes what it stores, but an upload that was cut off has no hash: ours is set before.
SHA256_PROPERTY = "wholecard_sha256"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ImageWish:
    """An image to have: a qcow2 file, and properties such as `hw_machine_type`."""

    name: str
    file: Path
    properties: Mapping[str, str] = field(default_factory=dict)
    disk_format: str = "qcow2"


class ImageConflictError(WholecardError):
    """An image of the wished name is there and differs; it is left alone."""


def ensure_image(
    conn: Connection,
    wish: ImageWish,
    timeout: float = 600,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """The id of the image, uploaded unless it is there already, and active.

    Known again by its name and the SHA-256 of its content. An upload of ours that was cut off is
    deleted and made anew. `progress` is called with (bytes sent, bytes in all); `timeout` in
    seconds is for the time until Glance calls the image active.

    Raises UsageError when the file is not there, ImageConflictError when an image of that name has
    other content or properties, CloudError, WaitTimeoutError.
    """
    if not wish.file.is_file():
        raise UsageError(f"{wish.file} is not there", resolution="Build the image first.")
    sha256 = file_sha256(wish.file)
    with api_errors(conn, f"look for the image {wish.name}"):
        existing: list[Any] = list(conn.image.images(name=wish.name))
    for image in existing:
        found = differences(wish, sha256, dict(image.properties or {}), image.to_dict())
        if found:
            raise ImageConflictError(
                f"the image {wish.name} is there and differs",
                f"image {image.id}\n" + "\n".join(found),
                "Wish for another name, or delete that image if nobody uses it.",
            )
        if image.status == "active":
            return str(image.id)
        if image.status in {"queued", "killed"}:
            with api_errors(conn, f"delete the unfinished image {wish.name}"):
                conn.image.delete_image(image, ignore_missing=True)
        else:
            return _wait_active(conn, str(image.id), wish.name, timeout)
    return _upload(conn, wish, sha256, timeout, progress)


def differences(
    wish: ImageWish, sha256: str, properties: Mapping[str, Any], attributes: Mapping[str, Any]
) -> list[str]:
    """How an image differs from the wish, one line each; empty when it is the same.

    The SDK keeps properties that it knows by name (`hw_machine_type`) as attributes and the rest
    as `properties`; further properties that nobody wished do not matter.
    """
    wished = {SHA256_PROPERTY: sha256, **wish.properties}
    lines = []
    for key, value in sorted(wished.items()):
        is_ = properties.get(key, attributes.get(key))
        if str(is_) != value:
            lines.append(f"{key}: {is_!r} instead of {value!r}")
    if attributes.get("disk_format") != wish.disk_format:
        lines.append(f"disk_format: {attributes.get('disk_format')!r}")
    return lines


def file_sha256(file: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class ProgressReader(io.BufferedReader):
    """A file that tells how much of it has been read; what it raises is what a file raises."""

    def __init__(self, file: Path, progress: Callable[[int, int], None]) -> None:
        super().__init__(io.FileIO(file), buffer_size=_CHUNK)
        self._size = file.stat().st_size
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's, and the progress is told after it."""
        data = super().read(size)
        self._progress(self.tell(), self._size)
        return data


def _upload(
    conn: Connection,
    wish: ImageWish,
    sha256: str,
    timeout: float,
    progress: Callable[[int, int], None] | None,
) -> str:
    stream: Any  # the SDK takes files, its annotations say bytes
    with (
        api_errors(conn, f"upload the image {wish.name}"),
        ProgressReader(wish.file, progress or (lambda _sent, _size: None)) as stream,
    ):
        image = conn.image.create_image(
            wish.name,
            data=stream,
            size=wish.file.stat().st_size,
            disk_format=wish.disk_format,
            container_format="bare",
            disable_vendor_agent=False,
            allow_duplicates=True,
            meta={SHA256_PROPERTY: sha256, **wish.properties},
        )
    return _wait_active(conn, str(image.id), wish.name, timeout)


def _wait_active(conn: Connection, image_id: str, name: str, timeout: float) -> str:
    status = ""

    def probe() -> str | None:
        nonlocal status
        with api_errors(conn, f"read the image {name}"):
            status = str(conn.image.get_image(image_id).status)
        if status in {"killed", "deleted"}:
            raise CloudError(
                f"the image {name} became {status}", resolution="Glance's log has the reason."
            )
        return image_id if status == "active" else None

    return wait_until(
        f"the image {name} active",
        probe,
        timeout,
        last=lambda: f"It is {status}.",
        resolution="Glance's log has the reason.",
    )
