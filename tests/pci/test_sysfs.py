"""Functions read from sysfs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.nodes import APART, GROUPS_APART, pci_tree, with_groups
from support.production_host import function as host_function
from support.production_host import link, uevent, vpd
from support.tree import grow
from wholecard.core.json_text import encode
from wholecard.pci import (
    Address,
    Function,
    find_cards,
    predicted_groups,
    read_functions,
    read_groups,
)
from wholecard.pci.ids import PciNames
from wholecard.pci.vpd import read_serial

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


UEVENT = uevent(A, "10de:2330", "10de:16c1", "030200", "nvidia")
READ = {"vendor": "10de", "device": "2330", "subsystem_vendor": "10de", "subsystem_device": "16c1",
        "class_code": "030200", "driver": "nvidia"}  # fmt: skip
SINGLE = {"vendor": "0x1002\n", "device": "0x73bf\n", "subsystem_vendor": "0x1028\n",
          "subsystem_device": "0x0001\n", "class": "0x030000\n", "driver": "-> ../../../d/amdgpu",
          "modalias": "pci:x"}  # fmt: skip
ALONE = {"vendor": "1002", "device": "73bf", "subsystem_vendor": "1028",
         "subsystem_device": "0001", "class_code": "030000", "driver": "amdgpu"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (UEVENT, READ),
        ("", ALONE),
        ("\0\xff=\n==\n", ALONE),
        (UEVENT.replace("PCI_CLASS=30200\n", ""), {**READ, "class_code": "030000"}),
        (UEVENT.replace("PCI_ID=10DE:2330", "PCI_ID=10DE"), {**READ, "device": "73bf"}),
        (UEVENT.replace("10DE:16C1", "zzzz:16C1"), {**READ, "subsystem_vendor": "1028"}),
        (UEVENT.replace("DRIVER=nvidia\n", ""), {**READ, "driver": None}),
    ],
)
def test_uevent(tmp_path: Path, text: str, fields: dict[str, object]) -> None:
    """`uevent` is read first; what it does not say, or says garbled, has a file of its own."""
    grow(tmp_path, {f"{PLACE}/{name}": leaf for name, leaf in {**SINGLE, "uevent": text}.items()})
    (function,) = read_functions(tmp_path)
    assert {name: getattr(function, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("files", "fields"),
    [
        ({}, {"reset_methods": None, "power": "", "link_speed": None, "sriov_total": 0}),
        ({"reset_method": "\n"}, {"reset_methods": ()}),
        ({"reset_method": "flr bus\n"}, {"reset_methods": ("flr", "bus")}),
        ({"current_link_speed": "2.5 GT/s PCIe\n"}, {"link_speed": 2.5}),
        ({"current_link_speed": "8 GT/s\n"}, {"link_speed": 8.0}),
        ({"current_link_speed": "Unknown\n"}, {"link_speed": None}),
        ({"current_link_speed": "1.2.3 GT/s\n"}, {"link_speed": None}),
        ({"current_link_width": "0\n", "max_link_width": "16\n"},
         {"link_width": None, "link_width_max": 16}),
        ({"power/runtime_status": "suspending\n", "max_link_width": "16\n"},
         {"power": "suspending", "link_width_max": None}),
        ({"sriov_totalvfs": "63\n", "sriov_numvfs": "7\n"}, {"sriov_total": 63, "sriov_vfs": 7}),
        ({"sriov_totalvfs": "garbled"}, {"sriov_total": 0, "sriov_vfs": 0}),
        ({"class": "0x060400\n", "boot_vga": "1\n"}, {"boot_vga": False}),
    ],
)  # fmt: skip
def test_more_attributes(tmp_path: Path, files: dict[str, str], fields: dict[str, object]) -> None:
    """Links, resets, power and VFs are read as the kernel writes them, or are left empty."""
    grow(tmp_path, {f"{PLACE}/": "", **{f"{PLACE}/{name}": text for name, text in files.items()}})
    (function,) = read_functions(tmp_path)
    assert {name: getattr(function, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (f"../../../devices/pci0000:00/0000:00:02.0/{A}", "0000:00/02.0/00.0"),
        (f"../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/{A}",
         "10000:e0/06.0/00.0"),
        (f"../../../devices/platform/40000000.pcie/pci0000:00/{A}", "0000:00/00.0"),
        ("../../../devices/pci0000:00/0000:00:02.0/other", ""),
        ("nowhere", ""),
    ],
)  # fmt: skip
def test_path(tmp_path: Path, target: str, path: str) -> None:
    """A function's path of slots comes from its link alone, whether or not that leads anywhere."""
    grow(tmp_path, {PLACE: f"-> {target}"})
    (function,) = read_functions(tmp_path)
    assert function.path == path


