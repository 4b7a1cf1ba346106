"""The request as a cloud has it: a flavor's, or that of a server that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors
from wholecard.cloud.client.failed_servers import FailedServer, disk_asked
from wholecard.cloud.client.images import image_by_id, the_image
from wholecard.core import UsageError
from wholecard.explain.evidence.from_files import Changes
from wholecard.nova.flavor.server_request import ServerRequest


@dataclass(frozen=True)
class ServerSelector:
    """What is asked about: a flavor by name or a server by id, an image, and only some hosts.

    A flavor beside a server is the one that it was to be resized to. `changes` are a person's own.
    """

    flavor: str = ""
    server: str = ""
    image: str = ""
    hosts: tuple[str, ...] = ()
    changes: Changes = field(default_factory=Changes)


def request_of(
    conn: Connection, wish: ServerSelector, server: FailedServer | None, bare: ServerRequest
) -> ServerRequest:
    """The request, with the person's changes; `bare` is one of options alone.

    Raises UsageError where there is no such thing, or the server did not fail; CloudError.
    """
    if server is not None:
        found = _of_server(conn, wish, server)
    elif wish.flavor:
        found = _of_flavor(conn, wish.flavor)
    else:
        found = bare
    if wish.image:
        image = the_image(conn, wish.image)
        found = replace(found, image=image.name, properties=image.properties)
    return wish.changes.of(found)


def _of_flavor(conn: Connection, name: str, *, on_volume: bool = False) -> ServerRequest:
    with api_errors(conn, f"read the flavor {name}"):
        flavor = conn.compute.find_flavor(name, get_extra_specs=True)
    if flavor is None:
        raise UsageError(
            f"the cloud has no flavor {name}",
            resolution="openstack flavor list --all shows those that it has.",
        )
    return ServerRequest(
        flavor=str(flavor.name),
        source=f"openstack flavor show {flavor.name}",
        extra_specs={str(key): str(value) for key, value in (flavor.extra_specs or {}).items()},
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram,
        disk_gb=disk_asked(
            *(int(each or 0) for each in (flavor.disk, flavor.ephemeral, flavor.swap)),
            on_volume=on_volume,
        ),
    )


def _of_server(conn: Connection, wish: ServerSelector, server: FailedServer) -> ServerRequest:
    _require_failed(wish, server)
    name, properties = _image(conn, server)
    request = ServerRequest(
        flavor=server.flavor,
        source=f"openstack server show {server.id}",
        extra_specs=server.extra_specs,
        vcpus=server.vcpus,
        ram_mb=server.ram_mb,
        disk_gb=server.disk_gb,
        image=name,
        properties=properties,
        zone=server.zone,
        zone_known=server.zone_known,
        operation="resize" if server.moved else "create",
    )
    if not wish.flavor:
        return request
    new = _of_flavor(conn, wish.flavor, on_volume=server.image_id is None)
    return replace(
        request,
        flavor=new.flavor,
        source=new.source,
        extra_specs=new.extra_specs,
        vcpus=new.vcpus,
        ram_mb=new.ram_mb,
        disk_gb=new.disk_gb,
    )


def _require_failed(wish: ServerSelector, server: FailedServer) -> None:
    """Refuse a server that did not fail, and a resize of which the flavor is not told.

    A server keeps its old flavor until it is resized, and no API shows which one it was to have.
    """
    if not server.failed:
        raise UsageError(
            f"the server {server.name} is {server.status}, not ERROR, and no move of it failed",
            resolution="Name a server that failed, or a flavor: --flavor NAME",
        )
    resized = server.action == "resize"
    if resized and not wish.flavor:
        raise UsageError(
            f"the server {server.name} failed to be resized, and nova does not tell to what",
            f"It has the flavor {server.flavor}.",
            f"Name the flavor that it was to have: --server {server.id} --flavor NAME",
        )
    if wish.flavor and not resized:
        raise UsageError(
            f"the server {server.name} was not to be resized, its own flavor is asked about",
            resolution="Name the server or the flavor, not both.",
        )


def _image(conn: Connection, server: FailedServer) -> tuple[str, Mapping[str, str]]:
    """The name of the server's image, and its properties as the server was made with them.

    nova keeps a copy, and shows of it what it knows itself (compute API 2.98): the traits that the
    image requires are Glance's to tell, and all of it where the API is older.
    """
    if server.image_id is None:
        return "", {}
    image = image_by_id(conn, server.image_id)
    name = image.name if image else server.image_id
    current = image.properties if image else {}
    if server.properties is None:
        return name, current
    traits = {key: value for key, value in current.items() if key.startswith("trait:")}
    return name, {**traits, **server.properties}
