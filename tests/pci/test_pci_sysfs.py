"""Functions read from sysfs."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import APART, GROUPS_APART, pci_tree, with_groups
from tree import grow
from wholecard.pci import (
    Address,
    Function,
    find_cards,
    name_functions,
    predicted_groups,
    read_functions,
    read_groups,
)

A = "0000:01:00.0"
PLACE = f"sys/bus/pci/devices/{A}"


def test_real_shape(tmp_path: Path) -> None:
    """A function is read whole from a tree of links as the kernel makes it."""
    grow(tmp_path, with_groups(pci_tree(APART), GROUPS_APART))
    extra = "sys/devices/pci0000:00/0000:00:02.0/0000:01:00.1"
    grow(
        tmp_path,
        {
            f"{extra}/numa_node": "1\n",
            f"{extra}/revision": "0x02\n",
            f"{extra}/resource": "0x00000000fea00000 0x00000000fea03fff 0x0000000000040200\n"
            "0x0000000000000000 0x0000000000000000 0x0000000000000000\n",
            f"{extra}/driver_override": "vfio-pci\n",
        },
    )
    (function,) = (each for each in read_functions(tmp_path) if str(each.address) == "0000:01:00.1")
    assert function == Function(
        address=Address(0, 1, 0, 1),
        vendor="8086",
        device="293e",
        class_code="040300",
        revision="02",
        driver="snd_hda_intel",
        driver_override="vfio-pci",
        modalias="pci:v00008086d0000293Esv00001AF4sd00001100bc04sc03i00",
        iommu_group=10,
        numa_node=1,
        bars=(16384, 0),
        parents=(Address(0, 0, 2, 0),),
        path="0000:00/02.0/00.1",
        bar_starts=(0xFEA00000, 0),
    )


@pytest.mark.parametrize(
    ("files", "field", "value"),
    [
        ({"vendor": "garbage"}, "vendor", ""),
        ({"vendor": "0x10DE\n"}, "vendor", "10de"),
        ({"device": b"\xff\xfe\x00"}, "device", ""),
        ({"class": "0x03"}, "class_code", ""),
        ({"driver": "no link"}, "driver", None),
        ({"driver_override": "(null)\n"}, "driver_override", None),
        ({"iommu_group": "-> ../../x"}, "iommu_group", None),
        ({"numa_node": "-1\n"}, "numa_node", None),
        ({"resource": "0x0 zz\n0x10 0x1f 0x0\n"}, "bars", (0, 16)),
        ({"physfn": "-> ../0000:02:00.0"}, "physfn", Address(0, 2, 0, 0)),
        ({"boot_vga": "1"}, "boot_vga", True),
    ],
)
def test_attributes(tmp_path: Path, files: dict[str, str], field: str, value: object) -> None:
    """An attribute that is missing or garbled leaves its field empty and the function listed."""
    grow(tmp_path, {f"{PLACE}/{name}": text for name, text in files.items()})
    (function,) = read_functions(tmp_path)
    assert getattr(function, field) == value


def test_no_pci(tmp_path: Path) -> None:
    """A tree without PCI has no functions, and names that are no addresses are passed over."""
    assert read_functions(tmp_path) == ()
    grow(tmp_path, {"sys/bus/pci/devices/not-an-address/vendor": "0x10de"})
    assert read_functions(tmp_path) == ()


def test_names(tmp_path: Path) -> None:
    """Names come from pci.ids; an id that is not in it has none."""
    grow(
        tmp_path,
        {
            f"{PLACE}/vendor": "0x10de",
            f"{PLACE}/device": "0x1eb8",
            f"{PLACE}/class": "0x030200",
            "usr/share/misc/pci.ids": "10de  NVIDIA\n\t1eb8  T4\n\t\t10de 1eb8  sub\n"
            "10df  Emulex\n\t1eb8  wrong\nC 03  Display\n\t02  3D\n",
        },
    )
    (function,) = name_functions(tmp_path, read_functions(tmp_path))
    assert (function.vendor_name, function.device_name, function.class_name) == (
        "NVIDIA",
        "T4",
        "3D",
    )


def test_json_round_trip(tmp_path: Path) -> None:
    """A function comes back equal from its JSON."""
    grow(tmp_path, with_groups(pci_tree(APART), GROUPS_APART))
    for function in read_functions(tmp_path):
        assert Function.from_json(json.loads(json.dumps(function.to_json()))) == function


ATTRIBUTES = ("vendor", "device", "class", "resource", "numa_node", "modalias", "boot_vga")
LINKS = ("driver", "iommu_group", "physfn")


@given(
    st.dictionaries(
        st.sampled_from(["0000:01:00.0", "0000:01:00.1", "ffffffff:ff:1f.7"]),
        st.tuples(
            st.dictionaries(st.sampled_from(ATTRIBUTES + LINKS), st.binary(max_size=40)),
            st.dictionaries(
                st.sampled_from(LINKS), st.text("/.:0123456789abcdef\udc80", min_size=1)
            ),
        ),
    )
)
def test_garbled_trees(devices: dict[str, tuple[dict[str, bytes], dict[str, str]]]) -> None:
    """Whatever the attributes hold, every function in the tree is listed and nothing is raised."""
    root = Path(tempfile.mkdtemp())
    try:
        for address, (files, links) in devices.items():
            place = f"sys/bus/pci/devices/{address}"
            grow(root, {f"{place}/": ""})
            grow(root, {f"{place}/{name}": f"-> {target}" for name, target in links.items()})
            grow(
                root, {f"{place}/{name}": data for name, data in files.items() if name not in links}
            )
        functions = name_functions(root, read_functions(root))
        assert {str(function.address) for function in functions} == set(devices)
        find_cards(functions, read_groups(root, functions) or predicted_groups(functions))
    finally:
        shutil.rmtree(root)
