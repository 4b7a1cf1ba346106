"""Flavors that ask for cards: created, given extra specs, and given to projects."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import ClassVar

from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import NO_PROJECT, answer_read, words_of
from wholecard.cloud.client.failed_servers import disk_asked
from wholecard.cloud.operations.operation import Creation, Held, Value, property_commands
from wholecard.cloud.operations.ownership import id_of, own_id, required, why_not_ours
from wholecard.core import State
from wholecard.core.marks import MADE

# nova keeps a description from compute API 2.55 on (Queens); by it we know our own flavors again.
# From compute API 2.61 on (Rocky) the list has the extra specs.
_LISTED_WITH_SPECS = "2.61"


@dataclass(frozen=True)
class FlavorSpec:
    """A flavor to have: memory in MiB, root disk in GiB (0: the image's size).

    `projects` are the ids of the only projects that may use it; without any it is public.
    """

    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flavor:
    """A flavor as it is; `ours` when it carries our description. `projects` have access to it.

    `more_disk_gb` is what its ephemeral disk and its swap take beside the root disk.
    """

    id: str
    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str]
    ours: bool
    public: bool = True
    projects: tuple[str, ...] = ()
    more_disk_gb: int = 0


@dataclass(frozen=True)
class CreateFlavor(Creation):
    """Create a flavor; its extra specs are an operation of their own, as in nova's API."""

    kind: ClassVar[str] = "create-flavor"

    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    public: bool = True

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        private = "" if self.public else " --private"
        return (
            f"openstack flavor create --ram {self.ram_mb} --vcpus {self.vcpus}"
            f" --disk {self.disk_gb} --description {MADE!r}{private} {quote(self.name)}"
        )

    @property
    def state_after(self) -> State:
        """A flavor of ours of this size."""
        return {self.name: _size(self.ram_mb, self.vcpus, self.disk_gb, self.public, ours=True)}

    def look(self, conn: Connection) -> State:
        """The size of the flavor that has this name, and whose it is."""
        flavor = _find(conn, self.name)
        if flavor is None:
            return {self.name: None}
        size = flavor.ram_mb, flavor.vcpus, flavor.disk_gb, flavor.public
        return {self.name: _size(*size, ours=flavor.ours)}

    def make(self, conn: Connection) -> str | None:
        """Create it; the id that nova gave it."""
        flavor = conn.compute.create_flavor(
            name=self.name,
            ram=self.ram_mb,
            vcpus=self.vcpus,
            disk=self.disk_gb,
            is_public=self.public,
            description=MADE,
        )
        return str(flavor.id)

    def made(self, conn: Connection) -> str | None:
        """The id of the flavor of this name that is ours."""
        return own_id(_find(conn, self.name))

    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:  # noqa: ARG002
        """Delete it unless it is another one, or others set something on it or may use it.

        `half` does not matter: a flavor has its mark from the first.
        """
        flavor = _find(conn, self.name)
        if flavor is None:
            return None
        reason = why_not_ours(flavor, made) or _why_in_use(conn, flavor)
        if reason:
            return f"flavor {self.name} stays: {reason}"
        conn.compute.delete_flavor(flavor.id)
        return None


@dataclass(frozen=True)
class FlavorValues(Held):
    """Values of a flavor, by its name."""

    name: str
    changes: tuple[Value, ...]

    def holder(self, conn: Connection) -> str | None:
        """The flavor's id."""
        return id_of(_find(conn, self.name))


@dataclass(frozen=True)
class SetExtraSpecs(FlavorValues):
    """Set extra specs of a flavor."""

    kind: ClassVar[str] = "set-extra-specs"

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        return set_command(self.name, self.changes)

    def look(self, conn: Connection) -> State:
        """These extra specs as they are."""
        flavor = _find(conn, self.name)
        specs: Mapping[str, str] = {} if flavor is None else flavor.extra_specs
        return {key: specs.get(key) for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """Set those with a value in one call, remove the others."""
        flavor = required(_find(conn, self.name), f"flavor {self.name}", holder)
        specs = {key: value for key, value in state.items() if value is not None}
        if specs:
            conn.compute.create_flavor_extra_specs(flavor.id, specs)
        for key in sorted(state.keys() - specs.keys()):
            with contextlib.suppress(sdk.NotFoundException):
                conn.compute.delete_flavor_extra_specs_property(flavor.id, key)
        return None


@dataclass(frozen=True)
class GiveFlavor(FlavorValues):
    """Give projects, by their ids, access to a private flavor; a value is `yes` or None."""

    kind: ClassVar[str] = "give-flavor"

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        return "\n".join(
            f"openstack flavor {'unset' if after is None else 'set'} --project {project}"
            f" {quote(self.name)}"
            for project, _, after in self.changes
        )

    def look(self, conn: Connection) -> State:
        """Which of the projects have access."""
        flavor = _find(conn, self.name)
        having = () if flavor is None else _projects(conn, flavor.id)
        return {project: "yes" if project in having else None for project, _, _ in self.changes}

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """Add or remove access; of what could not be taken away a note says why."""
        flavor = required(_find(conn, self.name), f"flavor {self.name}", holder)
        notes = []
        for project, value in sorted(state.items()):
            if value is not None:
                conn.compute.flavor_add_tenant_access(flavor.id, project)
                continue
            try:
                conn.compute.flavor_remove_tenant_access(flavor.id, project)
            except sdk.NotFoundException:
                continue
            except sdk.BadRequestException as error:
                # So older novas answer for a project that Keystone does not know any more.
                message = words_of(conn, error)
                if NO_PROJECT not in message:
                    raise
                notes.append(f"flavor {self.name} keeps the project {project}: {message}")
        return "; ".join(notes) or None


def flavors(conn: Connection, access: Collection[str] = ()) -> tuple[Flavor, ...]:
    """The cloud's flavors with their extra specs, by name, private ones too. Raises CloudError.

    `access` are the names of those of which it is read, one request each, who has access.
    """
    with answer_read(conn, "list the flavors"):
        listed = [
            flavor
            if flavor.public or flavor.name not in access
            else replace(flavor, projects=_projects(conn, flavor.id))
            for flavor in _list(conn)
        ]
    return tuple(sorted(listed, key=lambda flavor: flavor.name))


def _list(conn: Connection, name: str | None = None) -> Iterator[Flavor]:
    """All flavors, or the one of that name; one that goes meanwhile is left out.

    nova has no filter by name. Only where its list has no extra specs are they asked for, flavor
    by flavor.
    """
    whole = utils.supports_microversion(conn.compute, _LISTED_WITH_SPECS)
    # nova takes the word None for "public or not"; without it private ones are left out.
    for row in conn.compute.flavors(details=True, is_public="None"):
        if name is not None and row.name != name:
            continue
        if not whole:
            try:
                row = conn.compute.fetch_flavor_extra_specs(row)  # noqa: PLW2901 -- the same
            except sdk.NotFoundException:
                continue
        yield Flavor(
            id=str(row.id),
            name=str(row.name),
            ram_mb=row.ram,
            vcpus=row.vcpus,
            disk_gb=row.disk,
            extra_specs=dict(row.extra_specs or {}),
            ours=row.description == MADE,
            public=row.is_public is not False,
            more_disk_gb=disk_asked(0, int(row.ephemeral or 0), int(row.swap or 0)),
        )


def _why_in_use(conn: Connection, flavor: Flavor) -> str | None:
    if flavor.extra_specs:
        return f"somebody set {', '.join(sorted(flavor.extra_specs))} on it"
    having = () if flavor.public else _projects(conn, flavor.id)
    projects = [project for project in having if not _is_gone(conn, project)]
    return f"somebody gave {', '.join(projects)} access to it" if projects else None


def _projects(conn: Connection, flavor_id: str) -> tuple[str, ...]:
    """Who has access to a private flavor; nobody where it is gone."""
    try:
        rows = conn.compute.get_flavor_access(flavor_id)
    except sdk.NotFoundException:
        return ()
    return tuple(sorted(str(row["tenant_id"]) for row in rows))


def _is_gone(conn: Connection, project: str) -> bool:
    """Whether Keystone says that it has no such project; nobody can use what such a one may use."""
    try:
        answer = conn.identity.get(f"/projects/{project}")
        return answer.status_code == 404 and "could not find project" in answer.text.lower()
    except (sdk.SDKException, keystone.ClientException):
        return False


def _find(conn: Connection, name: str) -> Flavor | None:
    return next(_list(conn, name), None)


def set_command(name: str, changes: tuple[Value, ...]) -> str:
    """The openstack client's commands for a flavor's extra specs."""
    return "; ".join(property_commands("flavor", changes, quote(name)))


def _size(ram_mb: int, vcpus: int, disk_gb: int, public: bool, ours: bool) -> str:
    whose = "" if ours else ", not made by Wholecard"
    kind = "public" if public else "private"
    return f"{ram_mb} MiB, {vcpus} vCPU, {disk_gb} GiB, {kind}{whose}"
