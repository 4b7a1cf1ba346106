"""A guest's NUMA nodes on a host's: which of the host's can carry them.

Source: nova, nova/virt/hardware.py, `numa_fit_instance_to_host` and `_numa_fit_instance_cell`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from wholecard.explain.evidence.conf_values import other
from wholecard.explain.evidence.evidence import HostEvidence
from wholecard.nova.flavor.cpus import cpu_set
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import GuestCell, GuestLayout
from wholecard.nova.match import HostCell

_MIB = 1 << 20
# Combinations of host nodes that are looked at; 16 nodes have at most 12,870.
_MOST = 20_000
_SMALL_KIB = 4


@dataclass(frozen=True)
class NumaNode:
    """A NUMA node of a host: CPUs for floating and for pinned guests, RAM, and its pages.

    `pages` are the huge pages' sizes in KiB with how many there are. `small_kib` is what is no
    huge page.
    """

    id: int
    shared: int
    pinned: int
    ram_mb: int
    pages: tuple[tuple[int, int], ...] = ()

    @property
    def small_kib(self) -> int:
        """Memory in small pages."""
        return self.ram_mb * 1024 - sum(size * count for size, count in self.pages)


@dataclass(frozen=True)
class NumaNodes:
    """A host's NUMA nodes. `unsure` says what of them is a guess."""

    nodes: tuple[NumaNode, ...]
    cells: tuple[HostCell, ...]
    unsure: str = ""


def nodes_of(host: HostEvidence) -> NumaNodes | None:
    """The host's nodes by its facts, None where they do not tell.

    Of the CPUs, nova-compute's `[compute] cpu_dedicated_set` are pinned to and `cpu_shared_set`
    floated over (Train); where neither is set, all are floated over and none is pinned to.
    Without its configuration either kind may be all of them.
    """
    facts = host.facts
    if facts is None or not facts.cpu.nodes:
        return None
    ram = dict(facts.memory.nodes)
    every = {node: cpu_set(cpus, _ALL) for node, cpus in facts.cpu.nodes}
    shared, pinned = _sets(host)
    nodes = tuple(
        NumaNode(
            node,
            len(cpus if shared is None else cpus & shared),
            len(cpus if pinned is None else cpus & pinned),
            ram.get(node, 0) // _MIB,
            tuple(
                (pool.size // 1024, pool.total)
                for pool in facts.memory.hugepages
                if pool.node == node and pool.total
            ),
        )
        for node, cpus in every.items()
    )
    unsure = "" if host.conf is not None else "which CPUs nova-compute pins to is not known"
    return NumaNodes(nodes, _cells(facts.cpu.sockets, [node.id for node in nodes]), unsure)


_ALL = frozenset(range(8192))


def _sets(host: HostEvidence) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """CPUs to float over and to pin to; None for all of them."""
    if host.conf is None:
        return None, None
    dedicated = other(host.conf, "compute", "cpu_dedicated_set")
    shared = other(host.conf, "compute", "cpu_shared_set")
    old = other(host.conf, "DEFAULT", "vcpu_pin_set")
    try:
        if old and not dedicated and not shared:
            both = cpu_set(old.text, _ALL)
            return both, both
        if not dedicated:
            return (cpu_set(shared.text, _ALL) if shared else None), frozenset()
        pinned = cpu_set(dedicated.text, _ALL)
        return (cpu_set(shared.text, _ALL) if shared else frozenset()), pinned
    except LayoutError:
        return None, None


def _cells(sockets: int, nodes: list[int]) -> tuple[HostCell, ...]:
    """The nodes with their sockets, where the numbers leave no choice."""
    if sockets == 1:
        return tuple(HostCell(node, 0) for node in nodes)
    if sockets == len(nodes):
        return tuple(HostCell(node, place) for place, node in enumerate(nodes))
    return tuple(HostCell(node) for node in nodes)


def fits(nodes: NumaNodes, guest: GuestLayout) -> Iterator[tuple[int, ...]]:
    """The sets of host nodes that can carry the guest's, by id."""
    cells = guest.cells
    carries = {
        (node.id, cell): _fits(node, cell, guest) for node in nodes.nodes for cell in set(cells)
    }
    every = itertools.combinations([node.id for node in nodes.nodes], len(cells))
    for chosen in itertools.islice(every, _MOST):
        if _seated(chosen, cells, carries):
            yield chosen


def _seated(
    chosen: tuple[int, ...],
    cells: tuple[GuestCell, ...],
    carries: dict[tuple[int, GuestCell], bool],
) -> bool:
    """Whether each of the guest's nodes can have one of the host's for itself."""
    if not cells:
        return True
    return any(
        _seated(chosen[:place] + chosen[place + 1 :], cells[1:], carries)
        for place, node in enumerate(chosen)
        if carries[node, cells[0]]
    )


def why_not(nodes: NumaNodes, guest: GuestLayout) -> str:
    """What is in the way of the guest's layout, for a sentence."""
    if len(guest.cells) > len(nodes.nodes):
        return f"the guest has {len(guest.cells)} NUMA nodes, the host {len(nodes.nodes)}"
    reasons = [
        _lacks(node, cell, guest)
        for cell in guest.cells
        for node in nodes.nodes
        if not _fits(node, cell, guest)
    ]
    return next((reason for reason in reasons if reason), "its NUMA nodes do not fit side by side")


def _fits(node: NumaNode, cell: GuestCell, guest: GuestLayout) -> bool:
    return not _lacks(node, cell, guest)


def _lacks(node: NumaNode, cell: GuestCell, guest: GuestLayout) -> str:
    """What the host's node has too little of for the guest's, empty where it fits."""
    if cell.shared > node.shared:
        return f"node {node.id} has {node.shared} CPUs to float over, the guest wants {cell.shared}"
    if cell.pinned > node.pinned:
        none = "" if node.pinned else " ([compute] cpu_dedicated_set is empty there)"
        return (
            f"node {node.id} has {node.pinned} CPUs to pin to{none}, the guest wants {cell.pinned}"
        )
    if guest.page is None:
        # nova looks at the smallest page size, and a host's huge pages are none of those.
        if cell.ram_mb * 1024 > node.small_kib:
            room = f"{node.small_kib // 1024} MiB that are no huge pages"
            return f"node {node.id} has {room}, the guest wants {cell.ram_mb} MiB"
        return ""
    wanted = cell.ram_mb * 1024
    sizes = dict(node.pages)
    choices = {
        "small": {_SMALL_KIB: node.small_kib // _SMALL_KIB},
        "large": sizes,
        "any": {**sizes, _SMALL_KIB: node.small_kib // _SMALL_KIB},
    }
    if isinstance(guest.page, int):
        count = node.small_kib // _SMALL_KIB if guest.page == _SMALL_KIB else sizes.get(guest.page)
        pages = {} if count is None else {guest.page: count}
    else:
        pages = choices[guest.page]
    if any(size * count >= wanted and wanted % size == 0 for size, count in pages.items()):
        return ""
    has = ", ".join(f"{count} of {size} KiB" for size, count in sorted(pages.items())) or "none"
    return (
        f"node {node.id} has huge pages: {has}; the guest wants {cell.ram_mb} MiB of {guest.page}"
    )
