"""Flavors against boards with NVSwitches: servers whose GPUs would be no partition. Pure.

nova asks Placement for each card of an alias in a request group of its own, by resource class and
traits (nova 27 to 34, nova/objects/request_spec.py, `generate_request_groups_from_pci_requests`),
and takes any cards that have them. Nothing in a request says that cards belong together: Placement
has `same_subtree` for that, nova does not ask by it, and cards have no provider between them and
their host (nova/compute/pci_placement_translator.py). So a server gets a partition for certain only
where the cards of a class on a host are one partition, and it asks for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.core.units import counted, joined
from wholecard.host.facts.host import Host
from wholecard.nova.desired.unsupported import Unsupported
from wholecard.pci.boards import is_on_nvlink_board, nvswitches
from wholecard.pci.splitting.nvswitch import board_of
from wholecard.site.card_matching import functions_of
from wholecard.site.model import CardKind, Site

_WHY = "A server's GPUs have NVLink only if they are exactly one of Fabric Manager's partitions."
_RULE = "WC608"
_HOW_TO = "docs/how-to/nvswitch-boards.md"


def board_errors(site: Site) -> Iterator[Unsupported]:
    """Flavors that ask for a part of a set of GPUs, for a set twice, or for two sets."""
    for name, flavor in site.flavors.items():
        sets = [kind for kind in flavor.cards if site.cards[kind].set_size]
        for kind in sets:
            size = site.cards[kind].set_size
            if flavor.cards[kind] != size:
                yield Unsupported(
                    ("flavors", name, "cards", kind),
                    f"{_RULE}: flavors.{name} requests {flavor.cards[kind]} of {kind}, a set of "
                    f"{counted(size, 'GPU')}",
                    _WHY,
                    f"Write {kind}: {size}, or request another set.",
                )
        if len(sets) > 1:
            yield Unsupported(
                ("flavors", name, "cards"),
                f"{_RULE}: flavors.{name} requests {joined(sets)}, and two sets are no partition",
                _WHY,
                "Request one set; for more GPUs make a larger one.",
            )


def board_warnings(site: Site, facts: Mapping[str, Host]) -> Iterator[Unsupported]:
    """Flavors with some of a board's GPUs, of a kind that nova gives in any combination.

    One GPU is always a partition, and so are all of a board.
    """
    for name, flavor in site.flavors.items():
        for kind, count in flavor.cards.items():
            most = 0 if site.cards[kind].set_size else _on_board(site.cards[kind], facts)
            if 1 < count < most:
                yield Unsupported(
                    ("flavors", name, "cards", kind),
                    f"{_RULE}: flavors.{name} requests {count} of {kind}, GPUs of a board with "
                    "NVSwitches, and nova takes any of them",
                    _WHY,
                    f"Write cards.{kind}.give: {{policy: partitions, sets: …}}; {_HOW_TO} has the "
                    "steps.",
                )


def _on_board(kind: CardKind, facts: Mapping[str, Host]) -> int:
    """How many GPUs a board of this kind has, by the facts or the table; 0 for other cards."""
    most = 0
    for name, host in facts.items():
        switches = nvswitches(host.functions)
        most = max(most, sum(is_on_nvlink_board(function, switches) or _has_table(function.ids)
                             for function in functions_of(kind, name, host)))  # fmt: skip
    tables = [board_of(f"{match.vendor}:{match.product}") for match in kind.match]
    named = [len(frozenset().union(*(each.gpus for each in table.partitions)))
             for table in tables if table]  # fmt: skip
    return max(most, *named, 0)


def _has_table(ids: str) -> bool:
    return board_of(ids) is not None
