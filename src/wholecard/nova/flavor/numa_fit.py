"""Which of a host's NUMA nodes a guest's fit on.

Source: nova, nova/virt/hardware.py, `numa_fit_instance_to_host` and `_numa_fit_instance_cell`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.nova.flavor.cpus import cpu_set
from wholecard.nova.flavor.numa_topology import GuestCell, GuestLayout, Page
from wholecard.nova.match import HostCell

_MIB = 1 << 20
# Combinations of host nodes that are looked at; 16 nodes have at most 12,870.
_MOST = 20_000
_SMALL_KIB = 4
_ALL = frozenset(range(8192))


@dataclass(frozen=True)
class NumaNode:
    """A NUMA node of a host: CPUs for floating and for pinned guests, RAM, and its huge pages.

    `pages` are the huge pages' sizes in KiB with the number of each.
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


def numa_nodes(
    facts: Host,
    shared: frozenset[int] | None = None,
    pinned: frozenset[int] | None = None,
    unknown_ram_mb: int = 0,
) -> NumaNodes | None:
    """The host's nodes by its facts, None where they do not tell.

    `shared` and `pinned` are the CPUs to float over and to pin to, None for all of them.
    `unknown_ram_mb` is the RAM of a node whose RAM the facts do not have.
    """
    if not facts.cpu.nodes:
        return None
    ram = dict(facts.memory.nodes)
    nodes = []
    for node, text in facts.cpu.nodes:
        cpus = cpu_set(text, _ALL)
        floating = len(cpus if shared is None else cpus & shared)
        dedicated = len(cpus if pinned is None else cpus & pinned)
        mib = ram[node] // _MIB if node in ram else unknown_ram_mb
        nodes.append(NumaNode(node, floating, dedicated, mib, _huge_pages(facts, node)))
    return NumaNodes(tuple(nodes), _cells(facts.cpu.sockets, [node.id for node in nodes]))


def _huge_pages(facts: Host, node: int) -> tuple[tuple[int, int], ...]:
    """The sizes in KiB of a NUMA node's huge pages, and how many of each it has."""
    pools = (pool for pool in facts.memory.hugepages if pool.node == node and pool.total)
    return tuple((pool.size // 1024, pool.total) for pool in pools)


def _cells(sockets: int, nodes: list[int]) -> tuple[HostCell, ...]:
    """The nodes with their sockets, where the numbers leave no choice."""
    if sockets == 1:
        return tuple(HostCell(node, 0) for node in nodes)
    if sockets == len(nodes):
        return tuple(HostCell(node, socket) for socket, node in enumerate(nodes))
    return tuple(HostCell(node) for node in nodes)


def fits(nodes: NumaNodes, guest: GuestLayout) -> Iterator[tuple[int, ...]]:
    """The sets of host nodes on which the guest's fit, by id."""
    cells = guest.cells
    pairs = itertools.product(nodes.nodes, set(cells))
    fitting = {(node.id, cell) for node, cell in pairs if not _lack(node, cell, guest)}
    every = itertools.combinations([node.id for node in nodes.nodes], len(cells))
    for chosen in itertools.islice(every, _MOST):
        if _seated(chosen, cells, fitting):
            yield chosen


def _seated(
    chosen: tuple[int, ...], cells: tuple[GuestCell, ...], fitting: set[tuple[int, GuestCell]]
) -> bool:
    """Whether each of the guest's nodes can have one of the host's for itself."""
    if not cells:
        return True
    return any(
        _seated(chosen[:index] + chosen[index + 1 :], cells[1:], fitting)
        for index, node in enumerate(chosen)
        if (node, cells[0]) in fitting
    )


def why_not(nodes: NumaNodes, guest: GuestLayout) -> str:
    """Why the guest's layout does not fit, for a sentence."""
    if len(guest.cells) > len(nodes.nodes):
        return f"the guest has {len(guest.cells)} NUMA nodes, the host {len(nodes.nodes)}"
    lacks = (_lack(node, cell, guest) for cell in guest.cells for node in nodes.nodes)
    return next(filter(None, lacks), "its NUMA nodes fit one by one, but not together")


def _lack(node: NumaNode, cell: GuestCell, guest: GuestLayout) -> str:
    """What the host's node has too little of for the guest's, empty where it fits."""
    if cell.shared > node.shared:
        return (
            f"NUMA node {node.id} has {node.shared} CPUs for floating vCPUs, the guest needs "
            f"{cell.shared}"
        )
    if cell.host_pinned > node.pinned:
        none = "" if node.pinned else " ([compute] cpu_dedicated_set is empty there)"
        return (
            f"NUMA node {node.id} has {node.pinned} CPUs for pinning{none}, the guest needs "
            f"{cell.pinned}{_emulator_text(cell)}"
        )
    if guest.page is not None:
        return _page_lack(node, cell, guest.page)
    # nova looks at the smallest page size, and a host's huge pages are not of that size.
    if cell.ram_mb * 1024 > node.small_kib:
        return (
            f"NUMA node {node.id} has {node.small_kib // 1024} MiB besides huge pages, the guest "
            "needs "
            f"{cell.ram_mb} MiB"
        )
    return ""


def _emulator_text(cell: GuestCell) -> str:
    return f" and {cell.emulator} for the emulator's threads" if cell.emulator else ""


def _page_lack(node: NumaNode, cell: GuestCell, page: Page) -> str:
    """The pages of the node that the guest's page size allows, where they are too few."""
    huge, small = dict(node.pages), {_SMALL_KIB: node.small_kib // _SMALL_KIB}
    if isinstance(page, int):
        pages = {size: count for size, count in {**huge, **small}.items() if size == page}
    else:
        pages = {"small": small, "large": huge, "any": {**huge, **small}}[page]
    needed = cell.ram_mb * 1024
    if any(size * count >= needed and needed % size == 0 for size, count in pages.items()):
        return ""
    has = ", ".join(f"{count} of {size} KiB" for size, count in sorted(pages.items())) or "none"
    return f"NUMA node {node.id} has huge pages: {has}; the guest needs {cell.ram_mb} MiB of {page}"
