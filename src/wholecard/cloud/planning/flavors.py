"""Planning flavors: what creates or completes them, and what nova cannot change. Pure."""

from __future__ import annotations

from typing import Any

from wholecard.cloud.operations.flavors import (
    CreateFlavor,
    Flavor,
    FlavorWish,
    GiveFlavor,
    SetExtraSpecs,
    quoted,
    set_command,
)
from wholecard.cloud.operations.operation import backwards, differing, values
from wholecard.core import Action
from wholecard.core.plan import shown


def plan_flavor(flavor: Flavor | None, desired: FlavorWish) -> list[Action]:
    """What makes or completes a flavor that has no `differences`."""
    actions: list[Action] = []
    if flavor is None:
        actions.append(_create(desired))
    specs = values({} if flavor is None else flavor.extra_specs, desired.extra_specs)
    if specs:
        undo = f"openstack flavor delete {quoted(desired.name)}"
        if flavor is not None:
            undo = set_command(desired.name, backwards(specs))
        actions.append(
            Action(
                kind="set extra specs of flavor",
                subject=desired.name,
                reason="they ask for the card and define the guest's layout",
                do=SetExtraSpecs(desired.name, specs),
                undo=undo
                if flavor is not None
                else f"openstack flavor delete {quoted(desired.name)}",
            )
        )
    allowed = {} if flavor is None else dict.fromkeys(flavor.projects, "yes")
    access = values(allowed, dict.fromkeys(desired.projects, "yes"))
    if access:
        give = GiveFlavor(desired.name, access)
        actions.append(
            Action(
                kind="give flavor",
                subject=desired.name,
                reason="it is private to its projects",
                do=give,
                undo=GiveFlavor(desired.name, backwards(access)).describe().replace("\n", "; "),
            )
        )
    return actions


def differences(flavor: Flavor | None, desired: FlavorWish) -> list[str]:
    """How an existing flavor differs in what we cannot or must not change, one line each.

    What a flavor of ours has in surplus is not among it, see `surplus`.
    """
    if flavor is None:
        return []
    lines = size_differences(flavor, desired)
    if flavor.ours:
        return lines
    for key in sorted({*flavor.extra_specs, *desired.extra_specs}):
        value, target = flavor.extra_specs.get(key), desired.extra_specs.get(key)
        if value != target:
            lines.append(f"{key}: {shown(value)} instead of {shown(target)}")
    if desired.projects:
        access = dict.fromkeys(flavor.projects, "yes")
        lines += differing(access, dict.fromkeys(desired.projects, "yes"))
    return lines


def beyond(flavor: Flavor, desired: FlavorWish) -> tuple[list[str], list[str]]:
    """The extra specs, and the projects that may use it, of a flavor beyond the desired."""
    keys = sorted(flavor.extra_specs.keys() - desired.extra_specs.keys())
    projects = sorted(set(flavor.projects) - set(desired.projects)) if desired.projects else []
    return keys, projects


def surplus(flavor: Flavor | None, desired: FlavorWish) -> list[str]:
    """What a flavor of ours has in surplus, one line each: it is not changed, whoever set it."""
    if flavor is None or not flavor.ours:
        return []
    keys, projects = beyond(flavor, desired)
    return [
        *(f"{key}: {shown(flavor.extra_specs[key])} instead of nothing" for key in keys),
        *(f"project {project} has access" for project in projects),
    ]


def size_differences(flavor: Flavor, desired: FlavorWish) -> list[str]:
    """What nova cannot change of a flavor, one line each."""
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("ram", flavor.ram_mb, desired.ram_mb),
        ("vcpus", flavor.vcpus, desired.vcpus),
        ("disk", flavor.disk_gb, desired.disk_gb),
        ("public", flavor.public, not desired.projects),
    )
    return [
        f"{label}: {value} instead of {target}" for label, value, target in pairs if value != target
    ]


def _create(desired: FlavorWish) -> Action:
    return Action(
        kind="create flavor",
        subject=desired.name,
        reason="the cloud has no flavor of that name",
        do=CreateFlavor(
            desired.name, desired.ram_mb, desired.vcpus, desired.disk_gb, not desired.projects
        ),
        undo=f"openstack flavor delete {quoted(desired.name)}",
    )
