"""The explain command as records: a request in, an explanation out. Nothing is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.releases import Release
from wholecard.explain.check_result import first_failed
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.from_files import Files, flavor_of, gathered, image_properties
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.explain.explain import Explanation, check_request, explain
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.site.load import SiteFile

if TYPE_CHECKING:
    from openstack.connection import Connection

# A flavor that files and options have yet to fill.
_BARE = ServerRequest(None, "the options", {})
_MOST_NAMES = 12


@dataclass(frozen=True)
class ExplainRequest:
    """What a person asks, of which files, and of which cloud of clouds.yaml.

    `refusal` is nova's message, as a person read it. `clouds_file` is the clouds.yaml, None for
    the SDK's own search. `conn` is a connection to the cloud that is open already.
    """

    selector: ServerSelector
    files: Files = field(default_factory=Files)
    cloud: str = ""
    clouds_file: Path | None = None
    release: Release | None = None
    refusal: str = ""
    conn: Connection | None = None


def explain_server(request: ExplainRequest) -> Explanation:
    """Why the server finds no host. Raises UsageError for what nobody can answer, CloudError."""
    selector = request.selector
    if selector.server and not request.cloud:
        raise UsageError("--server needs --cloud", resolution="Name the cloud: --cloud NAME")
    server = _BARE
    if not request.cloud:
        server = selector.changes.applied_to(_server_request(request.files.site, selector))
    evidence = gathered(server, request.files, request.release, request.refusal)
    if request.cloud:
        evidence = cloud_evidence(request, evidence)
    return explain(_limited(evidence, selector.hosts))


def cloud_evidence(request: ExplainRequest, known: Evidence) -> Evidence:
    """`known` from files, completed by the cloud; Placement is asked where nova would ask it.

    Raises UsageError for a flavor, image or server that does not exist, CloudError.
    """
    # Late: they load OpenStack's whole SDK.
    from wholecard.cloud.client.connection import connect  # noqa: PLC0415
    from wholecard.explain.evidence import from_cloud  # noqa: PLC0415

    conn = request.conn or connect(request.cloud, request.clouds_file)
    reader = from_cloud.CloudReader(conn)
    evidence = from_cloud.with_cloud(reader, request.selector, known, request.release)
    if first_failed(check_request(evidence)) is not None:
        # nova refuses the request before it asks Placement.
        return evidence
    return from_cloud.with_queries(reader, evidence)


def _server_request(site: SiteFile | None, selector: ServerSelector) -> ServerRequest:
    """The request by the site file, or one with no more than a name, which changes fill.

    Raises UsageError for a flavor of which nothing is known, and for an image that the site file
    does not have.
    """
    flavor, image = selector.flavor, selector.image
    if site is not None and flavor in site.site.flavors:
        return flavor_of(site, flavor, image)
    if flavor and not selector.changes.specs:
        raise _unknown_flavor(site, flavor)
    properties = image_properties(site, image) if site and image else {}
    return replace(_BARE, flavor=flavor or None, image=image, properties=properties)


def _unknown_flavor(site: SiteFile | None, flavor: str) -> UsageError:
    names = list(site.site.flavors) if site else []
    similar = did_you_mean(flavor, names) or f"It has: {', '.join(names[:_MOST_NAMES])}"
    return UsageError(
        f"{site.path} has no flavor {flavor}" if site else f"no flavor {flavor} is known",
        similar if names else "",
        "Add the site file (--site FILE) or the cloud (--cloud NAME) that has it, or describe it: "
        "--spec pci_passthrough:alias=ALIAS:1",
    )


def _limited(evidence: Evidence, names: Iterable[str]) -> Evidence:
    """Only these hosts, each of which has to be known; all where none is named."""
    chosen = list(dict.fromkeys(names))
    known = {host.name: host for host in evidence.hosts}
    missing = [name for name in chosen if name not in known]
    if missing:
        raise UsageError(
            f"not a known host: {', '.join(missing)}",
            f"Known hosts: {', '.join(known) or 'none'}",
            "Add its files (--facts HOST=FILE, --conf compute@HOST=FILE), the site file (--site "
            "FILE) or the cloud (--cloud NAME).",
        )
    hosts = tuple(known[name] for name in chosen)
    return replace(evidence, hosts=hosts) if chosen else evidence
