"""`enabled_mdev_types` of each host, and the sections of its types. Pure.

What nova makes of them: `wholecard.nova.match.mdevs`. nova offers all that a parent's driver offers
of its one type, whatever a site counts: on cards with SR-IOV each VF is a parent with one device,
so as many VFs are named as the site counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import joined
from wholecard.host.facts.host import Host
from wholecard.nova.desired.unsupported import Keys, unsupported
from wholecard.nova.match.mdevs import VGPU, nova_parent
from wholecard.pci import Function
from wholecard.pci.splitting.nvidia import SRIOV
from wholecard.pci.splitting.registry import find_card
from wholecard.site.card_matching import functions_of
from wholecard.site.give import Slice
from wholecard.site.model import CardKind, Site


@dataclass(frozen=True)
class MdevType:
    """A type on one host: its parents, none where they are not named, and its class."""

    name: str
    parents: tuple[str, ...] = ()
    resource_class: str = VGPU


def mdev_types_on(
    site: Site,
    host_name: str,
    host: Host | None,
    classes: Mapping[str, str | None],
    release: Release,
) -> tuple[MdevType, ...]:
    """The types that a host gives; `host` is None where its facts are not known.

    Raises UnsupportedError for what nova of the release does not do, or where the parents have to
    be named and are not known.
    """
    types: dict[str, MdevType] = {}
    for name, parts in parts_by_kind(site, "mdev").items():
        kind = site.cards[name]
        if not _may_be_on(kind, host_name):
            continue
        for part, parents in _parents(name, kind, parts, host_name, host):
            if host is not None and not parents:
                continue
            made = MdevType(part.type, parents, classes[part.name] or VGPU)
            same = types.get(part.type, made)
            if same.resource_class != made.resource_class:
                raise unsupported(
                    ("cards", name, "give"),
                    f"{host_name} has the type {part.type} in two resource classes",
                    "nova has one section, with one mdev_class, for a type.",
                    "Give the two kinds the same resource_class, or hosts of their own.",
                )
            types[part.type] = MdevType(
                part.type, (*same.parents, *parents) if same is not made else parents,
                made.resource_class,
            )  # fmt: skip
    made_types = tuple(types.values())
    _check(made_types, host_name, site, release)
    return made_types


def parts_by_kind(site: Site, way: Literal["mdev", "vfs"]) -> dict[str, list[Slice]]:
    """The parts that nova sees in this way, by the kind of card."""
    kinds: dict[str, list[Slice]] = {}
    for part in site.slices.values():
        if part.way == way:
            kinds.setdefault(part.kind, []).append(part)
    return kinds


def _may_be_on(kind: CardKind, host_name: str) -> bool:
    return any(not match.hosts or host_name in match.hosts for match in kind.match)


def _parents(
    name: str, kind: CardKind, parts: list[Slice], host_name: str, host: Host | None
) -> Iterator[tuple[Slice, tuple[str, ...]]]:
    """Each type with its parents on the host."""
    matches = [match for match in kind.match if not match.hosts or host_name in match.hosts]
    virtual = [nova_parent(match.parent) for match in matches if match.parent is not None]
    if host is None:
        named = [match.address for match in matches if match.address is not None]
        whole = len(named) + len(virtual) == len(matches)
        known: list[list[str]] = [[each] for each in named] if whole else []
    else:
        known = [_of_card(name, kind, card, host_name, host)
                 for card in functions_of(kind, host_name, host)]  # fmt: skip
    shared = [parents for parents in known if len(parents) == 1]
    if len(parts) > 1 and (shared or virtual):
        raise unsupported(
            ("cards", name, "give", "types"),
            f"cards.{name}: nova gives devices of one type from a parent",
            f"Its parents are the cards themselves, and it has {len(parts)} types.",
            "Write a kind for each type, each with addresses or hosts of its own.",
        )
    start = 0
    for part in parts:
        cut = [parents if len(parents) == 1 else parents[start : start + part.count]
               for parents in known]  # fmt: skip
        start += part.count
        yield part, (*virtual, *(parent for parents in cut for parent in parents))


def _of_card(name: str, kind: CardKind, card: Function, host_name: str, host: Host) -> list[str]:
    """The parents of one card: itself, or its VFs."""
    vfs = vfs_of(card, host)
    if vfs:
        return [str(vf.address) for vf in vfs]
    split = find_card(card.ids)
    if split is not None and split.generation in SRIOV:
        raise vfs_missing(name, kind, card, host_name)
    return [str(card.address)]


def vfs_of(card: Function, host: Host) -> list[Function]:
    """The VFs of a card, by address."""
    vfs = (function for function in host.functions if function.physfn == card.address)
    return sorted(vfs, key=lambda function: function.address)


def vfs_missing(name: str, kind: CardKind, card: Function, host_name: str) -> Exception:
    """The error of a card whose VFs are not made yet."""
    return unsupported(
        ("cards", name, "give"),
        f"cards.{name}: {card.address} on {host_name} has no VFs in the host's facts",
        f"nova is told the addresses of the VFs ({kind.give.policy}).",
        "Prepare the host (wholecard site host NAME, wholecard-host apply), reboot it, and inspect "
        "it again.",
        facts_missing=True,
    )


def _check(types: tuple[MdevType, ...], host_name: str, site: Site, release: Release) -> None:
    if not types:
        return
    keys = _keys(site, types[-1].name)
    where = f" on {host_name}" if host_name else ""
    if not has(release, Capability.MDEV_TYPES):
        since = Capability.MDEV_TYPES.series
        raise unsupported(
            keys, f"nova of {release} has no mediated devices",
            f"enabled_vgpu_types is new in {since}.", f"Upgrade to {since}.")  # fmt: skip
    virtual = [one.name for one in types if any(":" not in parent for parent in one.parents)]
    if virtual and not has(release, Capability.VIRTUAL_MDEV_PARENTS):
        raise unsupported(
            keys, f"nova of {release} takes no parent of mediated devices that is no PCI function",
            f"It does since {Capability.VIRTUAL_MDEV_PARENTS.series}.",
            "Give devices of a card.")  # fmt: skip
    if len(types) > 1 and not has(release, Capability.MDEV_SECTIONS):
        raise unsupported(
            keys, f"nova of {release} uses one type of mediated devices{where}",
            f"Several are possible since {Capability.MDEV_SECTIONS.series}.",
            "Give each type hosts of its own.")  # fmt: skip
    _check_parents(types, keys, where, release)


def _check_parents(types: tuple[MdevType, ...], keys: Keys, where: str, release: Release) -> None:
    """Types that have to name their parents."""
    sections = len(types) > 1 or has(release, Capability.MDEV_LIMITS)
    own = [one.name for one in types if one.resource_class != VGPU]
    if own and not sections:
        raise unsupported(
            keys, f"nova of {release} reads no resource class of a single type{where} ({own[0]})",
            f"It reads a single type's section since {Capability.MDEV_LIMITS.series}.",
            "Remove resource_class, so that the class is VGPU.")  # fmt: skip
    lacking = [one.name for one in types if not one.parents]
    if lacking and (len(types) > 1 or own):
        raise unsupported(
            keys, f"the parents of {joined(lacking)}{where} are not known",
            "With several types, and with a resource class of its own, nova is told each parent.",
            "Name a facts file as hosts.NAME.facts (wholecard-host inspect --json).",
            facts_missing=True)  # fmt: skip


def _keys(site: Site, type_name: str) -> Keys:
    parts: Iterable[Slice] = site.slices.values()
    kind = next((part.kind for part in parts if part.type == type_name), "")
    return ("cards", kind, "give")
