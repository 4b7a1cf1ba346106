"""A stock as a file, so that it can be counted again without the cloud.

Cards, inventories, traits and NUMA nodes that are the same on several hosts are written once, and
are one object when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wholecard.capacity.record import CardUnits, HostStock, Kind, Stock
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core import UsageError
from wholecard.core.input_files import read_json_input
from wholecard.core.releases import release
from wholecard.nova.flavor.numa_fit import NumaNode, NumaNodes
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import HostCell

_FORMAT = 1
_LARGEST = 512 << 20


def saved_text(stock: Stock) -> str:
    """The stock as JSON."""
    shared: dict[Hashable, int] = {}
    hosts = []
    for host in stock.hosts:
        for card in host.cards:
            shared.setdefault(card.kind, len(shared))
        parts = (host.cards, host.machine, host.traits, host.nodes)
        hosts.append([host.name, host.closed,
                      *(shared.setdefault(part, len(shared)) for part in parts)])  # fmt: skip
    return json.dumps({
        "format": _FORMAT, "source": stock.source, "release": str(stock.release),
        "aliases": stock.aliases, "not_known": stock.not_known,
        "flavors": [asdict(flavor) for flavor in stock.flavors],
        "shared": [_plain(thing, shared) for thing in shared], "hosts": hosts,
    })  # fmt: skip


def _plain(thing: Any, shared: Mapping[Hashable, int]) -> list[Any]:
    if isinstance(thing, (Kind, NumaNodes)):
        return [type(thing).__name__, asdict(thing)]
    if isinstance(thing, frozenset):
        return ["traits", sorted(thing)]
    if thing and isinstance(thing[0], CardUnits):
        return ["cards", [[card.name, shared[card.kind], card.total, card.given, card.reserved,
                           card.numa_node] for card in thing]]  # fmt: skip
    return ["none", None] if thing is None else ["machine", [asdict(row) for row in thing]]


def read_saved(path: Path) -> Stock:
    """The stock in such a file. Raises UsageError for another file."""
    try:
        data = read_json_input(path, _LARGEST)
        if data["format"] != _FORMAT:
            raise ValueError("its format is another one")  # noqa: TRY301 -- one place says all
        shared: list[Any] = []
        for name, content in data["shared"]:
            shared.append(_READERS[name](content, shared))
        hosts = tuple(
            HostStock(name, shared[cards], shared[machine], shared[traits], shared[nodes], closed)
            for name, closed, cards, machine, traits, nodes in data["hosts"]
        )
        flavors = tuple(ServerRequest(**row) for row in data["flavors"])
        aliases, notes = tuple(data["aliases"]), tuple(data["not_known"])
        return Stock(data["source"], hosts, flavors, aliases, release(data["release"]), notes)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UsageError(
            f"cannot read {path}",
            f"{type(error).__name__}: {error}",
            "Name a file that `wholecard capacity --save` wrote.",
        ) from error


def _cards(rows: list[list[Any]], shared: list[Any]) -> tuple[CardUnits, ...]:
    cards = tuple(CardUnits(row[0], shared[row[1]], *row[2:]) for row in rows)
    for card in cards:
        if min(card.given, card.reserved, card.free) < 0:
            raise ValueError(f"{card.name} has {card.given} given and {card.reserved} reserved")
    return cards


def _nodes(data: dict[str, Any]) -> NumaNodes:
    nodes = (NumaNode(**row | {"pages": tuple(map(tuple, row["pages"]))}) for row in data["nodes"])
    return NumaNodes(tuple(nodes), tuple(HostCell(**row) for row in data["cells"]), data["unsure"])


_READERS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "none": lambda _, __: None,
    "Kind": lambda data, _: Kind(data["resource_class"], tuple(data["traits"])),
    "NumaNodes": lambda data, _: _nodes(data),
    "cards": _cards,
    "traits": lambda data, _: frozenset(data),
    "machine": lambda data, _: tuple(Inventory(**row) for row in data),
}
