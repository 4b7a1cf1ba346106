"""`enabled_mdev_types` of each host, and the sections of its types. Pure.

What nova makes of them: `wholecard.nova.match.mdevs`. nova offers all that a parent's driver offers
of its one type, whatever a site counts: on cards with SR-IOV each VF is a parent with one device,
so as many VFs are named as the site counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
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
from wholecard.site.model import CardKind, Match, Site


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
        known = _named(matches)
    else:
        cards = functions_of(kind, host_name, host)
        known = [_of_card(name, kind, card, host_name, host) for card in cards]
    _refuse_shared(name, parts, [*known, *([parent] for parent in virtual)])
    start = 0
    for part in parts:
        end = start + part.count
        cut = (parents if len(parents) == 1 else parents[start:end] for parents in known)
        yield part, (*virtual, *chain.from_iterable(cut))
        start = end


def _refuse_shared(name: str, parts: list[Slice], known: list[list[str]]) -> None:
    """Raises UnsupportedError for several types where a card is its one parent."""
    if len(parts) > 1 and any(len(parents) == 1 for parents in known):
        raise unsupported(
            ("cards", name, "give", "types"),
            f"cards.{name}: nova gives devices of one type from a parent",
            f"Its parents are the cards themselves, and it has {len(parts)} types.",
            "Write a kind for each type, each with addresses or hosts of its own.",
        )


def _named(matches: list[Match]) -> list[list[str]]:
    """The cards' addresses where the facts are not known; none unless each match gives one."""
    cards = [match for match in matches if match.parent is None]
    named = [match.address for match in cards if match.address is not None]
    return [[address] for address in named] if len(named) == len(cards) else []


def _of_card(name: str, kind: CardKind, card: Function, host_name: str, host: Host) -> list[str]:
    """The parents of one card: its VFs, or itself where its facts say so, or by its model."""
    vfs = vfs_of(card, host)
    if vfs:
        return [str(vf.address) for vf in vfs]
    types = host.slices.mdev_types if host.slices else ()
    if any(row.parent == str(card.address) for row in types):
        return [str(card.address)]
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
        "Prepare the host (wholecard site host NAME, wholecard-host apply), and inspect it again.",
        facts_missing=True,
    )


def _check(types: tuple[MdevType, ...], host_name: str, site: Site, release: Release) -> None:
    if not types:
        return
    where = f" on {host_name}" if host_name else ""
    keys = _keys(site, types[-1].name)
    reason = _too_old(types, where, release) or _class_not_read(types, where, release)
    if reason:
        raise unsupported(keys, *reason)
    _refuse_unnamed(types, where, keys)


def _refuse_unnamed(types: tuple[MdevType, ...], where: str, keys: Keys) -> None:
    """Raises UnsupportedError for types that have to name their parents and cannot."""
    lacking = [one.name for one in types if not one.parents]
    own = any(one.resource_class != VGPU for one in types)
    if lacking and (len(types) > 1 or own):
        raise unsupported(
            keys,
            f"the parents of {joined(lacking)}{where} are not known",
            "With several types, and with a resource class of its own, nova is told each parent.",
            "Name a facts file as hosts.NAME.facts (wholecard-host inspect --json).",
            facts_missing=True,
        )


def _too_old(
    types: tuple[MdevType, ...], where: str, release: Release
) -> tuple[str, str, str] | None:
    """What the release does not have: what, why and what to do; None where it has all."""
    virtual = any(":" not in parent for one in types for parent in one.parents)
    needs = (
        (True, Capability.MDEV_TYPES, f"nova of {release} has no mediated devices",
         "Upgrade."),
        (virtual, Capability.VIRTUAL_MDEV_PARENTS,
         f"nova of {release} takes no parent of mediated devices that is no PCI function",
         "Give devices of a card."),
        (len(types) > 1, Capability.MDEV_SECTIONS,
         f"nova of {release} uses one type of mediated devices{where}",
         "Give each type hosts of its own."),
    )  # fmt: skip
    for needed, capability, what, resolution in needs:
        if needed and not has(release, capability):
            return what, f"It does since {capability.series}.", resolution
    return None


def _class_not_read(
    types: tuple[MdevType, ...], where: str, release: Release
) -> tuple[str, str, str] | None:
    """A class of its own for a single type, whose section older releases do not read."""
    if len(types) > 1 or has(release, Capability.MDEV_LIMITS) or types[0].resource_class == VGPU:
        return None
    return (
        f"nova of {release} reads no resource class of a single type{where} ({types[0].name})",
        f"It reads a single type's section since {Capability.MDEV_LIMITS.series}.",
        "Remove resource_class, so that the class is VGPU.",
    )


def _keys(site: Site, type_name: str) -> Keys:
    parts: Iterable[Slice] = site.slices.values()
    kind = next((part.kind for part in parts if part.type == type_name), "")
    return ("cards", kind, "give")
