"""What the cloud has of what is wanted, read and not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.errors import answer_read, api_errors
from wholecard.cloud.client.images import Image, disk_format_of, find_images
from wholecard.cloud.operations import quotas
from wholecard.cloud.operations.aggregates import Aggregate, aggregates
from wholecard.cloud.operations.flavors import Flavor, flavors
from wholecard.cloud.operations.images import file_sha256
from wholecard.cloud.operations.quotas import LimitPlace, RegisteredLimit
from wholecard.cloud.operations.traits import CreateTrait
from wholecard.cloud.placement.resource_providers import TRAITS_VERSION
from wholecard.cloud.planning.desired import DesiredCloud, DesiredImage


@dataclass(frozen=True)
class HostProvider:
    """A host's root provider in Placement: its id and its traits."""

    uuid: str
    traits: frozenset[str]


@dataclass(frozen=True)
class ImageFile:
    """A file that an image is to be made of."""

    path: str
    sha256: str
    disk_format: str


@dataclass(frozen=True)
class ProjectQuota:
    """nova's quotas of a project, and what they are where none is set."""

    values: Mapping[str, int]
    defaults: Mapping[str, int]


@dataclass(frozen=True)
class CurrentCloud:
    """What there is. Everything is keyed by the name that the site has for it.

    `projects` are the ids of those that Keystone knows. `limit_place` is where Keystone's limits
    of nova are, None where they were not asked for; `limits` are a project's own by resource.
    """

    flavors: tuple[Flavor, ...] = ()
    images: Mapping[str, tuple[Image, ...]] = field(default_factory=dict)
    files: Mapping[str, ImageFile] = field(default_factory=dict)
    aggregates: tuple[Aggregate, ...] = ()
    hosts: frozenset[str] = frozenset()
    providers: Mapping[str, HostProvider] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    projects: Mapping[str, str] = field(default_factory=dict)
    quotas: Mapping[str, ProjectQuota] = field(default_factory=dict)
    limit_place: LimitPlace | None = None
    registered: Mapping[str, RegisteredLimit] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def find(conn: Connection, wanted: DesiredCloud, folder: Path) -> CurrentCloud:
    """Read what concerns `wanted`; files are named from `folder`, the site file's.

    Raises CloudError, and UsageError when a file that is to be uploaded cannot be read.
    """
    projects = _projects(conn, wanted)
    images = {image.name: find_images(conn, image.name) for image in wanted.images}
    limited = bool(wanted.quotas) and wanted.driver in ("auto", "unified")
    place = quotas.limit_place(conn) if limited else None
    registered = quotas.read_registered(conn, place) if place else {}
    unified = wanted.driver == "unified" or (wanted.driver == "auto" and bool(registered))
    asked = {each.project: projects[each.project] for each in wanted.quotas
             if each.project in projects}  # fmt: skip
    hosts = {each.host for each in compute_services(conn) if each.binary == "nova-compute"}
    return CurrentCloud(
        flavors=flavors(conn, {each.name for each in wanted.flavors if each.projects}),
        images=images,
        files=_files(wanted.images, images, folder),
        aggregates=aggregates(conn) if wanted.aggregates else (),
        hosts=frozenset(hosts),
        providers=_providers(conn, set(wanted.traits or ())),
        traits=_known_traits(conn, wanted),
        projects=projects,
        quotas={
            name: ProjectQuota(
                quotas.read_quota(conn, project), quotas.read_quota(conn, project, defaults=True)
            )
            for name, project in asked.items()
            if not unified
        },
        limit_place=place if unified else None,
        registered=registered,
        limits={
            name: quotas.read_limits(conn, project, place)
            for name, project in asked.items()
            if unified and place is not None
        },
    )


def _projects(conn: Connection, wanted: DesiredCloud) -> dict[str, str]:
    names = {project for flavor in wanted.flavors for project in flavor.projects}
    names |= {quota.project for quota in wanted.quotas}
    found = {}
    for name in sorted(names):
        with api_errors(conn, f"look for the project {name}"):
            project = quotas.identity_of(conn).find_project(name, ignore_missing=True)
        if project is not None:
            found[name] = str(project.id)
    return found


def _files(
    wished: tuple[DesiredImage, ...], images: Mapping[str, tuple[Image, ...]], folder: Path
) -> dict[str, ImageFile]:
    """The files of images that the cloud lacks, or has of ours: others' are not compared."""
    found = {}
    for image in wished:
        others = [each for each in images[image.name] if each.sha256 is None and not each.copied]
        if image.file is None or others:
            continue
        path = (folder / image.file).absolute()
        found[image.name] = ImageFile(str(path), _sum(path), disk_format_of(path))
    return found


def _sum(path: Path) -> str:
    # Asked first: it says what is wrong with a file that cannot be read.
    disk_format_of(path)
    return file_sha256(path)


def _providers(conn: Connection, hosts: set[str]) -> dict[str, HostProvider]:
    """The root providers of nova's hosts, which have the names of their hypervisors."""
    if not hosts:
        return {}
    names = {
        each.hostname: each.service_host for each in hypervisors(conn) if each.service_host in hosts
    }
    found = {}
    with answer_read(conn, "read Placement's providers"):
        for name, host in names.items():
            answer = conn.placement.get(
                "/resource_providers", params={"name": name}, microversion=TRAITS_VERSION
            )
            sdk.raise_from_response(answer)
            for row in answer.json()["resource_providers"]:
                path = f"/resource_providers/{row['uuid']}/traits"
                traits = conn.placement.get(path, microversion=TRAITS_VERSION)
                sdk.raise_from_response(traits)
                found[host] = HostProvider(row["uuid"], frozenset(traits.json()["traits"]))
    return found


def _known_traits(conn: Connection, wanted: DesiredCloud) -> frozenset[str]:
    names = {trait for traits in (wanted.traits or {}).values() for trait in traits}
    with api_errors(conn, "read Placement's traits"):
        return frozenset(name for name in names if CreateTrait(name).look(conn)[name])
