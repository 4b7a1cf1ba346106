"""The profiles `nvidia`, `amd` and `intel` of an image: the drivers of the site's cards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from wholecard.core import Finding, UsageError
from wholecard.guest.drivers.driver_plan import DriverPlan, DriverRequest, driver_plan
from wholecard.guest.drivers.generation import VENDORS, cards_of
from wholecard.guest.drivers.known_drivers import AMD, INTEL, NVIDIA, REPOSITORIES
from wholecard.guest.drivers.records import Flavour
from wholecard.guest.drivers.tree_checks import tree_findings
from wholecard.guest.image.profile import Profile, ProfileSettings
from wholecard.guest.image.recipe import GuestOs, InstallPackages, Step
from wholecard.pci.ids import PciNames

# The packages of CUDA by origin; NVIDIA's names have the major version.
_TOOLKIT = {"ubuntu": "nvidia-cuda-toolkit", "debian": "nvidia-cuda-toolkit",
            "nvidia": "cuda-toolkit-{cuda}"}  # fmt: skip
# How the names of NVIDIA's repositories of drivers begin in the table.
_DRIVERS = "cuda-"
_RUNTIME = {"nvidia": "cuda-libraries-{cuda}-0"}


def profile_plan(vendor: str, os: GuestOs, settings: ProfileSettings) -> DriverPlan:
    """The plan for the vendor's cards among those of the settings.

    Raises UsageError where there is none, or where the system or a setting cannot be served.
    """
    ids = [card for card in settings.cards if card.startswith(f"{vendor}:")]
    if not ids:
        name = VENDORS[vendor]
        raise UsageError(
            f"the image has {name}'s driver, and no flavor with cards of {name} uses it",
            resolution="Name the cards in the site file, or remove the profile.",
        )
    driver = settings.driver
    if driver.branch is not None and not driver.branch.isdigit():
        raise UsageError(
            f"{driver.branch[:40]!r} is no branch of a driver",
            resolution="Write its number: 580.",
        )
    flavours: dict[str, Flavour | None] = {
        "auto": None, "open": "open", "proprietary": "proprietary",
    }  # fmt: skip
    return driver_plan(DriverRequest(
        cards_of(ids, PciNames("/")), os, date.today(),
        branch=int(driver.branch) if driver.branch else None,
        flavour=flavours.get(driver.flavour), secure_boot=settings.secure_boot,
        keys=_keys(driver.key)))  # fmt: skip


def _keys(key: str | None) -> dict[str, str]:
    """The key for each repository of NVIDIA's drivers; an image has one of them."""
    rows = (row.name for row in REPOSITORIES if row.name.startswith(_DRIVERS))
    return {} if key is None else dict.fromkeys(rows, key)


def _steps(vendor: str, os: GuestOs, settings: ProfileSettings) -> tuple[Step, ...]:
    plan = profile_plan(vendor, os, settings)
    return (*plan.steps, *_cuda_steps(plan, settings.driver.cuda))


def _findings(vendor: str, os: GuestOs, settings: ProfileSettings) -> tuple[Finding, ...]:
    return profile_plan(vendor, os, settings).findings


def _look(vendor: str, os: GuestOs, settings: ProfileSettings, root: Path) -> tuple[Finding, ...]:
    return tree_findings(root, profile_plan(vendor, os, settings))


def _cuda_steps(plan: DriverPlan, cuda: str) -> tuple[Step, ...]:
    choice = next((each for each in plan.choices if each.branch), None)
    if cuda == "none" or choice is None or choice.branch is None:
        return ()
    names = _TOOLKIT if cuda == "toolkit" else _RUNTIME
    origin = choice.packages.name.partition("-")[0]
    if origin not in names:
        raise UsageError(
            f"{origin}'s packages have no CUDA run time apart from the toolkit",
            resolution="Write cuda: toolkit, or cuda: none and install it from PyPI.",
        )
    name = names[origin].format(cuda=choice.branch.cuda)
    return (InstallPackages((name,), f"CUDA for the branch {choice.branch.number}"),)


def _profile(name: str, vendor: str) -> Profile:
    steps: Callable[[GuestOs, ProfileSettings], tuple[Step, ...]] = partial(_steps, vendor)
    return Profile(
        name, f"the driver for the site's cards of {VENDORS[vendor]}", steps,
        partial(_findings, vendor), partial(_look, vendor),
    )  # fmt: skip


DRIVER_PROFILES = (_profile("nvidia", NVIDIA), _profile("amd", AMD), _profile("intel", INTEL))
