"""Flavors that ask for cards: what has to be made, planned before and applied after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.errors import CloudError, api_errors
from wholecard.core import Action, Plan, UsageError, WholecardError

# How we know our own flavors again: nova keeps a description from compute API 2.55 on.
DESCRIPTION = "Made by wholecard"


@dataclass(frozen=True)
class FlavorWish:
    """A flavor to have: memory in MiB, root disk in GiB (0: the image's size)."""

    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Flavor:
    """A flavor as it is; `ours` when it carries our description."""

    id: str
    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str]
    ours: bool


class FlavorConflictError(WholecardError):
    """A flavor of a wished name is there and differs; it is left alone."""


@dataclass(frozen=True)
class CreateFlavor:
    """Create a flavor; its extra specs are an operation of their own, as in nova's API."""

    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        return (
            f"openstack flavor create --ram {self.ram_mb} --vcpus {self.vcpus}"
            f" --disk {self.disk_gb} --description {DESCRIPTION!r} {self.name}"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields, with `op` create-flavor."""
        return {"op": "create-flavor", **asdict(self)}


@dataclass(frozen=True)
class SetExtraSpecs:
    """Set extra specs of a flavor, by its name; `specs` are sorted pairs."""

    name: str
    specs: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        pairs = " ".join(f"--property {key}={value}" for key, value in self.specs)
        return f"openstack flavor set {pairs} {self.name}"

    def to_json(self) -> dict[str, Any]:
        """The fields, with `op` set-extra-specs; `specs` is an object."""
        return {"op": "set-extra-specs", "name": self.name, "specs": dict(self.specs)}


def flavors(conn: Connection) -> tuple[Flavor, ...]:
    """The cloud's flavors with their extra specs, by name. Raises CloudError."""
    with api_errors(conn, "list the flavors"):
        found = [
            Flavor(
                id=str(each.id),
                name=str(each.name),
                ram_mb=each.ram,
                vcpus=each.vcpus,
                disk_gb=each.disk,
                extra_specs=dict(each.extra_specs),
                ours=each.description == DESCRIPTION,
            )
            for each in conn.compute.flavors(details=True, get_extra_specs=True)
        ]
    return tuple(sorted(found, key=lambda each: each.name))


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
        flavor = there.get(wish.name)
        if flavor is None:
            actions.append(_create(wish))
            if wish.extra_specs:
                actions.append(_set(wish, wish.extra_specs, f"openstack flavor delete {wish.name}"))
            continue
        _refuse_differences(flavor, wish)
        missing = {k: v for k, v in wish.extra_specs.items() if flavor.extra_specs.get(k) != v}
        if missing:
            actions.append(_set(wish, missing, _undo_specs(flavor, missing)))
    return Plan(tuple(actions))


def apply(conn: Connection, plan: Plan) -> None:
    """Carry out a plan of `plan_flavors`, in its order. Raises CloudError at the first failure.

    What was done before a failure stays; planning anew goes on from there.
    """
    for action in plan.actions:
        with api_errors(conn, f"{action.kind} {action.subject}"):
            _perform(conn, action.do)


def _perform(conn: Connection, operation: object) -> None:
    if isinstance(operation, CreateFlavor):
        conn.compute.create_flavor(
            name=operation.name,
            ram=operation.ram_mb,
            vcpus=operation.vcpus,
            disk=operation.disk_gb,
            description=DESCRIPTION,
        )
    elif isinstance(operation, SetExtraSpecs):
        flavor = conn.compute.find_flavor(operation.name, ignore_missing=False)
        conn.compute.create_flavor_extra_specs(flavor, dict(operation.specs))
    else:
        raise CloudError(f"{type(operation).__name__} is no operation on flavors")


def _create(wish: FlavorWish) -> Action:
    return Action(
        kind="create flavor",
        subject=wish.name,
        reason="the cloud has no flavor of that name",
        do=CreateFlavor(wish.name, wish.ram_mb, wish.vcpus, wish.disk_gb),
        undo=f"openstack flavor delete {wish.name}",
    )


def _set(wish: FlavorWish, specs: Mapping[str, str], undo: str) -> Action:
    return Action(
        kind="set extra specs of flavor",
        subject=wish.name,
        reason="they are what asks for the card and lays out the server",
        do=SetExtraSpecs(wish.name, tuple(sorted(specs.items()))),
        undo=undo,
    )


def _undo_specs(flavor: Flavor, specs: Mapping[str, str]) -> str:
    commands = []
    for key in sorted(specs):
        before = flavor.extra_specs.get(key)
        commands.append(
            f"openstack flavor unset --property {key} {flavor.name}"
            if before is None
            else f"openstack flavor set --property {key}={before} {flavor.name}"
        )
    return "; ".join(commands)


def _refuse_differences(flavor: Flavor, wish: FlavorWish) -> None:
    found = [
        f"{label}: {is_} instead of {wished}"
        for label, is_, wished in (
            ("ram", flavor.ram_mb, wish.ram_mb),
            ("vcpus", flavor.vcpus, wish.vcpus),
            ("disk", flavor.disk_gb, wish.disk_gb),
        )
        if is_ != wished
    ]
    for key in sorted({*flavor.extra_specs, *wish.extra_specs}):
        is_, wished = flavor.extra_specs.get(key), wish.extra_specs.get(key)
        if is_ != wished and (wished is None or not flavor.ours):
            found.append(f"{key}: {_shown(is_)} instead of {_shown(wished)}")
    if found:
        raise FlavorConflictError(
            f"the flavor {wish.name} is there and differs",
            "\n".join(found),
            "Wish for another name, or delete that flavor if nobody uses it.",
        )


def _shown(value: str | None) -> str:
    return "nothing" if value is None else repr(value)
