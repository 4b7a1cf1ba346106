"""What differs between releases."""

from __future__ import annotations

from wholecard.core.capabilities import Capability
from wholecard.nova.match import rules_for


def test_switches() -> None:
    """A switch that came with a release is off before it and on from it."""
    values = [rules_for(major).has(Capability.VDPA) for major in (13, 22, 23, 34)]
    assert values == [False, False, True, True]


def test_keys_and_policies() -> None:
    """An alias has the keys and the policies of its release."""
    assert "numa_policy" not in rules_for(16).alias_keys
    assert "live_migratable" in rules_for(31).alias_keys - rules_for(30).alias_keys
    assert rules_for(16).numa_policies == ()
    assert rules_for(22).numa_policies == ("required", "preferred", "legacy")
    assert rules_for(23).numa_policies == ("required", "preferred", "legacy", "socket")


def test_settings_that_are_not_there_yet() -> None:
    """A setting is off where the release does not have it."""
    zed = rules_for(26, report_in_placement=True, pci_in_placement=True)
    assert (zed.report_in_placement, zed.pci_in_placement) == (True, False)
    assert not rules_for(25, report_in_placement=True).report_in_placement


def test_other_releases() -> None:
    """A release that is older or newer than we know goes by the nearest one's rules."""
    assert rules_for(12) == rules_for(13)
    assert rules_for(35) == rules_for(34)
