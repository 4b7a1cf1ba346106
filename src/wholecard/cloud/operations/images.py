"""Images: uploaded once, known again by their content."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, GoneError, answer_read, api_errors, words_of
from wholecard.cloud.client.images import SHA256_PROPERTY, Image, find_images, is_snapshot
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.operations.operation import Creation, Value, Values, property_commands
from wholecard.core import State, UsageError, WholecardError
from wholecard.core.plan import HALF
from wholecard.transaction.atomic_files import digest

_CHUNK = 1 << 20
_LOG = "Glance's log has the reason."
_ON_ITS_WAY = frozenset({"saving", "importing", "uploading"})


@dataclass(frozen=True)
class ImageSpec:
    """An image to have: a qcow2 file, and properties such as `hw_machine_type`.

    `min_disk` is in GiB, 0 for none; nova's API refuses a server whose flavor's disk is smaller,
    but for a flavor with the disk 0, and one whose volume is (compute/api.py,
    FlavorDiskSmallerThanMinDisk, VolumeSmallerThanMinDisk).
    """

    name: str
    file: Path
    properties: Mapping[str, str] = field(default_factory=dict)
    disk_format: str = "qcow2"
    min_disk: int = 0


@dataclass(frozen=True)
class UploadImage(Creation):
    """Upload `file`, whose SHA-256 it is, with sorted properties; `half` where one is begun.

    `min_disk` as in ImageSpec.
    """

    kind: ClassVar[str] = "upload-image"

    name: str
    file: str
    sha256: str
    properties: tuple[tuple[str, str], ...]
    disk_format: str = "qcow2"
    half: bool = False
    min_disk: int = 0

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        properties = (*self.properties, (SHA256_PROPERTY, self.sha256))
        least = f"--min-disk {self.min_disk} " if self.min_disk else ""
        pairs = " ".join(f"--property {key}={shlex.quote(value)}" for key, value in properties)
        return (
            f"openstack image create --file {shlex.quote(self.file)} "
            f"--disk-format {self.disk_format} {least}{pairs} {shlex.quote(self.name)}"
        )

    @property
    def state_before(self) -> State:
        """No such image, or one of ours that was not finished."""
        return {self.name: HALF if self.half else None}

    @property
    def state_after(self) -> State:
        """An image of ours of this content."""
        return {self.name: self.sha256}

    def look(self, conn: Connection) -> State:
        """The content of the image of this name that is ours; another one's is `not ours`."""
        images = [image for image in find_images(conn, self.name) if not image.copied]
        ours = [image for image in images if image.sha256 == self.sha256]
        if any(image.status == "active" for image in ours):
            return {self.name: self.sha256}
        return {self.name: HALF if ours else "not ours" if images else None}

    def make(self, conn: Connection) -> str | None:
        """Upload it; its id, None where another upload of it was there or came to its end."""
        desired = ImageSpec(
            self.name, Path(self.file), dict(self.properties), self.disk_format, self.min_disk
        )
        if digest(desired.file) != self.sha256:
            brief = f"{self.file} was changed since the plan was made"
            raise CloudError(brief, resolution="Plan again, or roll back.")
        image_id, uploaded = ensure_image(conn, desired)
        return image_id if uploaded else None

    def made(self, conn: Connection) -> str | None:
        """The id of the image of this name and content that is ours and whole."""
        images = [image for image in self._ours(conn) if image.status == "active"]
        return images[0].id if len(images) == 1 else None

    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:  # noqa: ARG002
        """Delete the image of this name and content that was made, or is the only one of ours.

        `half` does not matter: an image has its mark before its content.
        """
        notes = []
        images = self._ours(conn)
        if made is None and len(images) > 1:
            ids = ", ".join(sorted(image.id for image in images))
            return f"images {self.name} stay ({ids}): it is not known which of them Wholecard made"
        for image in images:
            stays = f"image {self.name} stays ({image.id}): "
            if made not in (None, image.id):
                notes.append(f"{stays}{made} was made here")
                continue
            try:
                conn.image.delete_image(image.id, ignore_missing=True)
            except (sdk.ForbiddenException, sdk.ConflictException) as error:
                # 403 of one that is protected, 409 of one that a back end still needs.
                refused = isinstance(error, sdk.ForbiddenException)
                if refused and not conn.image.get_image(image.id).is_protected:
                    raise
                notes.append(f"{stays}{words_of(conn, error)}")
        return "; ".join(notes) or None

    def _ours(self, conn: Connection) -> list[Image]:
        return [image for image in find_images(conn, self.name) if image.sha256 == self.sha256]


