"""Flavors that ask for cards: what has to be made, planned before and applied after."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from openstack.connection import Connection

from wholecard.cloud.change import (
    Fields,
    State,
    Value,
    Values,
    backwards,
    differing,
    property_commands,
    shown,
    values,
)
from wholecard.cloud.errors import CloudError, GoneError, api_errors
from wholecard.core import Action, Plan, UsageError, WholecardError

# How we know our own flavors again: nova keeps a description from compute API 2.55 on (Queens).
DESCRIPTION = "Made by wholecard"


@dataclass(frozen=True)
class FlavorWish:
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
    """A flavor as it is; `ours` when it carries our description. `projects` have access to it."""

    id: str
    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str]
    ours: bool
    public: bool = True
    projects: tuple[str, ...] = ()


class FlavorConflictError(WholecardError):
    """A flavor of a wished name is there and differs; it is left alone."""


@dataclass(frozen=True)
class CreateFlavor(Fields):
    """Create a flavor; its extra specs are an operation of their own, as in nova's API."""

    op: ClassVar[str] = "create-flavor"

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
            f" --disk {self.disk_gb} --description {DESCRIPTION!r}{private} {_name(self.name)}"
        )

    @property
    def before(self) -> State:
        """No such flavor."""
        return {self.name: None}

    @property
    def after(self) -> State:
        """A flavor of ours of this size."""
        return {self.name: _size(self.ram_mb, self.vcpus, self.disk_gb, self.public, ours=True)}

    def look(self, conn: Connection) -> State:
        """The size of the flavor that has this name, and whose it is."""
        found = _find(conn, self.name)
        if found is None:
            return {self.name: None}
        size = found.ram_mb, found.vcpus, found.disk_gb, found.public
        return {self.name: _size(*size, ours=found.ours)}

    def put(self, conn: Connection, state: State) -> str | None:
        """Create it, or delete it unless somebody set extra specs on it."""
        if state[self.name] is not None:
            conn.compute.create_flavor(
                name=self.name,
                ram=self.ram_mb,
                vcpus=self.vcpus,
                disk=self.disk_gb,
                is_public=self.public,
                description=DESCRIPTION,
            )
            return None
        found = _find(conn, self.name)
        if found is None:
            return None
        if found.extra_specs:
            more = ", ".join(sorted(found.extra_specs))
            return f"flavor {self.name} stays: somebody set {more} on it"
        conn.compute.delete_flavor(found.id)
        return None


