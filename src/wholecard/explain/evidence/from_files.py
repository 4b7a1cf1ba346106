"""Evidence from files: nova's and Placement's configuration, hosts' facts, the site file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wholecard.core import UsageError
from wholecard.core.releases import LATEST, Release
from wholecard.explain.evidence.evidence import Evidence, HostEvidence, Refusal, merged_hosts
from wholecard.host.facts.alike import AlikeFacts
from wholecard.nova.conf.later_conf import read_later
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.options import Role
from wholecard.site.load import SiteFile

if TYPE_CHECKING:
    from wholecard.cloud.planning.desired import DesiredCloud

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Files:
    """The files that a person names: of each role, of each host, and the site's.

    A role's files are in the order in which the service reads them. A folder is
    what the service reads there: `/etc/nova` is nova.conf with its drop-in files.
    """

    api: tuple[Path, ...] = ()
    scheduler: tuple[Path, ...] = ()
    placement: tuple[Path, ...] = ()
    computes: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    facts: Mapping[str, Path] = field(default_factory=dict)
    site: SiteFile | None = None


def gathered(
    request: ServerRequest, files: Files, release: Release | None = None, refusal: str = ""
) -> Evidence:
    """All that the files tell of the request. `refusal` is nova's message, as a person read it.

    Without `release` the site's counts, and the latest where no site file is named. Raises
    UsageError for a file that cannot be read.
    """
    site = files.site
    return Evidence(
        request=request,
        hosts=merged_hosts(_hosts(files), _site_hosts(site, files) if site else ()),
        release=release or (site.release if site else LATEST),
        release_known=bool(release or site),
        api=_conf(files.api, "api"),
        scheduler=_conf(files.scheduler, "scheduler"),
        placement=_conf(files.placement, "placement"),
        refusal=Refusal(refusal, "--error") if refusal else None,
    )


def flavor_of(site: SiteFile, name: str, image: str = "") -> ServerRequest:
    """The request that a flavor, and an image, of the site file make.

    Raises UsageError where the site has none of that name.
    """
    flavors = {flavor.name: flavor for flavor in _desired(site).flavors}
    flavor = _named(site, "flavor", flavors, name)
    return ServerRequest(
        flavor=name,
        source=f"{site.path}:{site.position('flavors', name)[0]}",
        extra_specs=flavor.extra_specs,
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram_mb,
        disk_gb=flavor.disk_gb,
        image=image,
        properties=image_properties(site, image) if image else {},
    )


def image_properties(site: SiteFile, name: str) -> Mapping[str, str]:
    """The properties of an image of the site file. Raises UsageError where it has none so named."""
    images = {image.name: image for image in _desired(site).images}
    return _named(site, "image", images, name).properties


def _desired(site: SiteFile) -> DesiredCloud:
    # Late: a call that names no site file does not pay for it.
    from wholecard.cloud.planning.desired import desired_cloud  # noqa: PLC0415

    return desired_cloud(site.site, site.facts(), site.release)


def _named(site: SiteFile, kind: str, named: Mapping[str, Thing], name: str) -> Thing:
    if name not in named:
        raise UsageError(
            f"{site.path} has no {kind} {name}",
            f"It has: {', '.join(named) or 'none'}",
            f"Name one of them, or the cloud that has the {kind}: --cloud NAME",
        )
    return named[name]


def _hosts(files: Files) -> tuple[HostEvidence, ...]:
    facts = AlikeFacts()
    return tuple(
        HostEvidence(
            name,
            conf=read_later(files.computes[name], "compute") if files.computes.get(name) else None,
            facts_source=str(files.facts.get(name, "")),
            **_facts(files.facts.get(name), facts),
        )
        for name in sorted({*files.computes, *files.facts})
    )


def _facts(path: Path | None, facts: AlikeFacts) -> dict[str, Any]:
    """A host's facts, where it has a file of them."""
    return {} if path is None else {"facts": facts.read(path)}


def _site_hosts(site: SiteFile, files: Files) -> tuple[HostEvidence, ...]:
    """The site's hosts with the facts and the zones that the site file has for them."""
    zones: dict[str, list[str]] = {}
    for aggregate in site.site.aggregates.values():
        if aggregate.availability_zone:
            for member in aggregate.hosts:
                zones.setdefault(member, []).append(aggregate.availability_zone)
    hosts = []
    for name, host in site.site.hosts.items():
        known = host.facts is not None and name not in files.facts
        hosts.append(
            HostEvidence(
                name,
                zones=tuple(zones[name]) if name in zones else None,
                **(_of_site(site, name, host.facts) if known else {}),
            )
        )
    return tuple(hosts)


def _of_site(site: SiteFile, name: str, file: str | None) -> dict[str, Any]:
    """A host's facts as the site file names them."""
    source = str(site.path.parent / (file or ""))
    return {"facts": site.facts()[name], "facts_source": source}


def _conf(paths: Sequence[Path], role: Role) -> NovaConf | None:
    """A service's files, None where none is named."""
    return NovaConf.read(list(paths), role) if paths else None
