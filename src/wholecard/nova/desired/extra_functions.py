"""Kinds of card that nova would give apart: refused, because a server gets a whole card. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import SelectedDevices
from wholecard.nova.desired.unsupported import Unsupported, UnsupportedError
from wholecard.nova.desired.whole_cards import CardInParts, cards_in_parts
from wholecard.site.model import Site

_WHY = (
    "nova gives each function alone and does not know which belong to one card: one server gets "
    "the GPU of one card and a function of the other, and the next server cannot start."
)
_MOST_HOSTS = 3


def cards_given_in_parts(
    selected: tuple[SelectedDevices, ...], facts: Mapping[str, Host]
) -> dict[str, tuple[CardInParts, ...]]:
    """The cards of each host of which a site gives several functions; labels are the kinds."""
    return {
        name: cards_in_parts(
            host,
            {
                function.address: (devices.kind,)
                for devices in selected
                if devices.host == name
                for function in devices.functions
                if function.physfn is None
            },
        )
        for name, host in facts.items()
    }


def refuse_mixed_cards(
    site: Site,
    selected: tuple[SelectedDevices, ...],
    facts: Mapping[str, Host],
    without_facts: tuple[str, ...],
) -> None:
    """Raises UnsupportedError for kinds with which nova mixes the functions of several cards.

    A host may give a card and an extra function of it where it has one such card. Two cards that
    share an IOMMU group are another matter: `site_checks` warns of them.
    """
    hosts: dict[str, list[str]] = {}
    for name, cards in cards_given_in_parts(selected, facts).items():
        for kind in _mixed_kinds(cards):
            hosts.setdefault(kind, []).append(name)
    requests = [_mixed(site, kind, hosts[kind]) for kind in site.cards if kind in hosts]
    requests += _not_known(site, without_facts)
    if requests:
        raise UnsupportedError(requests)


def _mixed_kinds(cards: tuple[CardInParts, ...]) -> set[str]:
    """The kinds that a person has to change: extra functions, or one with two GPUs of a slot."""
    kinds: set[str] = set()
    for card in cards:
        if not card.mixed or not (card.is_one_slot or card.extra_functions):
            continue
        change = card.extra_functions or card.displays
        kinds.update(*(card.labels[function.address] for function in change))
    return kinds


def _mixed(site: Site, kind: str, hosts: list[str]) -> Unsupported:
    more = f" and {len(hosts) - _MOST_HOSTS} more hosts" if len(hosts) > _MOST_HOSTS else ""
    where = f"{', '.join(hosts[:_MOST_HOSTS])}{more}"
    if site.cards[kind].extra_function:
        return Unsupported(
            ("cards", kind, "extra_function"),
            f"cards.{kind} is an extra function on {where}, where more than one card has it",
            _WHY,
            f"Remove the kind {kind}, from the flavors too: a server gets the GPU, and the card's "
            "other functions stay bound to vfio-pci. Only a host with one such card can give both.",
        )
    return Unsupported(
        ("cards", kind, "match"),
        f"cards.{kind} gives several functions of one card on {where}",
        _WHY,
        "Match one function of each card, by its product or by address.",
    )


def _not_known(site: Site, without_facts: tuple[str, ...]) -> Iterator[Unsupported]:
    """Extra functions on hosts without facts, unless the site has one card with one there."""
    for kind, card in site.cards.items():
        limits = [frozenset(match.hosts) for match in card.match]
        for name in without_facts if card.extra_function else ():
            if all(limit and name not in limit for limit in limits):
                continue
            if _is_said(site, kind, name):
                continue
            yield Unsupported(
                ("cards", kind, "extra_function"),
                f"cards.{kind}: whether one card alone has it is not known"
                + (f" for {name}" if name else ""),
                _WHY,
                "Name the host's facts (hosts.NAME.facts), write that it has one card and one "
                f"{kind} (hosts.NAME.cards), or remove the kind.",
                facts_missing=True,
            )
            break


def _is_said(site: Site, kind: str, host: str) -> bool:
    """Whether the site says that a host has one card with one extra function, or none."""
    counts = site.hosts[host].cards if host in site.hosts else {}
    gpus = [counts.get(name, 0) for name, card in site.cards.items() if not card.extra_function]
    return kind in counts and (counts[kind] == 0 or max(counts[kind], sum(gpus)) == 1)
