"""What a resource provider's name says."""

from __future__ import annotations

import pytest

from wholecard.cloud.placement.provider_tree import device_in_name


@pytest.mark.parametrize(
    ("name", "host", "address"),
    [
        ("gpu-01_0000:88:00.0", "gpu-01", "0000:88:00.0"),
        ("gpu_01.example.org_0000:8A:00.1", "gpu_01.example.org", "0000:8a:00.1"),
        ("gpu-01", "", ""),
        ("gpu-01_pci_0000_84_00_0", "", ""),
        ("gpu-01:Open vSwitch agent:br-ex", "", ""),
        ("_0000:88:00.0", "", ""),
    ],
)
def test_device_in_name(name: str, host: str, address: str) -> None:
    """Only the provider of a function has a host's name and an address in its name."""
    assert device_in_name(name) == (host, address)
