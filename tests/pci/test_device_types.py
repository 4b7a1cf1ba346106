"""The words for types of devices and NUMA policies."""

from __future__ import annotations

from typing import get_args

from wholecard.pci.device_types import DEVICE_TYPES, NUMA_POLICIES, NumaPolicy, PciDeviceType


def test_an_alias_names_every_type_but_vdpa() -> None:
    """nova has one type more than an alias may name."""
    assert set(get_args(PciDeviceType)) - set(DEVICE_TYPES) == {"vdpa"}


def test_policies() -> None:
    """The tuple is the type's own words."""
    assert get_args(NumaPolicy) == NUMA_POLICIES
