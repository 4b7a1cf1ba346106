"""Planning flavors: what creates or completes them, and what nova cannot change. Pure."""

from __future__ import annotations

from shlex import quote
from typing import Any

from wholecard.cloud.operations import flavors as operations
from wholecard.cloud.operations.flavors import Flavor, FlavorSpec
from wholecard.cloud.operations.operation import backwards, differing, values
from wholecard.core import Action
from wholecard.core.plan import shown


def plan_flavor(flavor: Flavor | None, desired: FlavorSpec) -> list[Action]:
    """What makes or completes a flavor that has no `differences`."""
    name = desired.name
    actions: list[Action] = []
    delete = f"openstack flavor delete {quote(name)}"
    if flavor is None:
        size = (desired.ram_mb, desired.vcpus, desired.disk_gb)
        create = operations.CreateFlavor(name, *size, not desired.projects)
        reason = "the cloud has no flavor of that name"
        actions.append(Action("create flavor", name, reason, create, delete))
    specs = values({} if flavor is None else flavor.extra_specs, desired.extra_specs)
    if specs:
        undo = delete if flavor is None else operations.set_command(name, backwards(specs))
        reason = "they request the card and define the guest's NUMA topology"
        set_specs = operations.SetExtraSpecs(name, specs)
        actions.append(Action("set extra specs of flavor", name, reason, set_specs, undo))
    allowed = {} if flavor is None else dict.fromkeys(flavor.projects, "yes")
    access = values(allowed, dict.fromkeys(desired.projects, "yes"))
    if access:
        give = operations.GiveFlavor(name, access)
        take = operations.GiveFlavor(name, backwards(access)).describe().replace("\n", "; ")
        actions.append(Action("give flavor", name, "it is private to its projects", give, take))
    return actions


def differences(flavor: Flavor | None, desired: FlavorSpec) -> list[str]:
    """How an existing flavor differs in what we cannot or must not change, one line each.

    What a flavor of ours has in surplus is not among it, see `surplus`.
    """
    if flavor is None:
        return []
    lines = size_differences(flavor, desired)
    if flavor.ours:
        return lines
    none = dict.fromkeys(flavor.extra_specs)
    lines += differing(flavor.extra_specs, {**none, **desired.extra_specs})
    if desired.projects:
        access = dict.fromkeys(flavor.projects, "yes")
        lines += differing(access, dict.fromkeys(desired.projects, "yes"))
    return lines


def beyond(flavor: Flavor, desired: FlavorSpec) -> tuple[list[str], list[str]]:
    """The extra specs, and the projects that may use it, of a flavor beyond the desired."""
    keys = sorted(flavor.extra_specs.keys() - desired.extra_specs.keys())
    projects = sorted(set(flavor.projects) - set(desired.projects)) if desired.projects else []
    return keys, projects


def surplus(flavor: Flavor | None, desired: FlavorSpec) -> list[str]:
    """What a flavor of ours has in surplus, one line each: it is not changed, whoever set it."""
    if flavor is None or not flavor.ours:
        return []
    keys, projects = beyond(flavor, desired)
    return [
        *(f"{key}: {shown(flavor.extra_specs[key])} instead of nothing" for key in keys),
        *(f"project {project} has access" for project in projects),
    ]


def size_differences(flavor: Flavor, desired: FlavorSpec) -> list[str]:
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
