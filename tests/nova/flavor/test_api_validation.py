"""Extra specs as nova's API takes or refuses them."""

from __future__ import annotations

import pytest

from wholecard.core.releases import RELEASES, release
from wholecard.nova.flavor.api_validation import READ_ALL_THE_SAME, refused_specs

CASES = [
    ("hw:pcihole64", "1", "2024.1", "nova 2024.1 has no extra spec hw:pcihole64"),
    ("hw:iommu", "true", "2024.1", "no extra spec hw:iommu"),
    ("pci_passthrough:spec", "a:1", "2025.2", "no extra spec pci_passthrough:spec"),
    ("pci_passthrough:alias", "a:1", "2025.2", ""),
    ("pci_passthrough:alias", "a:1, b:2", "2025.2", ""),
    ("pci_passthrough:alias", "a", "2025.2", "not in nova's format"),
    ("hw:cpu_policy", "dedicated", "2025.2", ""),
    ("hw:cpu_policy", "Dedicated", "2025.2", "not one of nova's values"),
    ("hw:cpu_policy", "mixed", "ussuri", "not one of nova's values"),
    ("hw:numa_nodes", "0", "2025.2", "out of range"),
    ("hw:numa_nodes", "two", "2025.2", "not a whole number"),
    ("hw:numa_cpus.0", "0-3", "2025.2", ""),
    ("hw:mem_page_size", "1GB", "2025.2", ""),
    ("hw:mem_page_size", "huge", "2025.2", "not in nova's format"),
    ("hw:boot_menu", "Yes", "2025.2", ""),
    ("hw:boot_menu", "maybe", "2025.2", "no boolean"),
    ("hw:viommu_model", "intel", "yoga", "no extra spec hw:viommu_model"),
    ("hw:viommu_model", "intel", "zed", ""),
    ("trait:CUSTOM_A", "required", "2025.2", ""),
    ("trait:HW_CPU_X86_AVX", "required", "2025.2", ""),
    ("trait:NO_SUCH_TRAIT", "required", "2025.2", "no extra spec"),
    ("trait:HW_CPU_X86_AVX", "yes", "2025.2", "not one of nova's values"),
    ("resources:VGPU", "1", "2025.2", ""),
    ("resources:VGPU", "one", "2025.2", "not a whole number"),
    ("resources_A:CUSTOM_PCI_10DE_2330", "1", "2025.2", ""),
    ("resources:GPU", "1", "2025.2", "no extra spec"),
    ("accel:device_profile", "p", "2025.2", ""),
    ("group_policy", "none", "2025.2", ""),
    ("aggregate_instance_extra_specs:gpu", "true", "2025.2", ""),
    ("mine:gpu", "true", "2025.2", ""),
    ("gpu", "true", "2025.2", ""),
    ("hw:pcihole64", "1", "train", ""),
]


@pytest.mark.parametrize(("key", "value", "series", "problem"), CASES)
def test_as_nova_does(key: str, value: str, series: str, problem: str) -> None:
    """A key in a namespace of nova's needs a validator, and its value has to fit it."""
    refused = [one.problem for one in refused_specs({key: value}, release(series))]
    assert len(refused) == bool(problem)
    assert all(problem in one for one in refused)


@pytest.mark.parametrize(
    ("key", "resolution"),
    [("hw:cpu_polic", "Write hw:cpu_policy."), ("hw:iommu", "Remove it"),
     ("hw:max_cpu_cores", "Write hw:cpu_max_cores."), ("os:vram", "nova had it before")],
)  # fmt: skip
def test_what_to_write_instead(key: str, resolution: str) -> None:
    """A near key is named, or the release that had it."""
    (refused,) = refused_specs({key: "1"}, release("2026.2"))
    assert refused.resolution.startswith(resolution)


def test_what_nova_reads_without_a_validator() -> None:
    """hw:maxphysaddr_mode is refused from API 2.86 on and read by nova: it is not an error."""
    for series in RELEASES:
        assert not list(refused_specs(dict.fromkeys(READ_ALL_THE_SAME, "passthrough"), series))
