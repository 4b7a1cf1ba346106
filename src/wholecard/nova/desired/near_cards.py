"""The NUMA nodes of a host on which a flavor's server has room and its cards. Pure.

The layout is nova's own (`nova/flavor/numa_topology.py`), and so is what fits (`numa_fit.py`); all
CPUs of a host count as those that nova-compute pins to, and none is in use.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.nova.flavor.numa_fit import NumaNodes, fits, numa_nodes
from wholecard.nova.flavor.numa_topology import GuestLayout
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site, SiteFlavor

# More than any host has, for a node whose RAM the facts do not tell.
_UNKNOWN_RAM_MB = 1 << 30


@dataclass(frozen=True)
class CardHost:
    """A host that has a flavor's cards: its NUMA nodes, and each kind's number on each of them.

    The cards whose node the firmware does not tell are on None.
    """

    name: str
    facts: Host
    nodes: NumaNodes
    cards_on: Mapping[str, Mapping[int | None, int]]

    def seats(self, layout: GuestLayout, pages: bool = False) -> list[tuple[int, ...]]:
        """The sets of nodes with room for the guest's; huge pages count only with `pages`."""
        nodes = self.nodes
        if not pages:
            bare = tuple(dataclasses.replace(node, pages=()) for node in nodes.nodes)
            nodes = dataclasses.replace(nodes, nodes=bare)
            layout = dataclasses.replace(layout, page=None)
        return list(fits(nodes, layout))

    def near(self, kind: str, seat: tuple[int, ...], policy: str | None) -> int:
        """How many cards of the kind nova gives to a guest on these nodes.

        By `required` those of the nodes, by `legacy`, nova's default, those without a node as well
        (nova, nova/pci/stats.py, `_filter_pools_for_numa_cells`), by the others all.
        """
        numbers = self.cards_on[kind]
        if policy not in (None, "legacy", "required"):
            return sum(numbers.values())
        unknown = 0 if policy == "required" else numbers.get(None, 0)
        return unknown + sum(numbers.get(node, 0) for node in seat)

    def is_near(self, flavor: SiteFlavor, seat: tuple[int, ...]) -> bool:
        """Whether the nodes of the seat have all of the flavor's cards."""
        return all(
            self.near(kind, seat, "required") >= count for kind, count in flavor.cards.items()
        )

    def nodes_with(self, kind: str) -> list[int]:
        """The nodes that have cards of the kind."""
        return sorted(node for node in self.cards_on[kind] if node is not None)


def card_hosts(site: Site, flavor: SiteFlavor, facts: Mapping[str, Host]) -> Iterator[CardHost]:
    """The hosts that have enough of the flavor's cards, and whose facts tell their NUMA nodes."""
    for name, host in facts.items():
        nodes = numa_nodes(host, unknown_ram_mb=_UNKNOWN_RAM_MB)
        functions = {kind: functions_of(site.cards[kind], name, host) for kind in flavor.cards}
        enough = all(len(functions[kind]) >= count for kind, count in flavor.cards.items())
        if nodes is not None and enough:
            cards_on = {
                kind: Counter(
                    None if one.numa_node is None or one.numa_node < 0 else one.numa_node
                    for one in found
                )
                for kind, found in functions.items()
            }
            yield CardHost(name, host, nodes, cards_on)
