"""What a site asks of a cloud, release by release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support import hosts
from support.hosts import GIB
from wholecard.cloud.planning.desired import (
    DesiredAggregate,
    DesiredCloud,
    DesiredFlavor,
    desired_cloud,
)
from wholecard.core import Severity
from wholecard.core.releases import release
from wholecard.host.facts.host import Cpu, Host
from wholecard.site.model import Site

H100_BARS = (16 << 20, 128 * GIB, 32 << 20)
INTEL = Cpu("GenuineIntel", physical_bits=46)
AMD = Cpu("AuthenticAMD", physical_bits=48)
ARM = Cpu(architecture="arm64")
CARDS = {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}}


def host(count: int = 8, cpu: Cpu = INTEL, bars: tuple[int, ...] = H100_BARS, **more: Any) -> Host:
    """A host with so many cards, their memory placed above 4 GiB."""
    return hosts.host(
        *(
            hosts.function(
                f"0000:{bus:02x}:00.0",
                bars=bars,
                bar_starts=tuple((1 << 44) + (bus << 40) + place for place in range(len(bars))),
                **more,
            )
            for bus in range(1, count + 1)
        ),
        cpu=cpu,
    )


def site(**more: Any) -> Site:
    """A site with one kind of card."""
    return Site.model_validate({"release": "2026.2", "cards": CARDS, **more})


def asked(
    flavor: dict[str, Any], series: str = "2026.2", facts: dict[str, Host] | None = None
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The extra specs of one flavor, and each finding's rule and severity."""
    whole = {"ram": 1024, "vcpus": 4, **flavor}
    found = desired_cloud(site(flavors={"f": whole}), facts or {}, release(series))
    rules = [(each.rule, each.severity.value) for each in found.findings]
    return dict(found.flavors[0].extra_specs), rules


ALIAS = {"pci_passthrough:alias": "h100:2"}
NARROW: dict[str, Any] = {"cards": {"h100": 2}, "maxphysaddr": "none"}
LACKS = [("WC332", "warning")]


@pytest.mark.parametrize(
    ("flavor", "series", "specs", "rules"),
    [
        ({}, "mitaka", {}, []),
        (NARROW, "mitaka", ALIAS, []),
        ({"cpu_policy": "dedicated"}, "mitaka", {"hw:cpu_policy": "dedicated"}, []),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0-1"}, "victoria",
         {"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-1"}, []),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0-1"}, "ussuri", {}, LACKS * 2),
        ({"hugepages": "2M", "numa_nodes": 2}, "mitaka",
         {"hw:mem_page_size": "2048", "hw:numa_nodes": "2"}, []),
        ({"hugepages": "1G"}, "2026.2", {"hw:mem_page_size": "1048576"}, []),
        ({"hugepages": "large"}, "2026.2", {"hw:mem_page_size": "large"}, []),
        ({"numa_policy": "required"}, "ussuri", {"hw:pci_numa_affinity_policy": "required"}, []),
        ({"numa_policy": "required"}, "train", {}, LACKS),
        ({"numa_policy": "socket"}, "wallaby", {"hw:pci_numa_affinity_policy": "socket"}, []),
        ({"numa_policy": "socket"}, "victoria", {}, LACKS),
        ({"required_traits": ["CUSTOM_A"]}, "queens", {"trait:CUSTOM_A": "required"}, []),
        ({"required_traits": ["CUSTOM_A"]}, "pike", {}, LACKS),
        ({"hugepages": "any", "locked_memory": True}, "zed",
         {"hw:mem_page_size": "any", "hw:locked_memory": "true"}, []),
        ({"hugepages": "any", "locked_memory": True}, "yoga", {"hw:mem_page_size": "any"}, LACKS),
        ({"emulator_threads_policy": "share"}, "ocata", {}, LACKS),
        # tuned sets what there is, and does not tell what there is not.
        ({"tuned": True}, "yoga", {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large",
                                   "hw:emulator_threads_policy": "isolate"}, []),
        ({"hugepages": "1G", "extra_specs": {"hw:mem_page_size": "any", "x": "1"}}, "2026.2",
         {"hw:mem_page_size": "any", "x": "1"}, []),
    ],
)  # fmt: skip
def test_extra_specs(
    flavor: dict[str, Any], series: str, specs: dict[str, str], rules: list[tuple[str, str]]
) -> None:
    """A flavor says what the release reads; what it does not is told; its own words win."""
    assert asked(flavor, series) == (specs, rules)


