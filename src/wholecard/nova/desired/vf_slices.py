"""device_spec and alias of the VFs that cards are given in. Pure.

nova, doc/source/admin/pci-passthrough.rst: a VF with a vendor's type stays with the vendor's
driver, `managed` is no (2025.1). nova/compute/pci_placement_translator.py: the VFs of one PF share
a provider, so they have one resource class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import refuse_other_function
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.mdev_types import parts_by_kind, vfs_missing, vfs_of
from wholecard.nova.desired.placement_tags import PlacementTags, PlacementUse
from wholecard.nova.desired.unsupported import unsupported
from wholecard.pci import Function
from wholecard.pci.vfio_drivers import VFIO_PCI
from wholecard.site.card_matching import functions_of
from wholecard.site.give import Slice, Vfs
from wholecard.site.model import CardKind, Site

Ids = tuple[str, str]


@dataclass(frozen=True)
class VfSlices:
    """What nova is told of a site's VFs: device_specs by host, and aliases for all."""

    specs: Mapping[str, tuple[PciDeviceSpec, ...]]
    aliases: tuple[PciAlias, ...]


def vf_slices(
    site: Site,
    facts: Mapping[str, Host],
    classes: Mapping[str, str | None],
    use: PlacementUse,
    release: Release,
) -> VfSlices:
    """Device_specs and aliases of the site's VFs.

    Raises UnsupportedError for what nova cannot do, and where no facts show the VFs.
    """
    specs: dict[str, list[PciDeviceSpec]] = {}
    aliases: list[PciAlias] = []
    seen: dict[Ids, str] = {}
    for name, parts in parts_by_kind(site, "vfs").items():
        kind, part = site.cards[name], _one_type(name, parts)
        tags = _tags(part, kind, use, classes[part.name], release)
        on_hosts = {host: _vfs(name, kind, part, host, facts[host]) for host in facts}
        ids = dict.fromkeys((vf.vendor, vf.device) for vfs in on_hosts.values() for vf in vfs)
        if not ids:
            refuse_other_function(name, kind, facts)
            raise _no_vfs(name)
        if not use.choose:
            _refuse_alike(name, part.name, ids, seen)
        for host, vfs in on_hosts.items():
            specs.setdefault(host, []).extend(_specs(tags, vfs, facts[host]))
        aliases += [tags.alias(pair, "type-VF") for pair in _pairs(ids, use)]
    return VfSlices({host: tuple(rows) for host, rows in specs.items()}, tuple(aliases))


def _refuse_alike(name: str, part: str, ids: Iterable[Ids], seen: dict[Ids, str]) -> None:
    """Raises UnsupportedError where another part has one of the ids; notes them in `seen`."""
    for pair in ids:
        other = seen.setdefault(pair, part)
        if other != part:
            raise _alike(name, part, other)


def _pairs(ids: Mapping[Ids, None], use: PlacementUse) -> Iterator[Ids | None]:
    """The ids of the aliases; with Placement one alias, by the class where there are several."""
    if use.choose and len(ids) > 1:
        yield None
    else:
        yield from ids


def _one_type(name: str, parts: list[Slice]) -> Slice:
    if len(parts) > 1:
        raise unsupported(
            ("cards", name, "give", "types"),
            f"cards.{name}: nova cannot tell the VFs of one card apart",
            "They have the same ids, and one provider in Placement with one resource class "
            "(nova/compute/pci_placement_translator.py), so a server would get any type.",
            "Write a kind for each type, each with addresses or hosts of its own.",
        )
    return parts[0]


def _tags(
    part: Slice, kind: CardKind, use: PlacementUse, resource_class: str | None, release: Release
) -> PlacementTags:
    driver = kind.parts.driver if isinstance(kind.parts, Vfs) else None
    keeps_driver = bool(part.type) or driver not in (None, VFIO_PCI)
    migrates = has(release, Capability.LIVE_MIGRATABLE)
    if keeps_driver and not migrates:
        raise unsupported(
            ("cards", part.kind, "give"),
            f"cards.{part.kind}: nova of {release} takes a VF from its driver",
            "libvirt would bind vfio-pci, and the VF would lose its type. The tag managed is new "
            f"in {Capability.LIVE_MIGRATABLE.series}.",
            f"Upgrade to {Capability.LIVE_MIGRATABLE.series}, or give VFs without types.",
        )
    kind = kind.model_copy(update={"managed": kind.managed and not keeps_driver})
    return PlacementTags(part.name, kind, use, resource_class, migrates)


def _vfs(name: str, kind: CardKind, part: Slice, host_name: str, host: Host) -> list[Function]:
    """The VFs that a host gives: of each card as many as the site says, in order."""
    given: list[Function] = []
    for card in functions_of(kind, host_name, host):
        vfs = vfs_of(card, host)
        if len(vfs) < part.count:
            raise vfs_missing(name, kind, card, host_name)
        given += vfs[: part.count]
    return given


def _specs(tags: PlacementTags, vfs: list[Function], host: Host) -> Iterator[PciDeviceSpec]:
    """By ids where nothing else of the host has them, else by address."""
    given = {vf.address for vf in vfs}
    for pair in dict.fromkeys((vf.vendor, vf.device) for vf in vfs):
        same = [each for each in host.functions if (each.vendor, each.device) == pair]
        if all(each.address in given for each in same):
            yield tags.spec(*pair)
        else:
            yield from (tags.spec(*pair, str(vf.address)) for vf in same if vf.address in given)


def _no_vfs(name: str) -> Exception:
    return unsupported(
        ("cards", name),
        f"cards.{name}: no facts of a host show its VFs",
        "nova is told their ids and addresses.",
        "Name a facts file as hosts.NAME.facts (wholecard-host inspect --json), read after the "
        "VFs were made.",
        facts_missing=True,
    )


def _alike(name: str, part: str, other: str) -> Exception:
    return unsupported(
        ("cards", name),
        f"nova cannot distinguish {part} and {other}",
        "Their VFs have the same ids, and without Placement an alias names nothing else.",
        "Write nova.pci_in_placement: true (since 2023.1).",
    )