@dataclass(frozen=True)
class SetImageProperties(Values):
    """Set properties of an image of ours, by its id; `name` is for the person."""

    kind: ClassVar[str] = "set-image-properties"

    name: str
    id: str
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        which = f"{self.id}  # {self.name}"
        return "\n".join(property_commands("image", self.changes, which))

    def look(self, conn: Connection) -> State:
        """These properties as they are."""
        images = [image for image in find_images(conn, self.name) if image.id == self.id]
        properties: Mapping[str, str] = images[0].properties if images else {}
        return {key: properties.get(key) for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Set and remove them in one call (JSON patch, RFC 6902, as Glance takes it)."""
        now = self.look(conn)
        patch = []
        for key, value in sorted(state.items()):
            path = "/" + key.replace("~", "~0").replace("/", "~1")
            if value is not None:
                verb = "add" if now[key] is None else "replace"
                patch.append({"op": verb, "path": path, "value": value})
            elif now[key] is not None:
                patch.append({"op": "remove", "path": path})
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        answer = conn.image.patch(f"/images/{self.id}", data=json.dumps(patch), headers=headers)
        if answer.status_code == 404:
            raise GoneError(f"the image {self.name} is gone", resolution="See who deleted it.")
        sdk.raise_from_response(answer)
        return None


class ImageConflictError(WholecardError):
    """An image of the desired name exists and differs; it is left alone."""


def ensure_image(
    conn: Connection,
    desired: ImageSpec,
    timeout: float = 600,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[str, bool]:
    """The id of the image, active, and whether it was uploaded here or existed already.

    Known again by its name and the SHA-256 of its content. An upload of ours that was interrupted
    is deleted and made again. `progress` is called with (bytes sent, bytes in all); `timeout` in
    seconds is for the time until Glance calls the image active.

    Raises UsageError when the file does not exist, ImageConflictError when an image of that name
    has other content or properties, CloudError, WaitTimeoutError.
    """
    if not desired.file.is_file():
        raise UsageError(f"{desired.file} does not exist", resolution="Build the image first.")
    sha256 = digest(desired.file)
    with answer_read(conn, f"look for the image {desired.name}"):
        existing: list[Any] = [
            image
            for image in conn.image.images(name=desired.name)
            if not is_snapshot({**image.to_dict(), **(image.properties or {})})
        ]
    for image in existing:
        lines = differences(desired, sha256, dict(image.properties or {}), image.to_dict())
        if lines:
            raise ImageConflictError(
                f"the image {desired.name} exists and differs",
                f"image {image.id}\n" + "\n".join(lines),
                "Give the image another name, or delete that image if nobody uses it.",
            )
        status = str(image.status)
        if status in _ON_ITS_WAY:
            status = _settled(conn, str(image.id), desired.name, timeout)
        if status == "active":
            return str(image.id), False
        with api_errors(conn, f"delete the unfinished image {desired.name}"):
            conn.image.delete_image(image, ignore_missing=True)
    return _upload(conn, desired, sha256, timeout, progress), True


def differences(
    desired: ImageSpec, sha256: str, properties: Mapping[str, Any], attributes: Mapping[str, Any]
) -> list[str]:
    """How an image differs from the desired one, one line each; empty when it is the same.

    The SDK keeps properties that it knows by name (`hw_machine_type`) as attributes and the rest
    as `properties`; further properties that nobody asked for do not matter.
    """
    lines = []
    for key, value in sorted({SHA256_PROPERTY: sha256, **desired.properties}.items()):
        is_ = properties.get(key, attributes.get(key))
        if str(is_) != value:
            lines.append(f"{key}: {is_!r} instead of {value!r}")
    if attributes.get("disk_format") != desired.disk_format:
        lines.append(f"disk_format: {attributes.get('disk_format')!r}")
    return lines


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
    desired: ImageSpec,
    sha256: str,
    timeout: float,
    progress: Callable[[int, int], None] | None,
) -> str:
    stream: Any  # the SDK takes files, its annotations say bytes
    with (
        api_errors(conn, f"upload the image {desired.name}"),
        ProgressReader(desired.file, progress or (lambda _sent, _size: None)) as stream,
    ):
        image = conn.image.create_image(
            desired.name,
            data=stream,
            size=desired.file.stat().st_size,
            disk_format=desired.disk_format,
            container_format="bare",
            min_disk=desired.min_disk,
            disable_vendor_agent=False,
            allow_duplicates=True,
            meta={SHA256_PROPERTY: sha256, **desired.properties},
        )
    return _wait_active(conn, str(image.id), desired.name, timeout)


def _settled(conn: Connection, image_id: str, name: str, timeout: float) -> str:
    """What an image becomes whose upload somebody has begun, and may have been interrupted in.

    Glance puts an interrupted upload back to queued, once it has noticed.
    """

    def probe() -> str | None:
        with answer_read(conn, f"read the image {name}"):
            status = str(conn.image.get_image(image_id).status)
        return None if status in _ON_ITS_WAY else status

    return wait_until(f"the image {name} no longer saving", probe, timeout)


def _wait_active(conn: Connection, image_id: str, name: str, timeout: float) -> str:
    status = ""

    def probe() -> str | None:
        nonlocal status
        with answer_read(conn, f"read the image {name}"):
            status = str(conn.image.get_image(image_id).status)
        if status in {"killed", "deleted"}:
            raise CloudError(f"the image {name} became {status}", resolution=_LOG)
        return image_id if status == "active" else None

    return wait_until(
        f"the image {name} active", probe, timeout, last=lambda: f"It is {status}.", resolution=_LOG
    )
