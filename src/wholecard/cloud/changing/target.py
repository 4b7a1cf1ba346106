"""Which cloud and region a journal belongs to, as it may be written down: addresses alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from openstack.connection import Connection

from wholecard.cloud.client.endpoint_origins import origin, shown
from wholecard.cloud.client.errors import CloudError, answer_read
from wholecard.core import WholecardError

_VERSION = re.compile(r"/v\d+(\.\d+)?$")
# nova's endpoint may end with the project that asks: an id of 32 digits, or with dashes.
_PROJECT = re.compile(r"/(AUTH_)?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$")


@dataclass(frozen=True)
class CloudIdentity:
    """Keystone's address, the region's name ("" for none) and nova's endpoint."""

    keystone: str
    region: str
    compute: str

    def differences(self, here: CloudIdentity) -> list[str]:
        """How `here` is another cloud or region than this one, one line each.

        In a region that has a name nova's endpoint may move: to https, to another address, to
        another interface of the catalog. Without one it alone tells one region from another.
        """
        pairs = [("Keystone", self.keystone, here.keystone), ("region", self.region, here.region)]
        if not self.region:
            pairs.append(("compute endpoint", self.compute, here.compute))
        return [
            f"Its {what} is {its or 'none'}; here it is {now or 'none'}."
            for what, its, now in pairs
            if its != now
        ]

    def moved(self, here: CloudIdentity) -> str | None:
        """What to tell where nova is at another address of the same region than it was."""
        if self.compute == here.compute:
            return None
        return f"nova's endpoint was {self.compute} and is {here.compute} now, in the same region"


def journal_notes(journal: str, written_for: CloudIdentity, conn: Connection) -> tuple[str, ...]:
    """What moved in the cloud of a journal, by its id. Raises WholecardError for another cloud."""
    here = cloud_identity(conn)
    lines = written_for.differences(here)
    if lines:
        raise WholecardError(
            f"journal {journal} was written for another cloud or region",
            "\n".join(lines),
            "Name the cloud that it was written for, or another folder of journals (--state).",
        )
    moved = written_for.moved(here)
    return () if moved is None else (f"journal {journal}: {moved}",)


def cloud_identity(conn: Connection) -> CloudIdentity:
    """Where this connection leads. Raises CloudError where the catalog has no compute service."""
    auth_url = str((conn.config.config.get("auth") or {}).get("auth_url", ""))
    with answer_read(conn, "look for nova in the catalog"):
        compute = conn.endpoint_for("compute")
    if not compute:
        raise CloudError(
            "cannot look for nova in the catalog: the region has no compute service",
            resolution="Name a region that has one in clouds.yaml.",
        )
    return CloudIdentity(
        address(auth_url), str(conn.config.get_region_name() or ""), address(compute)
    )


def nova_addresses(conn: Connection) -> tuple[str, ...]:
    """All addresses of nova in the region in use, whatever interface and name the entry has.

    Two entries of clouds.yaml that lead to one nova have the same. Raises CloudError.
    """
    here = cloud_identity(conn)
    regions: dict[str, set[str]] = {}
    access = getattr(conn.config.get_auth(), "auth_ref", None)
    with answer_read(conn, "look for nova in the catalog"):
        found = {} if access is None else access.service_catalog.get_endpoints_data("compute")
        for endpoint in (endpoint for endpoints in found.values() for endpoint in endpoints):
            regions.setdefault(endpoint.region_name or "", set()).add(address(endpoint.url))
    at_this_address = (name for name, urls in regions.items() if here.compute in urls)
    region = here.region or next(at_this_address, "")
    return tuple(sorted(regions.get(region) or {here.compute}))


def address(url: str) -> str:
    """An API's address in one way of writing, without the user and password that it may have.

    Scheme and host are small, a port that the scheme implies, the API's version, the asking
    project and a slash at the end are left out: all of them name the same cloud.
    """
    # Not urlsplit's own way: a password that was typed as it is may have / and @ in it.
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return ""
    cleaned = f"{scheme}://{rest.rpartition('@')[2]}"
    if origin(cleaned) is None:
        return ""
    path = urlsplit(cleaned).path.rstrip("/")
    return shown(cleaned) + _VERSION.sub("", _PROJECT.sub("", path))
