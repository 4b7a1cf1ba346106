"""The table of drivers agrees with itself."""

from __future__ import annotations

from wholecard.guest.drivers.known_drivers import (
    AS_OF,
    BRANCHES,
    BROKEN_PAIRS,
    GENERATIONS,
    PACKAGE_SETS,
    REPOSITORIES,
    SYSTEMS,
)
from wholecard.guest.drivers.versions import numbers


def test_every_row_has_a_source() -> None:
    """No fact is without where it comes from, and none is younger than the table."""
    rows = (*GENERATIONS, *BRANCHES, *SYSTEMS, *REPOSITORIES, *PACKAGE_SETS, *BROKEN_PAIRS)
    assert [row for row in rows if not row.source.text or row.source.read > AS_OF] == []


def test_names_lead_somewhere() -> None:
    """Package sets name systems, repositories and branches that have rows."""
    systems = {row.key for row in SYSTEMS}
    repositories = {row.name for row in REPOSITORIES}
    branches = {row.number for row in BRANCHES}
    for row in PACKAGE_SETS:
        assert systems >= set(row.systems)
        assert branches >= set(row.branches)
        named = {
            name.format(version=system.partition("-")[2])
            for name in row.repositories
            for system in row.systems
        }
        assert named <= repositories


def test_fingerprints_are_whole() -> None:
    """A fingerprint has 40 hex digits, and one that is not known is empty."""
    for row in REPOSITORIES:
        assert row.fingerprint == "" or len(bytes.fromhex(row.fingerprint)) == 20
        assert not row.fingerprint or row.key_url


def test_broken_ranges_are_in_order() -> None:
    """Each range of drivers ends after it begins, and not after the fix."""
    for row in BROKEN_PAIRS:
        for first, before in row.drivers:
            assert numbers(first) < numbers(before) <= numbers(row.fixed_in)
