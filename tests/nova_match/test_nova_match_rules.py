"""What differs between releases."""

from __future__ import annotations

from wholecard.nova.match import NEWEST, OLDEST, rules_for

FROM = {
    "address_may_be_regex": 15,
    "skips_wide_domains": 21,
    "has_vdpa": 23,
    "has_remote_managed": 25,
    "can_report": 26,
    "can_request": 27,
    "sorts_by_provider": 27,
    "one_pool_per_provider": 29,
    "has_live_migratable": 31,
    "checks_alias_ids": 31,
    "has_one_time_use": 32,
    "marks_providers": 34,
}


def test_switches() -> None:
    """A switch that came with a release is off before it and on from it."""
    for name, first in FROM.items():
        values = [getattr(rules_for(major), name) for major in range(OLDEST, NEWEST + 1)]
        assert values == [major >= first for major in range(OLDEST, NEWEST + 1)], name


def test_settings_that_are_not_there_yet() -> None:
    """A setting is off where the release does not have it."""
    zed = rules_for(26, report_in_placement=True, pci_in_placement=True)
    assert (zed.report_in_placement, zed.pci_in_placement) == (True, False)
    assert not rules_for(25, report_in_placement=True).report_in_placement


def test_other_releases() -> None:
    """A release that is older or newer than we know goes by the nearest one's rules."""
    assert rules_for(12) == rules_for(13)
    assert rules_for(35) == rules_for(34)
