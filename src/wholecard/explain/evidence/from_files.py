"""Evidence from files: nova's and Placement's configuration, hosts' facts, the site file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wholecard.core import UsageError
from wholecard.core.releases import LATEST, Release
from wholecard.explain.evidence.evidence import Evidence, HostEvidence, Refusal, merged_hosts
from wholecard.host.facts.saved import read_host
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.site.load import SiteFile

if TYPE_CHECKING:
    from wholecard.cloud.planning.desired import DesiredCloud

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Files:
    """The files that a person names: of each role, of each host, and the site's.

    A role's files stand in the order in which the service reads them. A folder is its `*.conf`,
    and then those of its folders `*.conf.d`: `/etc/nova` is nova.conf with its drop-ins.
    """

    api: tuple[Path, ...] = ()
    scheduler: tuple[Path, ...] = ()
    placement: tuple[Path, ...] = ()
    computes: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    facts: Mapping[str, Path] = field(default_factory=dict)
    site: SiteFile | None = None


@dataclass(frozen=True)
class Changes:
    """What a person gives besides a flavor, an image or a server; what is empty stays.

    Sizes are MiB and GiB.
    """

    specs: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    vcpus: int | None = None
    ram_mb: int | None = None
    disk_gb: int | None = None

    def of(self, request: ServerRequest) -> ServerRequest:
        """The request with them."""
        return replace(
            request,
            extra_specs={**request.extra_specs, **self.specs},
            properties={**request.properties, **self.properties},
            zone=self.zone or request.zone,
            zone_known=bool(self.zone) or request.zone_known,
            vcpus=request.vcpus if self.vcpus is None else self.vcpus,
            ram_mb=request.ram_mb if self.ram_mb is None else self.ram_mb,
            disk_gb=request.disk_gb if self.disk_gb is None else self.disk_gb,
        )


def gathered(
    request: ServerRequest, files: Files, release: Release | None = None, refusal: str = ""
) -> Evidence:
    """All that the files tell of the request. `refusal` is what nova said, as a person read it.

    Without `release` the site's counts, and the latest where there is none. Raises UsageError for a
    file that cannot be read.
    """
    site = files.site
    return Evidence(
        request=request,
        hosts=merged_hosts(_hosts(files), _site_hosts(site, files) if site else ()),
        release=release or (site.release if site else LATEST),
        release_known=bool(release or site),
        api=_conf(files.api),
        scheduler=_conf(files.scheduler),
        placement=_conf(files.placement),
        refusal=Refusal(refusal, "--error") if refusal else None,
    )


def flavor_of(site: SiteFile, name: str, image: str = "") -> ServerRequest:
    """The request that a flavor, and an image, of the site file make.

    Raises UsageError where the site has none of that name.
    """
    flavor = _named(site, "flavor", {each.name: each for each in _made(site).flavors}, name)
    return ServerRequest(
        flavor=name,
        source=_place(site, "flavors", name),
        extra_specs=flavor.extra_specs,
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram_mb,
        disk_gb=flavor.disk_gb,
        image=image,
        properties=image_properties(site, image) if image else {},
    )


def image_properties(site: SiteFile, name: str) -> Mapping[str, str]:
    """The properties of an image of the site file. Raises UsageError where it has none so named."""
    return _named(site, "image", {each.name: each for each in _made(site).images}, name).properties


def _made(site: SiteFile) -> DesiredCloud:
    # Late, for it is the one part of the cloud's room that needs no OpenStack.
    from wholecard.cloud.planning.desired import wanted  # noqa: PLC0415

    return wanted(site.site, site.facts(), site.release)


def _named(site: SiteFile, kind: str, there: Mapping[str, Thing], name: str) -> Thing:
    if name not in there:
        raise UsageError(
            f"{site.path} has no {kind} {name}",
            f"It has: {', '.join(there) or 'none'}",
            f"Name one of them, or the cloud that has the {kind}: --cloud NAME",
        )
    return there[name]


def _hosts(files: Files) -> tuple[HostEvidence, ...]:
    names = sorted({*files.computes, *files.facts})
    return tuple(
        HostEvidence(
            name,
            conf=_conf(files.computes.get(name, ())),
            facts=read_host(files.facts[name]) if name in files.facts else None,
            facts_source=str(files.facts.get(name, "")),
        )
        for name in names
    )


def _site_hosts(site: SiteFile, files: Files) -> tuple[HostEvidence, ...]:
    """The site's hosts with the facts and the zones that it gives them."""
    zones: dict[str, list[str]] = {}
    for aggregate in site.site.aggregates.values():
        if aggregate.availability_zone:
            for member in aggregate.hosts:
                zones.setdefault(member, []).append(aggregate.availability_zone)
    found = []
    for name, host in site.site.hosts.items():
        known = host.facts is not None and name not in files.facts
        found.append(
            HostEvidence(
                name,
                facts=site.facts()[name] if known else None,
                facts_source=str(site.path.parent / (host.facts or "")) if known else "",
                zones=tuple(zones[name]) if name in zones else None,
            )
        )
    return tuple(found)


def _conf(paths: Sequence[Path]) -> NovaConf | None:
    if not paths:
        return None
    return NovaConf.read([each for path in paths for each in _with_drop_ins(path)])


def _with_drop_ins(path: Path) -> list[Path]:
    """A service's folder as the service reads it: its files first, then its folders of drop-ins."""
    folders = sorted(path.glob("*.conf.d")) if path.is_dir() else []
    return [path, *folders]


def _place(site: SiteFile, *keys: str) -> str:
    line, _ = site.place(*keys)
    return f"{site.path}:{line}"
