"""The cards of some inspected hosts by kind, for a first site file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.pci import Card, Function, is_bmc_display, is_console_like

# A function that has fallen off the bus reads as ones: ffff.
_NO_IDS = frozenset({"", "ffff"})


@dataclass(frozen=True)
class FoundKind:
    """Cards whose GPU has the same ids, by host.

    `by_address` are those of its hosts where a function that must not be given has these ids too;
    `limited` says that there is such a host, with cards of the kind or without.
    """

    name: str
    ids: str
    title: str
    cards: Mapping[str, tuple[Card, ...]]
    by_address: tuple[str, ...]
    limited: bool


@dataclass(frozen=True)
class SkippedCard:
    """A card that a first site file leaves out, and why."""

    host: str
    card: Card
    reason: str


def find_kinds(hosts: Mapping[str, Host]) -> tuple[tuple[FoundKind, ...], tuple[SkippedCard, ...]]:
    """The kinds of cards on the hosts, in the hosts' order, and the cards that are left out."""
    by_ids, skipped = _cards_by_ids(hosts)
    names: set[str] = set()
    kinds = []
    for ids, cards in by_ids.items():
        first = next(iter(cards.values()))[0].gpu[0]
        slug = _slug(first)
        longer = (f"{slug}-{ids.partition(':')[2]}", f"{slug}-{ids.replace(':', '-')}")
        name = next(name for name in (slug, *longer) if name not in names)
        names.add(name)
        shared = [host for host in hosts if _others_have(ids, hosts[host], cards.get(host, []))]
        by_address = tuple(host for host in cards if host in shared)
        by_host = {host: tuple(on_host) for host, on_host in cards.items()}
        title = f"{first.vendor_name} {first.device_name}".strip()
        kinds.append(FoundKind(name, ids, title, by_host, by_address, bool(shared)))
    return tuple(kinds), tuple(skipped)


def _cards_by_ids(
    hosts: Mapping[str, Host],
) -> tuple[dict[str, dict[str, list[Card]]], list[SkippedCard]]:
    """The hosts' cards by the ids of their GPU and by host, and those that are left out."""
    by_ids: dict[str, dict[str, list[Card]]] = {}
    skipped = []
    for name, host in hosts.items():
        for card in host.cards:
            reason = _reason_to_skip(card)
            if reason:
                skipped.append(SkippedCard(name, card, reason))
            else:
                by_ids.setdefault(card.gpu[0].ids, {}).setdefault(name, []).append(card)
    return by_ids, skipped


def _reason_to_skip(card: Card) -> str:
    if any(is_bmc_display(function) for function in card.gpu):
        return "the display of the BMC or hypervisor, which shows the host's console"
    if card.boot_display:
        return "the boot display, which shows the host's console"
    if all(is_console_like(function) for function in card.gpu):
        return "a small display of no maker of GPUs, which may show the host's console"
    if all(function.is_coprocessor for function in card.gpu):
        return "a coprocessor, which may be a part of the processor"
    gpu = card.gpu[0]
    if gpu.vendor in _NO_IDS or gpu.device in _NO_IDS:
        return "its ids cannot be read: it may have fallen off the bus"
    return ""


def _others_have(ids: str, host: Host, cards: list[Card]) -> bool:
    """Whether a display function that is not the first one of these cards has the ids too."""
    first = {card.gpu[0].address for card in cards}
    return any(
        function.ids == ids
        and function.is_display
        and function.physfn is None
        and function.address not in first
        for function in host.functions
    )


def _slug(function: Function) -> str:
    """`h100-sxm5-80gb` of `GH100 [H100 SXM5 80GB]`: the product's name, the first of several."""
    product = re.search(r"\[([^\]]+)\]", function.device_name)
    name = (product[1] if product else function.device_name).partition("/")[0].lower()
    slug = re.sub(r"[^a-z0-9.]+", "-", name).strip("-.")[:40].strip("-.")
    return slug or f"card-{function.ids.replace(':', '-')}"
