"""A guest's operating system as a row of the table: by its name on a command line."""

from __future__ import annotations

import re

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.plain_text import plain
from wholecard.guest.drivers.known_drivers import SYSTEMS
from wholecard.guest.drivers.records import System
from wholecard.guest.image.recipe import GuestOs

# One family, one set of repositories: their major version alone counts.
_EL = frozenset({"rhel", "rocky", "almalinux", "centos", "ol", "el"})
_NAME = re.compile(r"([a-z]{2,20})-(\d{1,3}(?:\.\d{1,3})?)")


def guest_os(text: str) -> GuestOs:
    """`ubuntu-24.04` or `rocky-9.6` as a GuestOs. Raises UsageError for another form."""
    match = _NAME.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(
            f"{plain(text[:80])!r} is not an operating system",
            resolution="Write ID-VERSION_ID of /etc/os-release: ubuntu-24.04, debian-13, rocky-9.",
        )
    return GuestOs(match[1], match[2])


def system_of(os: GuestOs) -> System:
    """The row of this system. Raises UsageError where the table has none."""
    key = f"el-{os.version.partition('.')[0]}" if os.id in _EL else os.name
    row = next((row for row in SYSTEMS if row.key == key), None)
    if row is None:
        known = [each.key.replace("el-", "rocky-") for each in SYSTEMS]
        raise UsageError(
            f"the table of drivers does not have {plain(os.name[:80])}",
            f"It has {', '.join(known)}; rhel, almalinux, centos and ol count as rocky.",
            did_you_mean(os.name, known) or "Name another system, or write the steps yourself.",
        )
    return row