def wide(bits: int) -> dict[str, str]:
    return {"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": str(bits)}


TOO_WIDE = [("WC337", "warning")]
MIB_TIB = 1 << 20


@pytest.mark.parametrize(
    ("flavor", "series", "facts", "specs", "rules"),
    [
        # One H100 of 128 GiB and a little takes 256 GiB, eight 2 TiB: as WC123 has it.
        ({"cards": {"h100": 1}}, "2024.1", {"a": host()}, wide(41), []),
        ({"cards": {"h100": 8}}, "2024.1", {"a": host()}, wide(44), []),
        ({"cards": {"h100": 1}}, "2023.2", {"a": host()}, {}, TOO_WIDE),
        ({"cards": {"h100": 1}}, "2026.2", {"a": host(bars=(16 * GIB,))}, {}, []),
        ({"cards": {"h100": 2}}, "2026.2", {"a": host(bars=(32 * GIB,))}, wide(40), []),
        ({"cards": {"h100": 2}}, "2026.2", {"a": host(cpu=AMD, bars=(32 * GIB,))}, {}, []),
        # RAM that reaches into the window needs a bit more of its own.
        ({"cards": {"h100": 1}, "ram": 2 * MIB_TIB}, "2026.2", {"a": host()}, wide(42), []),
        ({"cards": {"h100": 1}, "ram": MIB_TIB}, "2026.2",
         {"a": host(cpu=AMD, bars=(GIB,))}, wide(42), []),
        # The host on which it needs most; one that cannot have the server does not count.
        ({"cards": {"h100": 4}}, "2026.2", {"a": host(), "b": host(2)}, wide(43), []),
        ({"cards": {"h100": 8}}, "2026.2",
         {"a": host(), "b": host(cpu=Cpu("GenuineIntel", physical_bits=42))}, wide(42), TOO_WIDE),
        ({"cards": {"h100": 1}}, "2026.2", {"a": host(0)}, {}, [("WC337", "note")]),
        ({"cards": {"h100": 1}, "maxphysaddr": "passthrough"}, "2026.2", {},
         {"hw:maxphysaddr_mode": "passthrough"}, []),
        ({"cards": {"h100": 1}, "maxphysaddr": "emulate", "maxphysaddr_bits": 45}, "2026.2",
         {"a": host()}, wide(45), []),
        ({"cards": {"h100": 1}, "maxphysaddr": "emulate"}, "2026.2",
         {"a": host(bars=(GIB,))}, wide(46), []),
        ({"maxphysaddr": "auto"}, "2026.2", {"a": host()}, {}, []),
        # The address width is x86's: libvirt refuses it elsewhere.
        ({"cards": {"h100": 8}}, "2026.2", {"a": host(cpu=ARM)}, {}, []),
        ({"cards": {"h100": 1}, "maxphysaddr": "emulate"}, "2026.2", {"a": host(cpu=ARM)}, {}, []),
        ({"cards": {"h100": 1}}, "2026.2", {"a": host(), "b": host(8, ARM)}, wide(41), []),
    ],
)  # fmt: skip
def test_address_width(
    flavor: dict[str, Any],
    series: str,
    facts: dict[str, Host],
    specs: dict[str, str],
    rules: list[tuple[str, str]],
) -> None:
    """Bits are reckoned from BARs and RAM on the hosts that have the cards, never beyond theirs."""
    found, said = asked(flavor, series, facts)
    found.pop("pci_passthrough:alias", None)
    assert (found, said) == (specs, rules)


def properties(image: dict[str, Any], series: str = "2026.2", name: str = "") -> dict[str, str]:
    """An image's properties in a site whose card has that name."""
    facts = {"a": host(1, device_name=name)}
    found = desired_cloud(site(images={"i": image}), facts, release(series))
    return dict(found.images[0].properties)


Q35 = {"hw_machine_type": "q35", "hw_firmware_type": "uefi"}
HIDDEN = {"img_hide_hypervisor_id": "true"}
GEFORCE = "GA102 [GeForce RTX 3090]"


