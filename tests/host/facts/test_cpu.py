"""NUMA nodes, as sysfs names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.host.facts.cpu import nodes

FOLDER = "sys/devices/system/node"


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ((), ()),
        (("node0",), (0,)),
        (("node10", "node2", "node0"), (0, 2, 10)),
        (("node0", "node", "nodes", "node-1", "node²", "possible", "has_cpu"), (0,)),
    ],
)
def test_nodes(tmp_path: Path, names: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    """The numbers of the folders that the kernel names, ascending; no other entry is a node."""
    grow(tmp_path, {f"{FOLDER}/{name}/cpulist": "0\n" for name in names})
    assert nodes(tmp_path) == numbers
