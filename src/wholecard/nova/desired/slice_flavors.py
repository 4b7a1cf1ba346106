"""What a flavor asks for parts of cards: an alias for VFs, resource classes for mediated devices.

Source: nova, doc/source/admin/virtual-gpu.rst; several devices for one server: bug 1758086, of one
NVIDIA parent a guest gets one, and all groups of a flavor count since 2026.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.nova.desired.unsupported import Unsupported
from wholecard.nova.match.mdevs import VGPU
from wholecard.pci.splitting.nvidia import VENDOR
from wholecard.site.model import Site

ALIAS = "pci_passthrough:alias"


def slice_specs(
    site: Site, cards: Mapping[str, int], whole: Mapping[str, str], release: Release
) -> dict[str, str]:
    """The extra specs for the parts among a flavor's `cards`.

    `whole` are the specs of its other cards: an alias among them is kept, before those of VFs.
    """
    parts = {name: count for name, count in cards.items() if name in site.slices}
    vfs = [f"{name}:{count}" for name, count in parts.items() if site.slices[name].way == "vfs"]
    specs = {}
    if vfs:
        specs[ALIAS] = ",".join([*filter(None, [whole.get(ALIAS)]), *vfs])
    mdevs = {name: count for name, count in parts.items() if name not in _names(vfs)}
    return specs | _mdev_specs(site, mdevs, release)


def _names(pairs: list[str]) -> set[str]:
    return {pair.rpartition(":")[0] for pair in pairs}


def _mdev_specs(site: Site, mdevs: Mapping[str, int], release: Release) -> dict[str, str]:
    classes = slice_classes(site, release)
    apart = [name for name, count in mdevs.items() if count > 1 and _is_nvidia(site, name)]
    if not apart:
        return {f"resources:{classes[name] or VGPU}": str(count) for name, count in mdevs.items()}
    specs: dict[str, str] = {}
    groups = 0
    for name, count in mdevs.items():
        resource_class = classes[name] or VGPU
        if name not in apart:
            specs[f"resources:{resource_class}"] = str(count)
            continue
        for _ in range(count):
            groups += 1
            specs[f"resources{groups}:{resource_class}"] = "1"
    # Each group from a parent of its own: group_policy is about groups with a number alone.
    return {**specs, "group_policy": "isolate"}


def _is_nvidia(site: Site, name: str) -> bool:
    kind = site.cards[site.slices[name].kind]
    return any(match.vendor == VENDOR for match in kind.match)


def unsupported_flavors(site: Site, release: Release) -> Iterator[Unsupported]:
    """Flavors for whose parts nova of the release makes fewer than they ask for."""
    for name, flavor in site.flavors.items():
        mdevs = {part: count for part, count in flavor.cards.items()
                 if part in site.slices and site.slices[part].way == "mdev"}  # fmt: skip
        several = len(mdevs) > 1 or any(
            count > 1 and _is_nvidia(site, part) for part, count in mdevs.items()
        )
        if several and not has(release, Capability.SEVERAL_MDEV_GROUPS):
            yield Unsupported(
                ("flavors", name, "cards"),
                f"flavors.{name} asks for several mediated devices of different parents",
                f"nova of {release} makes the devices of the first alone (bug 1758086), and starts "
                "the server.",
                f"Ask for one, or upgrade to {Capability.SEVERAL_MDEV_GROUPS.series}.",
            )