@pytest.mark.parametrize(
    ("image", "series", "name", "expected"),
    [
        ({}, "mitaka", "", {**Q35, "os_type": "linux"}),
        ({"machine": "pc", "firmware": "bios"}, "2026.2", "",
         {"hw_machine_type": "pc", "hw_firmware_type": "bios", "os_type": "linux"}),
        ({"os": "windows"}, "2026.2", "GH100 [H100 SXM5 80GB]", {**Q35, "os_type": "windows"}),
        ({"os": "windows"}, "2026.2", GEFORCE, {**Q35, **HIDDEN, "os_type": "windows"}),
        ({"os": "linux"}, "2026.2", GEFORCE, {**Q35, "os_type": "linux"}),
        ({"os": "windows", "hide_hypervisor": False}, "2026.2", GEFORCE,
         {**Q35, "os_type": "windows"}),
        ({"hide_hypervisor": True}, "pike", "", {**Q35, **HIDDEN, "os_type": "linux"}),
        ({"secure_boot": "required", "tpm": "2.0"}, "wallaby", "",
         {**Q35, "os_type": "linux", "os_secure_boot": "required", "hw_tpm_version": "2.0"}),
        ({"secure_boot": "required", "tpm": "2.0"}, "victoria", "",
         {**Q35, "os_type": "linux", "hw_tpm_version": "2.0"}),
        ({"hide_hypervisor": True}, "ocata", "", {**Q35, "os_type": "linux"}),
        ({"properties": {"hw_machine_type": "pc-q35-7.1"}}, "2026.2", "",
         {**Q35, "hw_machine_type": "pc-q35-7.1", "os_type": "linux"}),
        ({"build": {"from": "a", "os": "ubuntu-24.04"}}, "2026.2", "",
         {**Q35, "os_type": "linux", "os_distro": "ubuntu", "os_version": "24.04"}),
    ],
)  # fmt: skip
def test_image_properties(
    image: dict[str, Any], series: str, name: str, expected: dict[str, str]
) -> None:
    """q35 and UEFI unless told otherwise; hidden where a Windows driver needs it."""
    assert properties(image, series, name) == expected


@pytest.mark.parametrize(
    ("image", "flavor", "rules"),
    [
        ({}, {"cards": {"h100": 1}}, []),
        ({"machine": "pc"}, {"cards": {"h100": 1}}, ["WC338"]),
        ({"firmware": "bios"}, {"cards": {"h100": 1}}, ["WC338"]),
        ({"machine": "pc"}, {"cards": {"h100": 1}, "maxphysaddr": "none"}, []),
        ({"properties": {"hw_machine_type": "pc-q35-7.1"}}, {"cards": {"h100": 1}}, []),
    ],
)
def test_narrow_images(image: dict[str, Any], flavor: dict[str, Any], rules: list[str]) -> None:
    """WC338 names an image that cannot use the width that a flavor asks for."""
    made = site(flavors={"f": {"ram": 1024, "vcpus": 1, **flavor}}, images={"i": image})
    found = desired_cloud(made, {"a": host()}, release("2026.2"))
    assert [each.rule for each in found.findings] == rules


def test_aggregates_and_traits() -> None:
    """An aggregate's zone is metadata, and what it requires its hosts are to have."""
    made = site(
        hosts={"b": {}, "a": {}},
        aggregates={
            "gpu": {
                "hosts": ["b", "a"],
                "availability_zone": "z",
                "metadata": {"trait:CUSTOM_G": "required", "trait:HW_X": "required", "k": "v"},
            }
        },
    )
    found = desired_cloud(made, {}, release("2026.2"))
    metadata = {
        "availability_zone": "z",
        "k": "v",
        "trait:CUSTOM_G": "required",
        "trait:HW_X": "required",
    }
    assert found.aggregates == (DesiredAggregate("gpu", metadata, ("a", "b")),)
    assert found.traits == {"a": ("CUSTOM_G",), "b": ("CUSTOM_G",)}


def test_unified_before_2023_2() -> None:
    """Unified limits before 2023.2 are a finding, and nova's own quotas are set instead."""
    made = site(quota_driver="unified", quotas={"p": {"cores": 8}})
    found = desired_cloud(made, {}, release("2023.1"))
    assert found.driver == "db"
    assert [(each.rule, each.severity) for each in found.findings] == [("WC332", Severity.WARNING)]
    assert desired_cloud(made, {}, release("2023.2")).findings == ()


def test_wanted_is_compared_whole() -> None:
    """The same site gives the same."""
    made = site(flavors={"f": {"ram": 1, "vcpus": 2, "disk": 3, "projects": ["p"]}})
    empty = DesiredCloud(release("2026.2"), traits={})
    flavor = DesiredFlavor("f", 1, 2, 3, {}, ("p",))
    assert desired_cloud(made, {}, release("2026.2")) == replace(empty, flavors=(flavor,))
