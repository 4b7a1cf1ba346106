"""What nova can do since which release."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import FIRST, LATEST, RELEASES, release

SINCE = {
    Capability.ADDRESS_REGEX: "ocata",
    Capability.PLACEMENT_ALONE: "stein",
    Capability.WIDE_DOMAIN_SKIPPED: "ussuri",
    Capability.SOCKET_POLICY: "wallaby",
    Capability.VDPA: "wallaby",
    Capability.REMOTE_MANAGED: "yoga",
    Capability.REPORT_IN_PLACEMENT: "zed",
    Capability.PCI_IN_PLACEMENT: "2023.1",
    Capability.POOLS_BY_PROVIDER: "2023.1",
    Capability.UNIFIED_LIMITS: "2023.2",
    Capability.GUEST_ADDRESS_WIDTH: "2024.1",
    Capability.ONE_POOL_PER_PROVIDER: "2024.1",
    Capability.WIDE_PROVIDER_TREES: "2024.2",
    Capability.LIVE_MIGRATABLE: "2025.1",
    Capability.ALIASES_CHECKED: "2025.1",
    Capability.ONE_TIME_USE: "2025.2",
    Capability.MARKED_PROVIDERS: "2026.2",
    Capability.CARDS_COUNTED: "2026.2",
}


def test_every_row_is_a_fact_with_a_source() -> None:
    """Each says what it is and where that is known from, and came after the first release."""
    for capability in Capability:
        assert capability.what, capability
        assert "/" in capability.source or capability.source.startswith("nova "), capability
        assert FIRST.nova < capability.since <= LATEST.nova, capability
        assert capability.gone is None or capability.since < capability.gone <= LATEST.nova


def test_no_two_rows_are_the_same_fact() -> None:
    """Two rooms that ask about the same thing ask the same row."""
    assert len({capability.what for capability in Capability}) == len(Capability)


def test_known_facts() -> None:
    """What came with a release is not there before it and is there from it on."""
    for capability, series in SINCE.items():
        assert capability.series == series.capitalize()
        assert [has(each, capability) for each in RELEASES] == [
            each >= release(series) for each in RELEASES
        ], capability


def test_what_went_again() -> None:
    """From Wallaby to Yoga alone the requests of a server did not see each other's devices."""
    there = [each.series for each in RELEASES if has(each, Capability.SHARED_BETWEEN_REQUESTS)]
    assert there == ["wallaby", "xena", "yoga"]


def test_by_number() -> None:
    """nova's major version does as well as the release."""
    assert not has(26, Capability.PCI_IN_PLACEMENT)
    assert has(27, Capability.PCI_IN_PLACEMENT)
