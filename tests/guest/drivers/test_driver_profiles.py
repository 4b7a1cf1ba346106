"""The profiles `nvidia`, `amd` and `intel` of an image."""

from __future__ import annotations

import pytest

from wholecard.core import UsageError
from wholecard.guest.image.profile import DriverSettings, ProfileSettings
from wholecard.guest.image.profiles import profile_named
from wholecard.guest.image.recipe import AddRepository, GuestOs, InstallPackages

UBUNTU, DEBIAN = GuestOs("ubuntu", "24.04"), GuestOs("debian", "13")
CARDS = ("1002:74a1", "10de:2330")


def _installed(name: str, os: GuestOs, settings: ProfileSettings) -> list[str]:
    steps = profile_named(name).steps(os, settings)
    return [package for step in steps if isinstance(step, InstallPackages)
            for package in step.names]  # fmt: skip


def test_each_profile_takes_its_vendors_cards() -> None:
    """Of the site's cards a profile looks at its own vendor's."""
    settings = ProfileSettings(cards=CARDS)
    assert _installed("amd", UBUNTU, settings) == ["linux-image-generic", "linux-firmware"]
    assert "nvidia-utils-580-server" in _installed("nvidia", UBUNTU, settings)
    with pytest.raises(UsageError, match="no flavor with cards of Intel"):
        profile_named("intel").steps(UBUNTU, settings)


def test_settings_of_the_driver() -> None:
    """Branch, flavour and CUDA of the site file are those of the packages."""
    driver = DriverSettings(branch="595", flavour="proprietary", cuda="toolkit")
    names = _installed("nvidia", UBUNTU, ProfileSettings(driver, CARDS))
    assert names[0] == "linux-modules-nvidia-595-server-generic"
    assert names[-1] == "nvidia-cuda-toolkit"
    debian = _installed("nvidia", DEBIAN, ProfileSettings(DriverSettings(cuda="toolkit"), CARDS))
    assert debian[-1] == "cuda-toolkit-13"


def test_settings_that_cannot_be() -> None:
    """A branch that is no number, and a run time that an origin does not have, are refused."""
    with pytest.raises(UsageError, match="'latest' is no branch"):
        profile_named("nvidia").steps(
            UBUNTU, ProfileSettings(DriverSettings(branch="latest"), CARDS)
        )
    with pytest.raises(UsageError, match="no CUDA run time apart"):
        profile_named("nvidia").steps(
            UBUNTU, ProfileSettings(DriverSettings(cuda="runtime"), CARDS)
        )


def test_a_key_of_the_site() -> None:
    """A system whose key has no known fingerprint is served with the site's own key, and fetches
    none."""
    rocky = GuestOs("rocky", "10")
    with pytest.raises(UsageError, match="key of the repository cuda-rhel10 must be given") as said:
        profile_named("nvidia").steps(rocky, ProfileSettings(cards=CARDS))
    assert "build.driver.key in the site file" in said.value.resolution
    settings = ProfileSettings(DriverSettings(key="the key"), CARDS)
    steps = profile_named("nvidia").steps(rocky, settings)
    (repository,) = (step for step in steps if isinstance(step, AddRepository))
    assert (repository.name, repository.key) == ("cuda-rhel10", "the key")
    assert not any("curl" in str(step) for step in steps)


def test_findings_prevent_a_build() -> None:
    """Secure Boot and a module that DKMS builds do not go together."""
    settings = ProfileSettings(cards=CARDS, secure_boot=True)
    profile = profile_named("nvidia")
    assert [finding.rule for finding in profile.findings(DEBIAN, settings)] == ["WC423"]
    assert profile.findings(UBUNTU, settings) == ()
