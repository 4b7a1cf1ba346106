"""IOMMU groups and cards."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from support.nodes import (
    APART,
    GROUPS_APART,
    GROUPS_TOGETHER,
    TOGETHER,
    Device,
    pci_tree,
    with_groups,
)
from support.tree import grow
from wholecard.pci import (
    Address,
    Function,
    IommuGroup,
    find_cards,
    predicted_groups,
    read_functions,
    read_groups,
)


def addresses(group: IommuGroup) -> list[str]:
    return [str(function.address) for function in group.functions]


@pytest.mark.parametrize(
    ("devices", "groups"), [(APART, GROUPS_APART), (TOGETHER, GROUPS_TOGETHER)]
)
def test_read(tmp_path: Path, devices: list[Device], groups: dict[int, list[str]]) -> None:
    """The kernel's groups are read with all their functions, bridges included."""
    grow(tmp_path, with_groups(pci_tree(devices), groups))
    found = read_groups(tmp_path, read_functions(tmp_path))
    assert {group.number: addresses(group) for group in found} == groups


def test_listed_only(tmp_path: Path) -> None:
    """A function without its own link is put into the group that lists it."""
    grow(
        tmp_path,
        {
            "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
            "sys/kernel/iommu_groups/4/devices/0000:01:00.0": "",
            "sys/kernel/iommu_groups/4/devices/junk": "",
        },
    )
    (group,) = read_groups(tmp_path, read_functions(tmp_path))
    assert (group.number, addresses(group)) == (4, ["0000:01:00.0"])


@pytest.mark.parametrize(
    ("class_code", "driver", "viable"),
    [
        ("030000", None, True),
        ("030000", "vfio-pci", True),
        ("040300", "pci-stub", True),
        ("040300", "snd_hda_intel", False),
        ("060400", "pcieport", True),
        ("060100", "lpc_ich", False),
    ],
)
def test_viable(class_code: str, driver: str | None, viable: bool) -> None:
    """A group is viable when every endpoint is free for VFIO; only PCI bridges do not count."""
    function = Function(Address(0, 1, 0, 0), class_code=class_code, driver=driver)
    assert IommuGroup(1, (function,)).viable is viable


@pytest.mark.parametrize(
    ("devices", "wanted"),
    [
        (
            APART,
            [
                ["0000:00:01.0"],
                ["0000:00:04.0"],
                ["0000:01:00.0", "0000:01:00.1"],
                ["0000:02:00.0", "0000:02:00.1"],
            ],
        ),
        (
            TOGETHER,
            [
                ["0000:00:01.0"],
                ["0000:00:04.0"],
                ["0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"],
            ],
        ),
    ],
)
def test_predicted(tmp_path: Path, devices: list[Device], wanted: list[list[str]]) -> None:
    """Endpoints of one slot, and of one conventional bus, are predicted to share a group."""
    grow(tmp_path, pci_tree(devices))
    assert [addresses(group) for group in predicted_groups(read_functions(tmp_path))] == wanted


def test_predicted_below_conventional(tmp_path: Path) -> None:
    """What sits behind a bridge on a conventional bus shares that bus's group."""
    above = ("0000:00:02.0", "0000:01:00.0")
    deeper: Device = ("0000:03:00.0", (*above, "0000:02:03.0"), "8086:1", "020000", "", {})
    bridge: Device = ("0000:02:03.0", above, "1b36:1", "060400", "", {})
    grow(tmp_path, pci_tree([*TOGETHER, bridge, deeper]))
    groups = [addresses(group) for group in predicted_groups(read_functions(tmp_path))]
    assert any({"0000:03:00.0", "0000:02:01.0"} <= set(group) for group in groups)


def test_vfs_make_no_conventional_bus() -> None:
    """VFs with other slot numbers (ARI) do not make their bus a conventional one."""
    pf = Function(Address(0, 1, 0, 0), parents=(Address(0, 0, 2, 0),))
    vf = dataclasses.replace(pf, address=Address(0, 1, 2, 0), physfn=pf.address)
    assert [len(group.functions) for group in predicted_groups([pf, vf])] == [1, 1]


def test_cards(tmp_path: Path) -> None:
    """A card is all functions of its slot; endpoints of its group elsewhere are its companions."""
    grow(tmp_path, with_groups(pci_tree(TOGETHER), GROUPS_TOGETHER))
    functions = read_functions(tmp_path)
    own, first, second = find_cards(functions, read_groups(tmp_path, functions))
    assert (own.slot, own.boot_display, own.companions) == ("0000:00:01", True, ())
    assert [str(each.address) for each in first.functions] == ["0000:02:01.0", "0000:02:01.1"]
    assert [str(each.address) for each in first.gpu] == ["0000:02:01.0"]
    assert first.companions == second.functions


def test_no_card_without_display() -> None:
    """A slot without a display or accelerator function is no card, nor is a VF."""
    nic = Function(Address(0, 1, 0, 0), class_code="020000")
    vf = Function(Address(0, 2, 0, 1), class_code="030200", physfn=Address(0, 2, 0, 0))
    accelerator = Function(Address(0, 3, 0, 0), class_code="120000")
    assert [card.slot for card in find_cards([nic, vf, accelerator], ())] == ["0000:03:00"]