def test_one_link_for_a_slot(tmp_path: Path) -> None:
    """The functions of a slot below a port share its link; root ports of a slot do not."""
    place = "devices/pci0000:00"
    tree = {
        **host_function(place, "0000:00:1c.0", "8086:1", "060400", **link(width=4)),
        **host_function(place, "0000:00:1c.1", "8086:1", "060400", **link(width=8)),
        **host_function(f"{place}/0000:00:1c.0", A, "10de:2330", "030200", **link()),
        **host_function(f"{place}/0000:00:1c.0", "0000:01:00.1", "10de:22ba", "040300"),
    }
    widths = {str(each.address): each.link_width for each in read_functions(grow(tmp_path, tree))}
    assert widths == {"0000:00:1c.0": 4, "0000:00:1c.1": 8, A: 16, "0000:01:00.1": 16}


def test_shared_work(tmp_path: Path) -> None:
    """Several processes read what one reads, and what a child cannot is read by its parent."""
    grow(tmp_path, with_groups(pci_tree(APART), GROUPS_APART))
    alone = read_functions(tmp_path)
    assert len(alone) == 8
    assert read_functions(tmp_path, processes=3) == alone
    assert read_functions(tmp_path, processes=100) == alone
    assert read_functions(tmp_path, _NamesFailing(os.getpid()), processes=3) == alone


class _NamesFailing(PciNames):
    """Names that fail in every process but one."""

    def __init__(self, process: int) -> None:
        self._process = process

    def _known(self, *_ids: object) -> str:
        if os.getpid() != self._process:
            os._exit(7)
        return ""


@pytest.mark.parametrize(
    ("data", "serial"),
    [
        (vpd(b"1654922000123"), "1654922000123"),
        (vpd(b"  padded\0\0"), "padded"),
        (vpd(b"\xff\xfe"), "\ufffd\ufffd"),
        (vpd(b"bad\x01"), ""),
        (b"", ""),
        (b"\x82", ""),
        (b"\xff" * 4096, ""),
        (b"\0" * 4096, ""),
        (vpd(b"cut")[:-3], ""),
        (b"\x90\xff\xff" + b"SN\x03abc" + b"\0" * 70000, "abc"),
        (b"\x78" + vpd(b"behind the end"), ""),
    ],
)
def test_serial(tmp_path: Path, data: bytes, serial: str) -> None:
    """The serial number is found in whole vital product data, and garbage has none."""
    assert read_serial(str(grow(tmp_path, {"vpd": data}) / "vpd")) == serial


def test_no_serial(tmp_path: Path) -> None:
    """What is no file has no serial number."""
    assert [read_serial(str(tmp_path / name)) for name in ("none", ".")] == ["", ""]


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
            "10df  Emulex\n\t1eb8  wrong\n\t1eb9  also\nC 03  Display\n\t02  3D\n",
        },
    )
    (function,) = read_functions(tmp_path, PciNames(tmp_path))
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


ATTRIBUTES = (
    *("vendor", "device", "class", "resource", "numa_node", "modalias", "boot_vga", "uevent"),
    *("reset_method", "revision", "sriov_totalvfs", "sriov_numvfs", "driver_override"),
    *("current_link_speed", "current_link_width", "max_link_speed", "power/runtime_status", "vpd"),
)
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
        functions = read_functions(root, PciNames(root))
        for function in functions:
            read_serial(str(root / f"sys/bus/pci/devices/{function.address}/vpd"))
        assert json.loads(encode([each.to_json() for each in functions])) == [
            each.to_json() for each in functions
        ]
        assert {str(function.address) for function in functions} == set(devices)
        find_cards(functions, read_groups(root, functions) or predicted_groups(functions))
    finally:
        shutil.rmtree(root)
