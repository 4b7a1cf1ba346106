"""Which devices a flavor asks for, by whom their ids are known, and which functions they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.proof_cloud import H100, H100_2, VIRTIO, guest_of
from wholecard.cloud.placement.resource_providers import Allocation
from wholecard.cloud.proving.asked_devices import (
    AskedDevices,
    KnownIds,
    asked_devices,
    assigned,
    known_ids,
    own_ids,
    unknown_notes,
    with_allocations,
)
from wholecard.core import UsageError
from wholecard.guest.proof.comparison import MACHINE_OWN
from wholecard.site.load import read_site

SITE = """version: 1
release: "2025.2"
cards:
  h100:
    match: [{vendor: 10de, product: "2330"}]
    device_type: type-PF
  sound:
    match: [{vendor: 10de, product: 22ba}, {vendor: 10de, product: 1aef}]
    device_type: type-PCI
    extra_function: true
    resource_class: CUSTOM_SOUND
flavors:
  gpu: {ram: 1024, vcpus: 1, cards: {h100: 1}}
"""
SOUND = replace(H100, address="0000:01:00.1", device="22ba", pci_class="040300")


def site(folder: Path, text: str = SITE) -> KnownIds:
    """What the site file says."""
    (folder / "site.yaml").write_text(text)
    return known_ids(read_site(folder / "site.yaml"))


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ({"pci_passthrough:alias": "h100:2"}, [("h100", 2, ("10de:2330",))]),
        ({"pci_passthrough:alias": "h100:1, sound:1"},
         [("h100", 1, ("10de:2330",)), ("sound", 1, ("10de:22ba", "10de:1aef"))]),
        ({"pci_passthrough:alias": "other:1"}, [("other", 1, ())]),
        ({"resources:CUSTOM_PCI_10DE_2330": "2"},
         [("CUSTOM_PCI_10DE_2330", 2, ("10de:2330",))]),
        ({"resources1:CUSTOM_SOUND": "1", "resources:CUSTOM_X": "0", "resources:VCPU": "4"},
         [("CUSTOM_SOUND", 1, ("10de:22ba", "10de:1aef"))]),
    ],
)  # fmt: skip
def test_what_a_flavor_asks(
    tmp_path: Path, specs: dict[str, str], expected: list[tuple[str, int, tuple[str, ...]]]
) -> None:
    """Aliases and resource classes, with the ids of the site file or of the class's own name."""
    asked = asked_devices("gpu", specs, site(tmp_path))
    assert [(each.name, each.count, each.ids) for each in asked] == expected
    assert [each.source for each in asked if not each.ids] == [""] * sum(
        not ids for *_, ids in expected
    )


def test_mediated_devices(tmp_path: Path) -> None:
    """A guest sees its card's ids; mtty's has ids of its own."""
    parts = SITE.replace(
        "flavors:",
        "  m60:\n    match: [{vendor: 10de, product: 13f2}]\n"
        "    give: {policy: mdev, types: {nvidia-35: 8}}\n    resource_class: CUSTOM_M60\n"
        "  tty:\n    match: [{parent: mtty}]\n"
        "    give: {policy: mdev, types: {mtty-2: 2}}\nflavors:",
    )
    specs = {"resources1:CUSTOM_M60": "1", "resources:VGPU": "2"}
    asked = asked_devices("gpu", specs, site(tmp_path, parts))
    assert [(each.name, each.ids) for each in asked] == [
        ("CUSTOM_M60", ("10de:13f2",)), ("VGPU", ()),
    ]  # fmt: skip
    specs = {"resources:CUSTOM_TTY": "2"}
    (tty,) = asked_devices("gpu", specs, site(tmp_path, parts))
    assert (tty.count, tty.ids) == (2, ("4348:3253",))


@pytest.mark.parametrize(
    "specs",
    [{}, {"hw:cpu_policy": "dedicated"}, {"pci_passthrough:alias": ""},
     {"pci_passthrough:alias": "a"}, {"pci_passthrough:alias": "a:0"},
     {"pci_passthrough:alias": "a:1,"}, {"pci_passthrough:alias": ":1"},
     {"pci_passthrough:alias": "a:99999"}, {"resources:CUSTOM_A": "x"}],
)  # fmt: skip
def test_a_flavor_without_a_card(specs: dict[str, str]) -> None:
    """A flavor that asks for nothing, or in a way that nova refuses, is refused with advice."""
    with pytest.raises(UsageError) as caught:
        asked_devices("gpu", specs, KnownIds())
    assert caught.value.resolution


