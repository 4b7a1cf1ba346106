"""A profile: a name in a site file for steps that Wholecard knows, such as a vendor's driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Finding
from wholecard.guest.image.recipe import GuestOs, Step


@dataclass(frozen=True)
class DriverSettings:
    """What a site file says of a card's driver: `images.NAME.build.driver`.

    `branch` is a vendor's branch (`580`), None for the profile's own choice. `flavour` is `open`,
    `proprietary` or `auto`; `cuda` is `none`, `runtime` or `toolkit`. `key` is the armored key that
    signs the vendor's repository, None where the table's fingerprint checks a fetched one.
    """

    branch: str | None = None
    flavour: str = "auto"
    cuda: str = "none"
    key: str | None = None


@dataclass(frozen=True)
class ProfileSettings:
    """What a profile is made from besides the operating system.

    `cards` are the ids `vendor:product` (`10de:2330`) of the cards that guests of the image may
    get, as far as the site file names them, sorted. `secure_boot` is whether the guest's firmware
    loads signed modules only.
    """

    driver: DriverSettings = DriverSettings()
    cards: tuple[str, ...] = ()
    secure_boot: bool = False


def _no_findings(_os: GuestOs, _settings: ProfileSettings) -> tuple[Finding, ...]:
    return ()


@dataclass(frozen=True)
class Profile:
    """A profile: `meaning` is for the help; `steps` and `findings` are pure.

    `steps` raises UsageError where the system or the settings cannot be served; `findings` are
    what is known to go wrong with them, and an error among them prevents a build. `look` says what
    is wrong in the root of an image in which the steps were carried out; it raises WholecardError
    where that cannot be read, and is None where there is nothing to look for.
    """

    name: str
    meaning: str
    steps: Callable[[GuestOs, ProfileSettings], tuple[Step, ...]]
    findings: Callable[[GuestOs, ProfileSettings], tuple[Finding, ...]] = _no_findings
    look: Callable[[GuestOs, ProfileSettings, Path], tuple[Finding, ...]] | None = None
