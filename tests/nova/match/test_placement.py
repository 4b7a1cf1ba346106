"""What Placement is told of devices and asked for servers."""

from __future__ import annotations

from typing import Any

import pytest

from support.match_hosts import ALL, ASKING, CARD, NEW, PLAIN, REPORTING, VF, spec, specs
from wholecard.nova.match import (
    Device,
    PciRequest,
    PciResourceProvider,
    PlacementError,
    RequestError,
    Rules,
    groups_of,
    providers_of,
    resource_class_of,
    rules_for,
    traits_of,
)

CLASSES = [
    (None, "CUSTOM_PCI_10DE_2331"),
    ("", "CUSTOM_PCI_10DE_2331"),
    ("pgpu", "PGPU"),
    ("custom_gpu", "CUSTOM_GPU"),
    ("H100 80-GB", "CUSTOM_H100_80_GB"),
]


@pytest.mark.parametrize(("tag", "expected"), CLASSES)
def test_resource_class(tag: str | None, expected: str) -> None:
    """A standard or custom name stays, another is made custom, none is made of the ids."""
    conf = {} if tag is None else {"resource_class": tag}
    assert resource_class_of(CARD, spec(conf)) == expected


TRAITS = [
    ({}, set()),
    ({"traits": "HW_GPU_API_VULKAN,gold"}, {"HW_GPU_API_VULKAN", "CUSTOM_GOLD"}),
    # A blank after the comma makes another trait of it, a wrong one.
    ({"traits": "gold, HW_GPU_API_VULKAN"}, {"CUSTOM_GOLD", "CUSTOM__HW_GPU_API_VULKAN"}),
    ({"traits": "hw_gpu_api_vulkan"}, {"CUSTOM_HW_GPU_API_VULKAN"}),
    ({"live_migratable": "true"}, {"HW_PCI_LIVE_MIGRATABLE"}),
    ({"one_time_use": "true"}, {"HW_PCI_ONE_TIME_USE"}),
]


@pytest.mark.parametrize(("conf", "more"), TRAITS)
def test_traits(conf: dict[str, str], more: set[str]) -> None:
    """These traits come on top of the one that every device has."""
    found = traits_of(CARD, spec(conf, REPORTING), REPORTING)
    assert found == more | {"COMPUTE_MANAGED_PCI_DEVICE"}


def test_providers() -> None:
    """A device is a provider by its own address, VFs are counted under their PF's."""
    vfs = (VF, Device("0000:81:00.3", "15b3", "101e", "type-VF", "0000:81:00.0", 1))
    given = specs({"vendor_id": "10de"}, {"product_id": "101e"}, rules=REPORTING)
    marks = frozenset({"COMPUTE_MANAGED_PCI_DEVICE", "OWNER_NOVA"})
    assert providers_of("node1", (CARD, *vfs), given, REPORTING) == (
        PciResourceProvider("node1_0000:41:00.0", "CUSTOM_PCI_10DE_2331", marks, (CARD,)),
        PciResourceProvider("node1_0000:81:00.0", "CUSTOM_PCI_15B3_101E", marks, vfs),
    )
    assert providers_of("node1", (CARD,), given, NEW) == ()


def test_physical_network_is_not_reported() -> None:
    """Devices for Neutron are left out."""
    given = specs({"physical_network": "physnet1"}, rules=REPORTING)
    assert providers_of("node1", ALL, given, REPORTING) == ()


VF2 = Device("0000:81:00.3", "15b3", "101e", "type-VF", "0000:81:00.0", 1)
REFUSED: list[tuple[Any, tuple[Device, ...], Rules, str]] = [
    (({"devname": "eth0"},), (CARD,), REPORTING, "devname"),
    (({},), ALL, REPORTING, "dependent-devices"),
    (
        ({"address": VF.address, "resource_class": "a"}, {"resource_class": "b"}),
        (VF, VF2),
        REPORTING,
        "mixed-resource-class",
    ),
    (
        ({"address": VF.address, "traits": "a"}, {"traits": "b"}),
        (VF, VF2),
        REPORTING,
        "mixed-traits",
    ),
    (({"one_time_use": "false"},), (VF,), REPORTING, "one-time-use-on-vf"),
    (({"traits": ["a"]},), (CARD,), REPORTING, "not-text"),
]


@pytest.mark.parametrize(("confs", "devices", "rules", "kind"), REFUSED)
def test_refused(confs: Any, devices: tuple[Device, ...], rules: Rules, kind: str) -> None:
    """What nova-compute cannot report is refused under a stable kind."""
    with pytest.raises(PlacementError) as caught:
        providers_of("node1", devices, specs(*confs, rules=rules), rules)
    assert caught.value.kind == kind


def test_every_kind_has_a_case() -> None:
    """Each kind of refusal is reached by a test."""
    assert {kind for *_, kind in REFUSED} == PlacementError.kinds.keys()


def test_older_releases_mark_less() -> None:
    """OWNER_NOVA came with 2026.2, one_time_use with 2025.2."""
    old = rules_for(27, report_in_placement=True)
    (found,) = providers_of("node1", (PLAIN,), specs({"one_time_use": "true"}, rules=old), old)
    assert found.traits == {"COMPUTE_MANAGED_PCI_DEVICE"}


def test_groups() -> None:
    """Each device of each request is a group of its own."""
    request = PciRequest("gpu", 2, ({"resource_class": "gpu", "traits": "gold"},), "legacy", "r0")
    found = groups_of((request,), ASKING)
    assert [(each.name, each.resource_class, each.traits) for each in found] == [
        ("r0-0", "CUSTOM_GPU", frozenset({"CUSTOM_GOLD"})),
        ("r0-1", "CUSTOM_GPU", frozenset({"CUSTOM_GOLD"})),
    ]
    assert groups_of((request,), REPORTING) == ()


def test_several_specs_cannot_be_asked() -> None:
    """Placement cannot be asked for one thing or another."""
    with pytest.raises(RequestError) as caught:
        groups_of((PciRequest("gpu", 1, ({}, {}), "legacy", "r0"),), ASKING)
    assert caught.value.kind == "several-specs"


def test_a_thousand_million_cannot_be_asked() -> None:
    """A count that would fill the memory with groups is refused."""
    with pytest.raises(RequestError) as caught:
        groups_of((PciRequest("gpu", 10**9, ({},), "legacy", "r0"),), ASKING)
    assert caught.value.kind == "too-many"
