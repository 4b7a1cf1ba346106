"""Where a host's devices are: NUMA nodes, the ports and switches below them, what is behind those.

Pure: facts in, records out. The tree has what a person looks for when cards are given: cards,
links, disks, who shares a port or a switch with whom. A port that leads to one device alone is told
with that device, and the rest of a board is folded.
"""

from __future__ import annotations

from wholecard.core.record import dataclass, replace
from wholecard.pci.bmc import is_bmc_display
from wholecard.pci.boards import is_on_nvlink_board, nvswitches
from wholecard.pci.function import COPROCESSOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Union

    from wholecard.host.facts.host import Host, KernelUse
    from wholecard.pci import Address, Function

    Item = Union["Branch", "Device"]

# The kinds of devices by the first digits of a class, https://pci-ids.ucw.cz/read/PD; the longest
# beginning decides. Where a slot has several functions, the first of these in their order does.
KINDS = {
    "03": "GPU", "1200": "accelerator", COPROCESSOR: "coprocessor", "0207": "InfiniBand",
    "0c06": "InfiniBand", "02": "network", "0108": "NVMe", "01": "storage",
    "0c04": "Fibre Channel", "0502": "CXL memory",
}  # fmt: skip
DISPLAY, NVSWITCH, OTHER = "display", "NVSwitch", "other"
_ORDER = ("GPU", "accelerator", "coprocessor", DISPLAY, NVSWITCH, *KINDS.values(), OTHER)

# What a bridge is. PCI Express alternates: below a root port or a switch's port is a device, or
# the upstream port of a switch, below which are its ports (PCI Express Base Specification, 1.3).
ROOT_PORT, SWITCH, PORT, BRIDGE, CONTROLLER = "root port", "switch", "port", "bridge", "controller"

# More bridges above each other than buses can be numbered for are no hardware.
_DEEPEST = 32


@dataclass(frozen=True)
class Above:
    """A bridge on the way to something: what it is, one of the five words above, and its function.

    A `controller` is an endpoint with devices of its own below it, such as Intel's VMD.
    """

    kind: str
    function: Function


@dataclass(frozen=True)
class Device:
    """The functions of one slot. `kind` is a word of `KINDS`, or `display` for a BMC's, ….

    `card` is the slot of the card that it is, or is a part of; empty where it is none. `through`
    are the bridges that lead to this device alone, from above; `vfs` its virtual functions.
    `together` are endpoints of other slots in its IOMMU group, for cards and what shares one with
    a card; `uses` is what the host uses it for; `nvlink` whether NVSwitches connect it.
    """

    kind: str
    functions: tuple[Function, ...]
    card: str = ""
    through: tuple[Above, ...] = ()
    vfs: tuple[Function, ...] = ()
    together: tuple[Address, ...] = ()
    uses: tuple[KernelUse, ...] = ()
    nvlink: bool = False

    @property
    def is_other(self) -> bool:
        """Whether its class is none of `KINDS`: it is only here for what it shares with a card."""
        return self.kind == OTHER


@dataclass(frozen=True)
class Branch:
    """A bridge with more than one device below it, or with another branch."""

    bridge: Above
    items: tuple[Item, ...]


@dataclass(frozen=True)
class NumaNode:
    """A NUMA node with its CPUs as the kernel lists them and its RAM in bytes.

    `number` is None for devices whose node is not known. `folded` are the functions that are not
    in `items`: those of the board, and bridges with nothing else below them.
    """

    number: int | None
    cpus: str
    memory: int
    items: tuple[Item, ...]
    folded: tuple[Function, ...]


@dataclass(frozen=True)
class Topology:
    """The NUMA nodes by number, last what belongs to none that is known."""

    nodes: tuple[NumaNode, ...]

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices that are not folded, in the tree's order."""
        return tuple(device for node in self.nodes for device in _devices(node.items))


def topology(host: Host) -> Topology:
    """The tree of a host. Every function is in it once.

    A function whose bridges are not among the facts hangs from the nearest one that is.
    """
    tree = _Tree(host)
    by_node: dict[int | None, list[Function]] = {}
    for function in tree.below.get(None, ()):
        by_node.setdefault(tree.node_of(function), []).append(function)
    cpus, memory = dict(host.cpu.nodes), dict(host.memory.nodes)
    numbers = sorted({*cpus, *memory, *(number for number in by_node if number is not None)})
    nodes = []
    for number in (*numbers, *([None] if None in by_node else [])):
        items, folded = tree.items(by_node.get(number, ()), None)
        nodes.append(
            NumaNode(
                number,
                "" if number is None else cpus.get(number, ""),
                0 if number is None else memory.get(number, 0),
                items,
                tuple(sorted(folded, key=lambda function: function.address)),
            )
        )
    return Topology(tuple(nodes))


def _devices(items: Iterable[Item]) -> Iterable[Device]:
    for item in items:
        if isinstance(item, Device):
            yield item
        else:
            yield from _devices(item.items)


