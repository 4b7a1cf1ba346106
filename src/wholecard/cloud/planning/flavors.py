"""Planning flavors: what has to be made of those that are wished, and what cannot be. Pure."""

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


def plan_flavor(flavor: Flavor | None, wish: FlavorWish) -> list[Action]:
    """What makes or completes a flavor that has no `differences`."""
    actions: list[Action] = []
    if flavor is None:
        actions.append(_create(wish))
    specs = values({} if flavor is None else flavor.extra_specs, wish.extra_specs)
    if specs:
        undo = set_command(wish.name, backwards(specs))
        actions.append(
            Action(
                kind="set extra specs of flavor",
                subject=wish.name,
                reason="they are what asks for the card and lays out the server",
                do=SetExtraSpecs(wish.name, specs),
                undo=undo if flavor is not None else f"openstack flavor delete {quoted(wish.name)}",
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


def differences(flavor: Flavor | None, wish: FlavorWish) -> list[str]:
    """What of a flavor that is there differs and cannot be made as wished, one line each.

    What a flavor of ours has beyond the wish is not among it, see `surplus`.
    """
    if flavor is None:
        return []
    found = size_differences(flavor, wish)
    for key in sorted({*flavor.extra_specs, *wish.extra_specs}):
        is_, wished = flavor.extra_specs.get(key), wish.extra_specs.get(key)
        if is_ != wished and not flavor.ours:
            found.append(f"{key}: {shown(is_)} instead of {shown(wished)}")
    if not flavor.ours and wish.projects:
        having = dict.fromkeys(flavor.projects, "yes")
        found += differing(having, dict.fromkeys(wish.projects, "yes"))
    return found


def beyond(flavor: Flavor, wish: FlavorWish) -> tuple[list[str], list[str]]:
    """The extra specs, and the projects that may use it, of a flavor beyond the wish."""
    more = sorted(flavor.extra_specs.keys() - wish.extra_specs.keys())
    projects = sorted(set(flavor.projects) - set(wish.projects)) if wish.projects else []
    return more, projects


def surplus(flavor: Flavor | None, wish: FlavorWish) -> list[str]:
    """What a flavor of ours has beyond the wish, one line each: it stays, whoever put it there."""
    if flavor is None or not flavor.ours:
        return []
    more, projects = beyond(flavor, wish)
    return [
        *(f"{key}: {shown(flavor.extra_specs[key])} instead of nothing" for key in more),
        *(f"project {each} may use it" for each in projects),
    ]


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
        undo=f"openstack flavor delete {quoted(wish.name)}",
    )