@dataclass(frozen=True)
class SetExtraSpecs(Values):
    """Set extra specs of a flavor, by its name."""

    op: ClassVar[str] = "set-extra-specs"

    name: str
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        return _set_command(self.name, self.changes)

    def look(self, conn: Connection) -> State:
        """These extra specs as they are."""
        found = _find(conn, self.name)
        specs: Mapping[str, str] = {} if found is None else found.extra_specs
        return {key: specs.get(key) for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Set those with a value in one call, remove the others."""
        flavor = _must(conn, self.name)
        wished = {key: value for key, value in state.items() if value is not None}
        if wished:
            conn.compute.create_flavor_extra_specs(flavor.id, wished)
        for key in sorted(state.keys() - wished.keys()):
            conn.compute.delete_flavor_extra_specs_property(flavor.id, key)
        return None


@dataclass(frozen=True)
class GiveFlavor(Values):
    """Give projects, by their ids, access to a private flavor; a value is `yes` or None."""

    op: ClassVar[str] = "give-flavor"

    name: str
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        return "\n".join(
            f"openstack flavor {'unset' if after is None else 'set'} --project {project}"
            f" {_name(self.name)}"
            for project, _, after in self.changes
        )

    def look(self, conn: Connection) -> State:
        """Which of the projects have access."""
        found = _find(conn, self.name)
        having = () if found is None else _projects(conn, found.id)
        return {project: "yes" if project in having else None for project, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Add or remove access."""
        flavor = _must(conn, self.name)
        for project, value in sorted(state.items()):
            if value is None:
                conn.compute.flavor_remove_tenant_access(flavor.id, project)
            else:
                conn.compute.flavor_add_tenant_access(flavor.id, project)
        return None


def flavors(conn: Connection, access: Collection[str] = ()) -> tuple[Flavor, ...]:
    """The cloud's flavors with their extra specs, by name, private ones too. Raises CloudError.

    `access` are the names of those of which it is read, one request each, who has access.
    """
    with api_errors(conn, "list the flavors"):
        found = [
            each
            if each.public or each.name not in access
            else replace(each, projects=_projects(conn, each.id))
            for each in _list(conn)
        ]
    return tuple(sorted(found, key=lambda each: each.name))


def _list(conn: Connection) -> list[Flavor]:
    # nova takes the word None for "public or not"; without it private ones are left out.
    listed = conn.compute.flavors(details=True, get_extra_specs=True, is_public="None")
    return [
        Flavor(
            id=str(each.id),
            name=str(each.name),
            ram_mb=each.ram,
            vcpus=each.vcpus,
            disk_gb=each.disk,
            extra_specs=dict(each.extra_specs),
            ours=each.description == DESCRIPTION,
            public=each.is_public is not False,
        )
        for each in listed
    ]


def _projects(conn: Connection, flavor_id: str) -> tuple[str, ...]:
    rows = conn.compute.get_flavor_access(flavor_id)
    return tuple(sorted(str(row["tenant_id"]) for row in rows))


def _find(conn: Connection, name: str) -> Flavor | None:
    return next((each for each in _list(conn) if each.name == name), None)


def _must(conn: Connection, name: str) -> Flavor:
    found = _find(conn, name)
    if found is None:
        raise GoneError(f"the flavor {name} is gone", resolution="See who deleted it.")
    return found


def plan_flavors(existing: Sequence[Flavor], wishes: Sequence[FlavorWish]) -> Plan:
    """What to do so that every wish is there; touches nothing.

    A flavor of ours whose extra specs lack or differ is completed: that is also how a run that was
    cut off between the two calls goes on. Anything else that differs is not ours to change.

    Raises FlavorConflictError naming each difference, UsageError when two wishes share a name.
    """
    names = [wish.name for wish in wishes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"wished twice: {', '.join(twice)}", resolution="Give each flavor its own name."
        )
    there = {flavor.name: flavor for flavor in existing}
    actions: list[Action] = []
    for wish in wishes:
        found = differences(there.get(wish.name), wish)
        if found:
            raise FlavorConflictError(
                f"the flavor {wish.name} is there and differs",
                "\n".join(found),
                "Wish for another name, or delete that flavor if nobody uses it.",
            )
        actions += plan_flavor(there.get(wish.name), wish)
    return Plan(tuple(actions))


def plan_flavor(flavor: Flavor | None, wish: FlavorWish) -> list[Action]:
    """What makes or completes a flavor that has no `differences`."""
    actions: list[Action] = []
    if flavor is None:
        actions.append(_create(wish))
    specs = values({} if flavor is None else flavor.extra_specs, wish.extra_specs)
    if specs:
        undo = _set_command(wish.name, backwards(specs))
        actions.append(
            Action(
                kind="set extra specs of flavor",
                subject=wish.name,
                reason="they are what asks for the card and lays out the server",
                do=SetExtraSpecs(wish.name, specs),
                undo=undo if flavor is not None else f"openstack flavor delete {_name(wish.name)}",
            )
        )
    having = {} if flavor is None else dict.fromkeys(flavor.projects, "yes")
    access = values(having, dict.fromkeys(wish.projects, "yes"))
    if access:
        give = GiveFlavor(wish.name, access)
        actions.append(
            Action(
                kind="give flavor",
                subject=wish.name,
                reason="it is private to its projects",
                do=give,
                undo=GiveFlavor(wish.name, backwards(access)).describe().replace("\n", "; "),
            )
        )
    return actions


def apply(conn: Connection, plan: Plan) -> None:
    """Carry out a plan of `plan_flavors` without a journal. Raises CloudError at the first failure.

    What was done before a failure stays; planning anew goes on from there.
    """
    for action in plan.actions:
        operation = action.do
        if not isinstance(operation, (CreateFlavor, SetExtraSpecs, GiveFlavor)):
            raise CloudError(f"{type(operation).__name__} is no operation on flavors")
        with api_errors(conn, f"{action.kind} {action.subject}"):
            operation.put(conn, operation.after)


def differences(flavor: Flavor | None, wish: FlavorWish) -> list[str]:
    """What of a flavor that is there differs and is not ours to change, one line each."""
    if flavor is None:
        return []
    found = size_differences(flavor, wish)
    for key in sorted({*flavor.extra_specs, *wish.extra_specs}):
        is_, wished = flavor.extra_specs.get(key), wish.extra_specs.get(key)
        if is_ != wished and (wished is None or not flavor.ours):
            found.append(f"{key}: {shown(is_)} instead of {shown(wished)}")
    if not flavor.ours and wish.projects:
        having = dict.fromkeys(flavor.projects, "yes")
        found += differing(having, dict.fromkeys(wish.projects, "yes"))
    return found


def size_differences(flavor: Flavor, wish: FlavorWish) -> list[str]:
    """What nova cannot change of a flavor, one line each."""
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("ram", flavor.ram_mb, wish.ram_mb),
        ("vcpus", flavor.vcpus, wish.vcpus),
        ("disk", flavor.disk_gb, wish.disk_gb),
        ("public", flavor.public, not wish.projects),
    )
    return [f"{label}: {is_} instead of {wished}" for label, is_, wished in pairs if is_ != wished]


def _create(wish: FlavorWish) -> Action:
    return Action(
        kind="create flavor",
        subject=wish.name,
        reason="the cloud has no flavor of that name",
        do=CreateFlavor(wish.name, wish.ram_mb, wish.vcpus, wish.disk_gb, not wish.projects),
        undo=f"openstack flavor delete {_name(wish.name)}",
    )


def _set_command(name: str, changes: tuple[Value, ...]) -> str:
    return "; ".join(property_commands("flavor", changes, _name(name)))


def _size(ram_mb: int, vcpus: int, disk_gb: int, public: bool, ours: bool) -> str:
    whose = "" if ours else ", not made by wholecard"
    kind = "public" if public else "private"
    return f"{ram_mb} MiB, {vcpus} vCPU, {disk_gb} GiB, {kind}{whose}"


def _name(name: str) -> str:
    return shlex.quote(name)
