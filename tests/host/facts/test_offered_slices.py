"""Types of mediated devices and of VFs, as sysfs shows them, also from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.nodes import APART, bare
from support.tree import grow
from wholecard.core import UsageError
from wholecard.host.facts.offered_slices import (
    MdevType,
    OfferedSlices,
    TypedVf,
    read_offered_slices,
)
from wholecard.host.facts.saved import read_host_and_slices
from wholecard.host.facts.snapshot import save

MTTY = "sys/devices/virtual/mtty/mtty/mdev_supported_types"
VF = "sys/bus/pci/devices/0000:01:00.4"
TREE = {
    f"{MTTY}/mtty-1/name": "Single port serial\n",
    f"{MTTY}/mtty-1/available_instances": "24\n",
    f"{MTTY}/mtty-2/name": "Dual port serial\n",
    f"{MTTY}/mtty-2/available_instances": "garbled\n",
    "sys/class/mdev_bus/mtty": "-> ../../devices/virtual/mtty/mtty",
    f"{VF}/vendor": "0x10de\n",
    f"{VF}/device": "0x26b9\n",
    f"{VF}/class": "0x030200\n",
    f"{VF}/nvidia/current_vgpu_type": "0\n",
    f"{VF}/nvidia/creatable_vgpu_types": "ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n1150  : x:y\n",
}
SLICES = OfferedSlices(
    (
        MdevType("mtty", "mtty-1", "Single port serial", 24),
        MdevType("mtty", "mtty-2", "Dual port serial", None),
    ),
    (TypedVf("0000:01:00.4", 0, ((1145, "NVIDIA L40S-1B"), (1150, "x:y"))),),
)


def test_read(tmp_path: Path) -> None:
    """A parent's types with their numbers, a VF's table without its header."""
    assert read_offered_slices(grow(tmp_path, TREE)) == SLICES


def test_nothing(tmp_path: Path) -> None:
    """A host without either has none, and a VF in use offers nothing."""
    assert read_offered_slices(grow(tmp_path, bare(APART))) == OfferedSlices()
    grow(tmp_path, {f"{VF}/nvidia/current_vgpu_type": "1145\n"})
    assert read_offered_slices(tmp_path).typed_vfs == (TypedVf("0000:01:00.4", 1145, ()),)


def test_from_a_snapshot(tmp_path: Path) -> None:
    """A snapshot keeps them; the JSON of inspect does not have them, which None says."""
    root = grow(tmp_path / "root", {**bare(APART), **TREE})
    save(root, tmp_path / "host.tar")
    host, slices = read_host_and_slices(tmp_path / "host.tar")
    assert slices == SLICES
    (tmp_path / "host.json").write_text("".join(host.to_lines()))
    assert read_host_and_slices(tmp_path / "host.json") == (host, None)
    with pytest.raises(UsageError, match="cannot read a host's facts"):
        read_host_and_slices(tmp_path / "none.json")