class _Tree:
    """What is below what, and all that is said of a device beside its functions."""

    def __init__(self, host: Host) -> None:
        self._by_address = {function.address: function for function in host.functions}
        self._levels: dict[Address, int] = {}
        self.below: dict[Address | None, list[Function]] = {}
        self._vfs: dict[Address, list[Function]] = {}
        for function in sorted(host.functions, key=lambda each: (len(each.parents), each.address)):
            pf = function.physfn
            if pf in self._by_address and self._by_address[pf].physfn is None and pf is not None:
                self._vfs.setdefault(pf, []).append(function)
            else:
                self._hang(function)
        self._cards = {
            function.address: card.slot for card in host.cards for function in card.functions
        }
        self._together = _together(host)
        self._uses: dict[str, list[KernelUse]] = {}
        for use in host.uses:
            self._uses.setdefault(use.address, []).append(use)
        self._switches = nvswitches(host.functions)
        nodes = {number for number, _ in (*host.cpu.nodes, *host.memory.nodes)}
        # The kernel knows a device's node by the firmware's word, which boards with one node omit.
        self._only_node = nodes.pop() if len(nodes) == 1 else None

    def _hang(self, function: Function) -> None:
        """Below the nearest bridge that is there. What has fewer parents is above, so no circle."""
        own = len(function.parents)
        above = None
        for address in reversed(function.parents):
            bridge = self._by_address.get(address)
            level = self._levels.get(address, _DEEPEST)
            if bridge is not None and len(bridge.parents) < own and level < _DEEPEST:
                above = address
                break
        self._levels[function.address] = 0 if above is None else self._levels[above] + 1
        self.below.setdefault(above, []).append(function)

    def node_of(self, function: Function) -> int | None:
        """Its NUMA node, else that of the first below it that has one, else the host's only one."""
        for member in self._subtree(function):
            if member.numa_node is not None and member.numa_node >= 0:
                return member.numa_node
        return self._only_node

    def items(
        self, functions: Sequence[Function], above: Above | None
    ) -> tuple[tuple[Item, ...], list[Function]]:
        """What is drawn of these functions, which hang from one bridge, and what is folded."""
        items: list[Item] = []
        folded: list[Function] = []
        slots: dict[str, list[Function]] = {}
        for function in sorted(functions, key=lambda each: each.address):
            if function.is_bridge or function.address in self.below:
                branch, more = self._branch(function, above)
                items += branch
                folded += more
            else:
                slots.setdefault(function.address.slot_key, []).append(function)
        for slot in slots.values():
            device = self._device(tuple(slot))
            if self._is_folded(device):
                folded += [*device.functions, *device.vfs]
            else:
                items.append(device)
        return tuple(sorted(items, key=_first_address)), folded

    def _branch(self, function: Function, above: Above | None) -> tuple[list[Item], list[Function]]:
        bridge = Above(_bridge_kind(function, above), function)
        items, folded = self.items(self.below.get(function.address, ()), bridge)
        vfs = self._vfs.get(function.address, [])
        if not items:
            return [], [function, *vfs, *folded]
        folded = [*vfs, *folded]
        if len(items) == 1 and isinstance(items[0], Device):
            device = items[0]
            return [replace(device, through=(bridge, *device.through))], folded
        return [Branch(bridge, items)], folded

    def _device(self, functions: tuple[Function, ...]) -> Device:
        addresses = [function.address for function in functions]
        kind = min(map(_kind, functions), key=_ORDER.index)
        card = next((self._cards[each] for each in addresses if each in self._cards), "")
        together = {other for each in addresses for other in self._together.get(each, ())}
        uses = [use for each in addresses for use in self._uses.get(str(each), ())]
        return Device(
            kind,
            functions,
            card,
            vfs=tuple(vf for each in addresses for vf in self._vfs.get(each, ())),
            together=tuple(sorted(together.difference(addresses))),
            uses=tuple(uses),
            nvlink=any(f.is_display and is_on_nvlink_board(f, self._switches) for f in functions),
        )

    def _is_folded(self, device: Device) -> bool:
        return device.kind == OTHER and not device.card and not device.together

    def _subtree(self, function: Function) -> Iterable[Function]:
        yield function
        for member in self.below.get(function.address, ()):
            yield from self._subtree(member)


def _together(host: Host) -> dict[Address, tuple[Address, ...]]:
    """The endpoints of each group that a card is in, for each of the group's endpoints."""
    cards = {function.address for card in host.cards for function in card.functions}
    together: dict[Address, tuple[Address, ...]] = {}
    for group in host.groups:
        addresses = tuple(each.address for each in group.endpoints if each.physfn is None)
        if not cards.isdisjoint(addresses):
            together.update(dict.fromkeys(addresses, addresses))
    return together


def _kind(function: Function) -> str:
    if is_bmc_display(function):
        return DISPLAY
    if nvswitches((function,)):
        return NVSWITCH
    code = function.class_code
    return KINDS.get(code[:4]) or KINDS.get(code[:2]) or OTHER


def _bridge_kind(function: Function, above: Above | None) -> str:
    if not function.is_bridge:
        return CONTROLLER
    # linux: drivers/pci/pcie/portdrv.c binds root ports and switches; no other bridge has a link.
    is_port = function.driver == "pcieport" or bool(function.link_width_max)
    if not is_port:
        return BRIDGE
    if above is None or above.kind == CONTROLLER:
        return ROOT_PORT
    return PORT if above.kind == SWITCH else SWITCH


def _first_address(item: Item) -> Address:
    """The first address on the way to an item: what is in one place stays in its order."""
    if isinstance(item, Branch):
        return item.bridge.function.address
    return item.through[0].function.address if item.through else item.functions[0].address
