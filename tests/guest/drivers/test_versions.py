"""Versions of drivers and kernels, compared by their numbers."""

from __future__ import annotations

import pytest

from wholecard.guest.drivers.versions import is_within, kernel_has_change, numbers


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("550.163.01-2", (550, 163, 1)),
        ("3:580.65.06-1.el9", (580, 65, 6)),
        ("6.12.118+deb13-amd64", (6, 12, 118)),
        ("6.8.0-45-generic", (6, 8, 0)),
        ("", ()),
        ("next", ()),
    ],
)
def test_numbers(version: str, expected: tuple[int, ...]) -> None:
    """An epoch, a revision and words do not count."""
    assert numbers(version) == expected


def test_ranges() -> None:
    """A range has its first version and not the one that ends it."""
    assert is_within("580.126.08", "580", "580.126.09")
    assert not is_within("580.126.09", "580", "580.126.09")
    assert not is_within("570.211.01", "580", "580.126.09")


@pytest.mark.parametrize(
    ("release", "has"),
    [
        ("6.12.96+deb13-amd64", False),
        ("6.12.97", True),
        ("6.12.118+deb13-amd64", True),
        ("6.13.5", False),
        ("6.18.39", False),
        ("6.18.40", True),
        ("6.19.0", True),
        ("7.0.0-30-generic", True),
        ("5.14.0-687.el9", False),
        ("", False),
    ],
)
def test_a_change_in_stable_series(release: str, has: bool) -> None:
    """A change is in a series from one release on, and in every series from one on."""
    assert kernel_has_change(release, ("6.12.97", "6.18.40"), "6.19") is has
