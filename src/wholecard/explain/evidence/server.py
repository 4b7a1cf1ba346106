"""The request as a cloud has it: of a flavor, or of a server that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from openstack.connection import Connection

from wholecard.cloud.client.errors import api_errors
from wholecard.cloud.client.failed_servers import FailedServer, disk_asked
from wholecard.cloud.client.images import image_by_id, the_image
from wholecard.core import UsageError
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.nova.flavor.server_request import ServerRequest


def request_of(
    conn: Connection, selector: ServerSelector, server: FailedServer | None, bare: ServerRequest
) -> ServerRequest:
    """The request, with the person's changes; `bare` is one of options alone.

    Raises UsageError where it does not exist, or the server did not fail; CloudError.
    """
    if server is not None:
        request = _of_server(conn, selector, server)
    elif selector.flavor:
        request = _of_flavor(conn, selector.flavor)
    else:
        request = bare
    if selector.image:
        image = the_image(conn, selector.image)
        request = replace(request, image=image.name, properties=image.properties)
    return selector.changes.applied_to(request)


def _of_flavor(conn: Connection, name: str, *, on_volume: bool = False) -> ServerRequest:
    with api_errors(conn, f"read the flavor {name}"):
        flavor = conn.compute.find_flavor(name, get_extra_specs=True)
    if flavor is None:
        raise UsageError(
            f"the cloud has no flavor {name}",
            resolution="openstack flavor list --all shows its flavors.",
        )
    return ServerRequest(
        flavor=str(flavor.name),
        source=f"openstack flavor show {flavor.name}",
        extra_specs={str(key): str(value) for key, value in (flavor.extra_specs or {}).items()},
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram,
        disk_gb=disk_asked(
            *(int(size or 0) for size in (flavor.disk, flavor.ephemeral, flavor.swap)),
            on_volume=on_volume,
        ),
    )


def _of_server(conn: Connection, selector: ServerSelector, server: FailedServer) -> ServerRequest:
    _require_failed(selector, server)
    name, properties = _image(conn, server)
    if selector.flavor:
        request = _of_flavor(conn, selector.flavor, on_volume=server.image_id is None)
    else:
        request = ServerRequest(
            flavor=server.flavor,
            source=f"openstack server show {server.id}",
            extra_specs=server.extra_specs,
            vcpus=server.vcpus,
            ram_mb=server.ram_mb,
            disk_gb=server.disk_gb,
        )
    return replace(
        request,
        image=name,
        properties=properties,
        zone=server.zone,
        zone_known=server.zone_known,
        operation="resize" if server.moved else "create",
    )


def _require_failed(selector: ServerSelector, server: FailedServer) -> None:
    """Refuse a server that did not fail, and a resize whose new flavor is not named.

    A server keeps its old flavor until it is resized, and no API shows the new one.
    """
    if not server.failed:
        raise UsageError(
            f"the server {server.name} is {server.status}, not ERROR, and no move of it failed",
            resolution="Name a server that failed, or a flavor: --flavor NAME",
        )
    resized = server.action == "resize"
    if resized and not selector.flavor:
        raise UsageError(
            f"the resize of the server {server.name} failed, and nova does not show the new flavor",
            f"It has the flavor {server.flavor}.",
            f"Name the new flavor: --server {server.id} --flavor NAME",
        )
    if selector.flavor and not resized:
        raise UsageError(
            f"the server {server.name} was not resized, so its own flavor is used",
            resolution="Use --server or --flavor, not both.",
        )


def _image(conn: Connection, server: FailedServer) -> tuple[str, Mapping[str, str]]:
    """The name of the server's image, and its properties when the server was created.

    nova keeps a copy, and shows of it the properties that nova knows (compute API 2.98). The traits
    that the image requires come from Glance, and all properties where the API is older.
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
