"""The cards of some inspected hosts by kind: what a first site file is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.pci import Card, Function, is_bmc_display

_NO_IDS = frozenset({"", "ffff"})


@dataclass(frozen=True)
class FoundKind:
    """Cards whose GPU has the same ids, by host.

    `by_address` are those of its hosts where something that is not to be given has these ids too;
    `limited` says that there is such a host at all, with cards of the kind or without.
    """

    name: str
    ids: str
    title: str
    cards: Mapping[str, tuple[Card, ...]]
    by_address: tuple[str, ...]
    limited: bool

    @property
    def most(self) -> int:
        """The cards of the host that has most of them."""
        return max(len(cards) for cards in self.cards.values())


@dataclass(frozen=True)
class SkippedCard:
    """A card that a first site file does not give, and why."""

    host: str
    card: Card
    why: str


def find_kinds(hosts: Mapping[str, Host]) -> tuple[tuple[FoundKind, ...], tuple[SkippedCard, ...]]:
    """The kinds of cards on the hosts, in the order in which they are met, and what is left out."""
    given: dict[str, dict[str, list[Card]]] = {}
    left_out = []
    for name, host in hosts.items():
        for card in host.cards:
            why = _why_left_out(card)
            if why:
                left_out.append(SkippedCard(name, card, why))
            else:
                given.setdefault(card.gpu[0].ids, {}).setdefault(name, []).append(card)
    names: set[str] = set()
    kinds = []
    for ids, cards in given.items():
        first = next(iter(cards.values()))[0].gpu[0]
        name = _unique(_slug(first), ids, names)
        others = [each for each in hosts if _others(hosts[each], ids, cards.get(each, []))]
        by_address = tuple(each for each in cards if each in others)
        kept = {each: tuple(found) for each, found in cards.items()}
        title = f"{first.vendor_name} {first.device_name}".strip()
        kinds.append(FoundKind(name, ids, title, kept, by_address, bool(others)))
    return tuple(kinds), tuple(left_out)


def _why_left_out(card: Card) -> str:
    if any(is_bmc_display(function) for function in card.gpu):
        return "the display of the BMC or hypervisor, which shows the host's console"
    if card.boot_display:
        return "the boot display, which the host's console is on"
    gpu = card.gpu[0]
    if gpu.vendor in _NO_IDS or gpu.device in _NO_IDS:
        return "it does not say its ids: it may have fallen off the bus"
    return ""


def _others(host: Host, ids: str, cards: list[Card]) -> bool:
    """Whether a display function that is not a card's first has the ids as well."""
    given = {card.gpu[0].address for card in cards}
    return any(
        each.is_display and each.physfn is None and each.ids == ids and each.address not in given
        for each in host.functions
    )


def _slug(function: Function) -> str:
    """`h100-sxm5-80gb` of `GH100 [H100 SXM5 80GB]`: what is sold, and the first where many are."""
    sold = re.search(r"\[([^\]]+)\]", function.device_name)
    name = (sold[1] if sold else function.device_name).partition("/")[0].lower()
    slug = re.sub(r"[^a-z0-9.]+", "-", name).strip("-.")[:40].strip("-.")
    return slug or f"card-{function.ids.replace(':', '-')}"


def _unique(slug: str, ids: str, names: set[str]) -> str:
    found = next(each for each in _candidates(slug, ids) if each not in names)
    names.add(found)
    return found


def _candidates(slug: str, ids: str) -> Iterator[str]:
    yield slug
    yield f"{slug}-{ids.partition(':')[2]}"
    yield f"{slug}-{ids.replace(':', '-')}"
