"""Types of mediated devices and of VFs, as sysfs shows them, also from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.nodes import APART, bare
from support.tree import grow
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.offered_slices import (
    MdevType,
    OfferedSlices,
    TypedVf,
    read_offered_slices,
)
from wholecard.host.facts.saved import read_host
from wholecard.host.facts.snapshot import save

MTTY = "sys/devices/virtual/mtty/mtty/mdev_supported_types"
VF = "sys/bus/pci/devices/0000:01:00.4"
TREE = {
    f"{MTTY}/mtty-1/name": "Single port serial\n",
    f"{MTTY}/mtty-1/available_instances": "24\n",
    f"{MTTY}/mtty-2/name": "Dual port serial\n",
    f"{MTTY}/mtty-2/available_instances": "garbled\n",
    f"{MTTY}/mtty-2/description": "two ports\nof 8250\n",
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
        MdevType("mtty", "mtty-2", "Dual port serial", None, "two ports\nof 8250"),
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


def test_in_facts(tmp_path: Path) -> None:
    """A host's facts have them, from a snapshot and as JSON alike."""
    root = grow(tmp_path / "root", {**bare(APART), **TREE})
    assert inspect(root).slices == SLICES
    save(root, tmp_path / "host.tar")
    host = read_host(tmp_path / "host.tar")
    assert host.slices == SLICES
    (tmp_path / "host.json").write_text("".join(host.to_lines()))
    assert read_host(tmp_path / "host.json") == host


def test_in_older_facts(tmp_path: Path) -> None:
    """Facts that were written before they had slices are read; there may be some."""
    data = inspect(grow(tmp_path, bare(APART))).to_json()
    assert data["slices"] == {"mdev_types": [], "typed_vfs": [], "mdevs": []}
    del data["slices"]
    assert Host.from_json(data).slices is None


@pytest.mark.parametrize(
    ("member", "row", "where"),
    [
        ("mdev_types", {"parent": "../mtty", "type_id": "mtty-1", "name": "", "available": 1},
         "parent"),
        ("mdev_types", {"parent": "mtty", "type_id": "a\nb", "name": "", "available": 1},
         "type_id"),
        ("mdev_types", {"parent": "mtty", "type_id": "mtty-1", "name": "", "available": "1"},
         "available"),
        ("typed_vfs", {"address": "0000:01:00.4", "current": 0, "creatable": [[1, "a\nb"]]},
         "name"),
        ("typed_vfs", {"address": "01:00.4", "current": 0, "creatable": []}, "address"),
        ("mdevs", {"uuid": "..", "parent": "mtty", "type_id": "mtty-1", "active": True}, "uuid"),
    ],
)  # fmt: skip
def test_facts_that_others_wrote(
    tmp_path: Path, member: str, row: dict[str, object], where: str
) -> None:
    """A name that cannot be one in sysfs is refused, and so is a value of another type."""
    data = inspect(grow(tmp_path, bare(APART))).to_json()
    data["slices"][member] = [row]
    with pytest.raises(ValueError, match=where):
        Host.from_json(data)
