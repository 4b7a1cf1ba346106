"""The current state of what the site asks of the cloud, read and not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.images import Image, disk_format_of, find_images
from wholecard.cloud.operations import quotas
from wholecard.cloud.operations.aggregates import Aggregate, aggregates
from wholecard.cloud.operations.flavors import Flavor, flavors
from wholecard.cloud.operations.quotas import LimitPlace, RegisteredLimit
from wholecard.cloud.operations.traits import CreateTrait
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import host_provider
from wholecard.cloud.planning.desired import DesiredCloud, DesiredImage
from wholecard.guest.image.build_record import read_record
from wholecard.guest.image.qcow2 import disk_size
from wholecard.transaction.atomic_files import digest


@dataclass(frozen=True)
class ImageFile:
    """The file from which an image is uploaded; `recipe_sha256` of one that was built.

    `virtual_size` is its disk's in bytes, None where it is not known.
    """

    path: str
    sha256: str
    disk_format: str
    recipe_sha256: str | None = None
    virtual_size: int | None = None


@dataclass(frozen=True)
class ProjectQuota:
    """A project's quotas of nova's own, and the defaults where none is set."""

    values: Mapping[str, int]
    defaults: Mapping[str, int]


@dataclass(frozen=True)
class CurrentCloud:
    """The cloud's state. Everything is keyed by the name that the site has for it.

    `providers` are hosts' own in Placement. `projects` are the ids of those that Keystone knows.
    `limit_place` is where Keystone's limits of nova are, None where they do not count; `limits` are
    a project's own by resource.
    """

    flavors: tuple[Flavor, ...] = ()
    images: Mapping[str, tuple[Image, ...]] = field(default_factory=dict)
    files: Mapping[str, ImageFile] = field(default_factory=dict)
    aggregates: tuple[Aggregate, ...] = ()
    hosts: frozenset[str] = frozenset()
    providers: Mapping[str, ResourceProvider] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    projects: Mapping[str, str] = field(default_factory=dict)
    quotas: Mapping[str, ProjectQuota] = field(default_factory=dict)
    limit_place: LimitPlace | None = None
    registered: Mapping[str, RegisteredLimit] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def find(conn: Connection, desired: DesiredCloud, folder: Path) -> CurrentCloud:
    """Read what concerns `desired`; relative files start at `folder`, the site file's.

    Raises CloudError, and UsageError when a file that is to be uploaded cannot be read.
    """
    projects = _projects(conn, desired)
    images = {image.name: find_images(conn, image.name) for image in desired.images}
    services = compute_services(conn)
    return CurrentCloud(
        flavors=flavors(conn, {flavor.name for flavor in desired.flavors if flavor.projects}),
        images=images,
        files=_files(desired.images, images, folder),
        aggregates=aggregates(conn) if desired.aggregates else (),
        hosts=frozenset(service.host for service in services if service.binary == "nova-compute"),
        providers=_providers(conn, set(desired.traits or ())),
        traits=_known_traits(conn, desired),
        projects=projects,
        **_quotas(conn, desired, projects),
    )


def _quotas(conn: Connection, desired: DesiredCloud, projects: Mapping[str, str]) -> dict[str, Any]:
    """The fields of CurrentCloud about quotas: nova's own, or Keystone's limits.

    Where the site leaves nova's driver open, registered limits tell that the cloud uses Keystone's.
    """
    limited = bool(desired.quotas) and desired.driver in ("auto", "unified")
    place = quotas.limit_place(conn) if limited else None
    registered = quotas.read_registered(conn, place) if place else {}
    names = [quota.project for quota in desired.quotas if quota.project in projects]
    if _uses_unified_limits(desired, registered):
        limits = {name: quotas.read_limits(conn, projects[name], place) for name in names if place}
        return {"limit_place": place, "registered": registered, "limits": limits}
    own = {name: _project_quota(conn, projects[name]) for name in names}
    return {"registered": registered, "quotas": own}


def _project_quota(conn: Connection, project: str) -> ProjectQuota:
    """A project's quota of nova's own, by its id."""
    own = quotas.read_quota(conn, project)
    return ProjectQuota(own, quotas.read_quota(conn, project, defaults=True))


def _uses_unified_limits(desired: DesiredCloud, registered: Mapping[str, RegisteredLimit]) -> bool:
    """Whether the cloud counts by Keystone's limits; `auto` means: if it has registered ones."""
    return desired.driver == "unified" or (desired.driver == "auto" and bool(registered))


def _projects(conn: Connection, desired: DesiredCloud) -> dict[str, str]:
    names = {project for flavor in desired.flavors for project in flavor.projects}
    names |= {quota.project for quota in desired.quotas}
    ids = {}
    for name in sorted(names):
        with answer_read(conn, f"look for the project {name}"):
            project = quotas.identity_of(conn).find_project(name, ignore_missing=True)
        if project is not None:
            ids[name] = str(project.id)
    return ids


def _files(
    desired: tuple[DesiredImage, ...], images: Mapping[str, tuple[Image, ...]], folder: Path
) -> dict[str, ImageFile]:
    """The files of images that the cloud lacks or has from us; others' images are not compared."""
    files = {}
    for image in desired:
        others = [row for row in images[image.name] if row.sha256 is None and not row.copied]
        if image.file is None or others:
            continue
        path = (folder / image.file).absolute()
        if image.is_built and not path.exists():
            continue
        # The format first: reading it says what is wrong with a file that cannot be read.
        disk_format = disk_format_of(path)
        sha256 = digest(path)
        record = read_record(path) if image.is_built else None
        recipe = record.recipe_sha256 if record and record.sha256 == sha256 else None
        size = disk_size(path)
        files[image.name] = ImageFile(str(path), sha256, disk_format, recipe, size)
    return files


def _providers(conn: Connection, hosts: set[str]) -> dict[str, ResourceProvider]:
    """The root providers of nova's hosts, which have the names of their hypervisors."""
    providers = {}
    for hypervisor in hypervisors(conn) if hosts else ():
        if hypervisor.service_host in hosts:
            provider = host_provider(conn, hypervisor.hostname)
            if provider is not None:
                providers[hypervisor.service_host] = provider
    return providers


def _known_traits(conn: Connection, desired: DesiredCloud) -> frozenset[str]:
    names = {trait for traits in (desired.traits or {}).values() for trait in traits}
    with answer_read(conn, "read Placement's traits"):
        return frozenset(name for name in names if CreateTrait(name).look(conn)[name])
