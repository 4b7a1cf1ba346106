"""The tree of a host's devices: what hangs below what, what is folded, what is told together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cards_on_board import GPU, board
from support.hosts import bound, function, host
from support.large_hosts import eight_mi300x, hgx
from support.nodes import APART, GROUPS_TOGETHER, TOGETHER, bare, with_groups
from support.tree import grow
from wholecard.host.facts.host import Cpu, Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.topology import Branch, Device, NumaNode, Topology, topology

if TYPE_CHECKING:
    from wholecard.host.facts.topology import Item
from wholecard.pci import Address, Function


def functions_of(tree: Topology) -> list[Function]:
    """Each function, as often as it is in the tree."""

    def of(items: Iterable[Item]) -> Iterable[Function]:
        for item in items:
            if isinstance(item, Branch):
                yield item.bridge.function
                yield from of(item.items)
            else:
                yield from (above.function for above in item.through)
                yield from (*item.functions, *item.vfs)

    return [each for node in tree.nodes for each in (*of(node.items), *node.folded)]


def names(node: NumaNode) -> list[object]:
    """A node's tree: a device by its kind and slot, a branch by its kind and what is below it."""

    def of(items: Iterable[Item]) -> list[object]:
        return [
            f"{item.kind} {item.functions[0].address.slot_key}"
            if isinstance(item, Device)
            else {item.bridge.kind: of(item.items)}
            for item in items
        ]

    return of(node.items)


def device(made: Host, address: str) -> Device:
    """The device with the function at the address."""
    at = Address.parse(address)
    return next(
        each for each in topology(made).devices if any(f.address == at for f in each.functions)
    )


def test_switches() -> None:
    """Devices are below their switch, and the ports that lead to one alone are told with it."""
    tree = topology(hgx())
    assert [node.number for node in tree.nodes] == [0, 1]
    assert names(tree.nodes[1]) == [
        "network 0000:86:00",
        {"root port": [{"switch": ["InfiniBand 0000:98:00", "GPU 0000:99:00",
                                   "InfiniBand 0000:9a:00", "GPU 0000:9b:00",
                                   "NVMe 0000:9c:00"]}]},
        {"root port": [{"switch": ["InfiniBand 0000:c8:00", "GPU 0000:c9:00",
                                   "InfiniBand 0000:ca:00", "GPU 0000:cb:00",
                                   "NVMe 0000:cc:00"]}]},
    ]  # fmt: skip
    gpu = device(hgx(), "0000:99:00.0")
    assert [str(above.function.address) for above in gpu.through] == ["0000:97:01.0"]
    assert (gpu.card, gpu.nvlink) == ("0000:99:00", True)


def test_own_switch() -> None:
    """A card behind a switch of its own is one device, with all bridges above it."""
    through = device(board(), "0000:43:00.0").through
    assert [above.kind for above in through] == ["root port", "switch", "port"]
    assert device(board(), GPU).kind == "GPU"


def test_conventional_bus(tmp_path: Path) -> None:
    """Two cards on one conventional bus are below a bridge, and name each other's functions."""
    tree = with_groups(bare(TOGETHER), GROUPS_TOGETHER)
    made = inspect(grow(tmp_path / "root", tree))
    (node,) = topology(made).nodes
    assert names(node) == [
        "display 0000:00:01",
        {"root port": [{"bridge": ["GPU 0000:02:01", "GPU 0000:02:02"]}]},
        "network 0000:00:04",
    ]
    first = device(made, "0000:02:01.0")
    assert list(map(str, first.together)) == ["0000:02:02.0", "0000:02:02.1"]


def test_virtual_functions() -> None:
    """VFs are told with their PF, and one whose PF is not there is a device."""
    tree = topology(eight_mi300x())
    assert [len(each.vfs) for each in tree.devices] == [8, 0, 0, 0, 0, 0, 0, 0]
    orphan = function("0000:05:00.1", physfn="0000:05:00.0", class_code="020000")
    assert [each.kind for each in topology(host(orphan)).devices] == ["network"]


