"""The resource class of each kind of part that cards are given in. Pure.

Mediated devices: nova/conf/devices.py, `mdev_class`, VGPU where none is set. VFs are devices like
any other to nova, with a class of their own here, because VFs and cards of one model may have the
same ids.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.placement_tags import placement_use
from wholecard.nova.desired.resource_classes import class_of_name
from wholecard.nova.desired.unsupported import Unsupported
from wholecard.nova.match.mdevs import VGPU
from wholecard.site.give import Slice
from wholecard.site.model import Site


def slice_classes(site: Site, release: Release) -> dict[str, str | None]:
    """The class of each part by its name; None for VFs that nova counts without Placement.

    Of several kinds of mediated devices each has a class of its own, for a server that asks for
    VGPU gets one of any kind.
    """
    alone = sum(part.way == "mdev" for part in site.slices.values()) == 1
    chosen = placement_use(site, release).choose
    return {name: _class(part, alone, chosen) for name, part in site.slices.items()}


def _class(part: Slice, alone: bool, chosen: bool) -> str | None:
    if part.resource_class:
        return part.resource_class
    if part.way == "mdev":
        return VGPU if alone else class_of_name(part.name)
    return class_of_name(part.name) if chosen else None


def unsupported_classes(site: Site, release: Release) -> Iterator[Unsupported]:
    """Classes that nova of the release cannot report, and two kinds of parts with one class."""
    classes = slice_classes(site, release)
    first_of: dict[str, str] = {}
    for name, resource_class in classes.items():
        part = site.slices[name]
        keys = ("cards", part.kind, "give")
        own = part.way == "mdev" and resource_class != VGPU
        if own and not has(release, Capability.MDEV_CLASSES):
            yield Unsupported(
                keys,
                f"cards.{part.kind}: nova of {release} has one class of mediated devices, VGPU",
                f"mdev_class is new in {Capability.MDEV_CLASSES.series}.",
                "Give one kind of mediated device in the cloud, without a resource_class.",
            )
        first = first_of.setdefault(resource_class, name) if resource_class else name
        if first != name:
            yield Unsupported(
                keys,
                f"{first} and {name} have one resource class, {resource_class}",
                "A server that asks for one may get the other.",
                "Give each a resource_class of its own.",
            )