def test_without_a_site_file() -> None:
    """Without a site file the ids of an alias are not known, and a note says what that means."""
    (asked,) = asked_devices("gpu", {"pci_passthrough:alias": "h100:1"}, known_ids(None))
    assert asked == AskedDevices("h100", 1)
    (note,) = unknown_notes((asked,))
    assert (note.rule, note.severity.value) == ("WC436", "note")
    assert unknown_notes((replace(asked, ids=("10de:2330",)),)) == []


def allocation(resource_class: str, amount: int) -> Allocation:
    """What Placement has of the server."""
    return Allocation("rp", resource_class, amount)


@pytest.mark.parametrize(
    ("asked", "allocated", "ids"),
    [
        ([("h100", 2)], [("CUSTOM_PCI_10DE_2330", 2), ("VCPU", 8)], [("10de:2330",)]),
        ([("h100", 2)], [("CUSTOM_PCI_10DE_2330", 1), ("CUSTOM_PCI_10DE_2330", 1)],
         [("10de:2330",)]),
        ([("h100", 2)], [("CUSTOM_H100", 2)], [()]),
        ([("h100", 2), ("nic", 1)],
         [("CUSTOM_PCI_10DE_2330", 2), ("CUSTOM_PCI_15B3_101E", 1)],
         [("10de:2330",), ("15b3:101e",)]),
        # Which of the two is which cannot be told.
        ([("h100", 1), ("nic", 1)],
         [("CUSTOM_PCI_10DE_2330", 1), ("CUSTOM_PCI_15B3_101E", 1)], [(), ()]),
    ],
)  # fmt: skip
def test_ids_by_placement(
    asked: list[tuple[str, int]], allocated: list[tuple[str, int]], ids: list[tuple[str, ...]]
) -> None:
    """What Placement allocated tells the ids where only one alias can have them."""
    filled = with_allocations(
        [AskedDevices(*each) for each in asked], [allocation(*each) for each in allocated]
    )
    assert [each.ids for each in filled] == ids


def test_functions_are_taken_once() -> None:
    """Each device gets a function of its own, known ids first, and one that is missing has none."""
    asked = (AskedDevices("any", 1), AskedDevices("h100", 2, ("10de:2330",)))
    proof = guest_of("a", VIRTIO, H100_2, H100, SOUND)
    devices = assigned(asked, proof, MACHINE_OWN)
    assert [(each.name, each.function) for each in devices] == [
        ("any", SOUND), ("h100 1 of 2", H100), ("h100 2 of 2", H100_2)]  # fmt: skip
    (*_, missing) = assigned((AskedDevices("h100", 3, ("10de:2330",)),), proof, MACHINE_OWN)
    assert (missing.function, missing.expected() and missing.expected().id) == (  # type: ignore[union-attr]
        None, "10de:2330")  # fmt: skip


def test_unknown_ids_take_gpus_first() -> None:
    """Where ids are not known a GPU counts before its sound, and never the machine's own."""
    proof = guest_of("a", VIRTIO, SOUND, H100_2)
    devices = assigned((AskedDevices("card", 3),), proof, MACHINE_OWN)
    assert [each.function for each in devices] == [H100_2, SOUND, None]
    assert devices[2].expected() is None


def test_the_machines_own() -> None:
    """What is asked for is never the machine's own; the display of an image's video model is."""
    display = (AskedDevices("gpu", 1, ("1234:1111",)),)
    assert "1234:1111" not in own_ids((), {})
    assert "1234:1111" in own_ids((), {"hw_video_model": "bochs"})
    assert "1234:1111" not in own_ids(display, {"hw_video_model": "bochs"})
    assert "1af4:1041" not in own_ids((AskedDevices("nic", 1, ("1af4:1041",)),), {})


def test_a_site_that_nova_could_not_have(tmp_path: Path) -> None:
    """Where the site's device types are not known the ids of its matches are."""
    text = SITE.replace("    device_type: type-PF\n", "")
    assert site(tmp_path, text).aliases["h100"] == ("10de:2330",)