def test_boring_devices_are_folded(tmp_path: Path) -> None:
    """A board's own functions and empty ports are folded; what shares a card's group is not."""
    node = topology(hgx()).nodes[1]
    assert [each.class_name or each.driver for each in node.folded] == [
        *["System peripheral"] * 3, "pcieport", "pcieport", "pcieport",
    ]  # fmt: skip
    usb = bound("0000:01:00.1", "10de:1ad8", class_code="0c0330", iommu_group=1)
    slot = topology(host(bound("0000:01:00.0"), usb)).devices
    assert [len(each.functions) for each in slot] == [2]
    beside = dataclasses.replace(usb, address=Address.parse("0000:02:00.0"))
    devices = topology(host(bound("0000:01:00.0"), beside)).devices
    assert [(each.kind, list(map(str, each.together))) for each in devices] == [
        ("GPU", ["0000:02:00.0"]),
        ("other", ["0000:01:00.0"]),
    ]
    (alone,) = topology(inspect(grow(tmp_path / "root", bare(APART)))).nodes
    assert alone.folded == ()


@pytest.mark.parametrize(
    ("own", "below", "nodes", "number"),
    [
        (1, None, (), 1),  # The port's own word.
        (None, 1, (), 1),  # Else that of what is behind it.
        (-1, None, ((0, "0-3"),), 0),  # Else the only node.
        (None, None, ((0, "0-3"), (1, "4-7")), None),
    ],
)
def test_numa_node(own: int | None, below: int | None, nodes: tuple[tuple[int, str], ...],
                   number: int | None) -> None:  # fmt: skip
    """A port's node is its own, or its devices', or the host's only one, or not known."""
    port = function("0000:00:01.0", class_code="060400", driver="pcieport", numa_node=own)
    gpu = function("0000:01:00.0", numa_node=below, parents=(port.address,))
    tree = topology(host(port, gpu, cpu=Cpu(nodes=nodes)))
    assert [node.number for node in tree.nodes if node.items] == [number]
    assert {node.number for node in tree.nodes} >= dict(nodes).keys()


def test_vmd() -> None:
    """What is behind Intel's VMD has a domain of its own, and hangs from the VMD's function."""
    vmd = function("0000:64:00.5", "8086:28c0", "010400", driver="vmd")
    port = function("10000:e0:01.0", "8086:347a", "060400", driver="pcieport",
                    parents=(vmd.address,))  # fmt: skip
    disk = function("10000:e1:00.0", "144d:a826", "010802", parents=(vmd.address, port.address))
    (drawn,) = topology(host(vmd, port, disk)).devices
    assert [above.kind for above in drawn.through] == ["controller", "root port"]


ADDRESSES = [Address(0, bus, slot, 0) for bus in range(4) for slot in range(3)]
CLASSES = ("060400", "030000", "0c0330")


@st.composite
def garbled(draw: st.DrawFn) -> Host:
    """Functions with any parents, also each other, themselves, or none that is there."""
    functions = [
        dataclasses.replace(
            function(str(address), class_code=draw(st.sampled_from(CLASSES))),
            parents=tuple(draw(st.lists(st.sampled_from(ADDRESSES), max_size=4))),
            physfn=draw(st.sampled_from([None, None, *ADDRESSES])),
            numa_node=draw(st.sampled_from([None, -1, 0, 1])),
            iommu_group=draw(st.sampled_from([None, 1, 2])),
        )
        for address in draw(st.sets(st.sampled_from(ADDRESSES)))
    ]  # fmt: skip
    return host(*functions)


@given(garbled())
def test_every_function_once(made: Host) -> None:
    """Whatever the facts say of parents, each function is in the tree exactly once."""
    drawn = [str(each.address) for each in functions_of(topology(made))]
    assert sorted(drawn) == sorted(str(each.address) for each in made.functions)


@pytest.mark.parametrize("made", [hgx(), eight_mi300x(), board()])
def test_every_function_of_a_real_host_once(made: Host) -> None:
    """The same for hosts as they are sold."""
    drawn = [str(each.address) for each in functions_of(topology(made))]
    assert sorted(drawn) == sorted(str(each.address) for each in made.functions)


def test_deep_facts() -> None:
    """A chain of bridges longer than buses can be numbered for is cut, and nothing is lost."""
    chain = [Address(domain, 0, 0, 0) for domain in range(3000)]
    functions = [
        dataclasses.replace(function(str(address), class_code="060400"), parents=tuple(chain[:n]))
        for n, address in enumerate(chain[:300])
    ]
    assert len(functions_of(topology(host(*functions)))) == 300
