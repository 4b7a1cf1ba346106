"""The OpenStack releases, from Mitaka to 2026.2, by name, by series and by nova's major version.

Source: releases.openstack.org; nova's tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean


@dataclass(frozen=True, order=True)
class Release:
    """One release: nova's major version (13 to 34), the series, and the code name in lower case.

    Until Zed the series is the code name. Releases compare by their order in time.
    """

    nova: int
    series: str
    name: str

    def __str__(self) -> str:
        return self.series


def _release(nova: int, name: str, series: str = "") -> Release:
    return Release(nova, series or name, name)


RELEASES: tuple[Release, ...] = (
    _release(13, "mitaka"), _release(14, "newton"), _release(15, "ocata"), _release(16, "pike"),
    _release(17, "queens"), _release(18, "rocky"), _release(19, "stein"), _release(20, "train"),
    _release(21, "ussuri"), _release(22, "victoria"), _release(23, "wallaby"),
    _release(24, "xena"), _release(25, "yoga"), _release(26, "zed"),
    _release(27, "antelope", "2023.1"), _release(28, "bobcat", "2023.2"),
    _release(29, "caracal", "2024.1"), _release(30, "dalmatian", "2024.2"),
    _release(31, "epoxy", "2025.1"), _release(32, "flamingo", "2025.2"),
    _release(33, "gazpacho", "2026.1"), _release(34, "2026.2"),
)  # fmt: skip
FIRST, LATEST = RELEASES[0], RELEASES[-1]

_VERSION = re.compile(r"(?:nova[ =]*)?(\d\d)(?:\.\d+)*")


def release(text: str) -> Release:
    """The release that a person means: `2025.2`, `flamingo`, `32`, `32.1.0` or `nova 32`.

    Raises UsageError, with the nearest right name.
    """
    name = text.strip().lower()
    by_name = {key: known for known in RELEASES for key in (known.series, known.name)}
    if name in by_name:
        return by_name[name]
    version = _VERSION.fullmatch(name)
    major = int(version[1]) if version else 0
    if FIRST.nova <= major <= LATEST.nova:
        return RELEASES[major - FIRST.nova]
    raise UsageError(
        f"Wholecard knows no OpenStack release {text!r}",
        f"It knows {FIRST.series.capitalize()} (nova {FIRST.nova}) to {LATEST} "
        f"(nova {LATEST.nova}): {', '.join(known.series for known in RELEASES)}.",
        did_you_mean(name, by_name) or "Write the series or nova's version.",
    )
