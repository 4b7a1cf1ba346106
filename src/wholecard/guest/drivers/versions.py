"""Versions of drivers and kernels, compared by their numbers."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"\d+")
_LEADING = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)")


def numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning: `550.163.01-2` is (550, 163, 1), `6.12.118+deb13` (6, 12, 118).

    An epoch is left out; empty where the text begins with no number.
    """
    match = _LEADING.match(version)
    return tuple(int(text) for text in _NUMBERS.findall(match[1])) if match else ()


def is_within(version: str, first: str, before: str) -> bool:
    """Whether a version is `first` or newer, and older than `before`."""
    return numbers(first) <= numbers(version) < numbers(before)


def kernel_has_change(release: str, series_firsts: tuple[str, ...], all_from: str) -> bool:
    """Whether a kernel has a change that came into some stable series and into all from one on.

    `6.12.97` in `series_firsts` means 6.12.97 and all later ones of 6.12. A release without a third
    number (Ubuntu's `6.8.0-45-generic` says 0) of a series in the list is taken as older.
    """
    kernel = numbers(release)
    if len(kernel) < 2:
        return False
    for first in map(numbers, series_firsts):
        if kernel[:2] == first[:2]:
            return kernel >= first
    return kernel[:2] >= numbers(all_from)
