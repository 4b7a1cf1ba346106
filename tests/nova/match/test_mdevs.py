"""Types of mediated devices as nova's libvirt driver reads them."""

from __future__ import annotations

import json

import pytest

from differential import mdevs
from differential.environments import RELEASES
from wholecard.nova.match.errors import MdevError
from wholecard.nova.match.mdevs import (
    MdevInventory,
    MdevParent,
    MdevTypes,
    TypeSection,
    libvirt_name,
    mdev_types,
    nova_parent,
)

A100, T4 = "0000:84:00.0", "0000:85:00.0"


@pytest.mark.parametrize("major", RELEASES)
def test_same_as_recorded(major: int) -> None:
    """On each host we say what nova of this release said (make renew-nova)."""
    ours = [mdevs.our_answer(case, major) for case in mdevs.cases()]
    kept = mdevs.recorded(major)
    assert json.loads(json.dumps(ours)) == kept
    assert sum("refused" in answer for answer in kept) > 10
    assert sum(total == 0 for answer in kept for _, total in answer.get("inventories", {}).values())


@pytest.mark.parametrize(
    ("major", "section", "expected"),
    [
        (20, TypeSection((A100,), "CUSTOM_A"), ("VGPU", {"VGPU"})),
        (28, TypeSection((A100,), "CUSTOM_A"), ("VGPU", {"VGPU"})),
        (29, TypeSection((A100,), "CUSTOM_A"), ("CUSTOM_A", {"CUSTOM_A"})),
        (29, TypeSection((), "CUSTOM_A"), ("VGPU", {"CUSTOM_A"})),
    ],
)
def test_the_class_of_a_single_type(
    major: int, section: TypeSection, expected: tuple[str, set[str]]
) -> None:
    """A single type's section counts from 2024.1 on, its class only with addresses."""
    types = mdev_types(major, ("nvidia-35",), {"nvidia-35": section})
    assert (types.class_of(A100), set(types.counted)) == expected


def test_a_limit_drops_a_parent() -> None:
    """max_instances caps nothing: what a parent offers above it is given up altogether."""
    types = mdev_types(34, ("mtty-2",), {"mtty-2": TypeSection(("mtty_mtty",), limit=2)})
    assert types.inventories([MdevParent("mtty_mtty", {"mtty-2": 12})], ()) == {
        "mtty_mtty": MdevInventory("VGPU", 0)
    }
    assert types.inventories([MdevParent("mtty_mtty", {"mtty-2": 2})], ()) == {
        "mtty_mtty": MdevInventory("VGPU", 2)
    }


def test_a_limit_is_for_all_parents_of_the_type() -> None:
    """Of two cards with 4 each a limit of 6 leaves one."""
    types = mdev_types(34, ("t",), {"t": TypeSection(limit=6)})
    parents = [MdevParent(name, {"t": 4}) for name in (A100, T4)]
    found = types.inventories(parents, ())
    assert [found[name].total for name in (A100, T4)] == [4, 0]


def test_no_type_is_no_inventory() -> None:
    """Without enabled types nova reports nothing, whatever sections there are."""
    assert mdev_types(34, (), {"t": TypeSection((A100,))}) == MdevTypes()


@pytest.mark.parametrize(
    ("addresses", "kind"), [((A100,), "duplicate-address"), (("84:00.0",), "bad-address")]
)
def test_what_nova_refuses(addresses: tuple[str, ...], kind: str) -> None:
    """An address in two types, and one that nova cannot read, prevent nova-compute's start."""
    sections = {"a": TypeSection((A100,)), "b": TypeSection(addresses)}
    with pytest.raises(MdevError) as refused:
        mdev_types(34, ("a", "b"), sections, ())
    assert (refused.value.kind, refused.value.key) == (kind, "b")


def test_names_of_parents() -> None:
    """A parent has one name in sysfs, one in nova's files and one in libvirt and Placement."""
    assert [nova_parent(name) for name in (A100, "mtty")] == [A100, "mtty_mtty"]
    assert [libvirt_name(name) for name in (A100, "mtty_mtty")] == ["pci_0000_84_00_0", "mtty_mtty"]
