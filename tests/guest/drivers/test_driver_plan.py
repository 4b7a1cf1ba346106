"""Drivers chosen for cards and systems, with their steps and findings."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from wholecard.core import Severity, UsageError
from wholecard.guest.drivers.driver_plan import DriverPlan, DriverRequest, driver_plan
from wholecard.guest.drivers.generation import Card, generation_of
from wholecard.guest.drivers.known_drivers import SYSTEMS
from wholecard.guest.drivers.systems import guest_os, system_of
from wholecard.guest.image.package_tools import guest_changes
from wholecard.guest.image.recipe import (
    AddRepository,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    WriteGuestFile,
)

H100, V100, B200, MI300X, FLEX = "10de:2330", "10de:1db4", "10de:2901", "1002:74a1", "8086:56c0"


def _card(ids: str) -> Card:
    vendor, device = ids.split(":")
    return Card(ids, "", generation_of(vendor, device, ""))


def _plan(os: str, *ids: str, **more: Any) -> DriverPlan:
    cards = tuple(map(_card, ids))
    return driver_plan(DriverRequest(cards, guest_os(os), date(2026, 11, 30), **more))


def _kinds(plan: DriverPlan) -> list[str]:
    """What the steps do, in a word each."""
    words: dict[type, Any] = {
        AddRepository: lambda step: f"repository {step.name}",
        InstallPackages: lambda step: f"install {' '.join(step.names)}",
        HoldPackages: lambda step: f"hold {' '.join(step.names)}",
        WriteGuestFile: lambda step: f"write {step.path}",
        RunInGuest: lambda step: f"run {step.argv[0]} {step.argv[1]}",
    }
    return [words[type(step)](step) for step in plan.steps]


def test_ubuntu_takes_signed_modules() -> None:
    """Ubuntu's prebuilt modules need no compiler, no repository, and pass Secure Boot."""
    plan = _plan("ubuntu-24.04", H100, secure_boot=True)
    assert _kinds(plan) == [
        "write /etc/modprobe.d/wholecard-nouveau.conf",
        "install linux-modules-nvidia-580-server-open-generic "
        "nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server",
        "run update-initramfs -u",
    ]
    assert plan.findings == ()


def test_volta_takes_the_proprietary_module() -> None:
    """A V100, alone or beside an H100, gets the proprietary module of 580."""
    for ids in ((V100,), (V100, H100)):
        names = next(s.names for s in _plan("ubuntu-22.04", *ids).steps
                     if isinstance(s, InstallPackages))  # fmt: skip
        assert names[0] == "linux-modules-nvidia-580-server-generic"


def test_debian_13_takes_nvidias_repository() -> None:
    """Debian's own 550 has no support and does not build: the choice is NVIDIA's 580, by DKMS."""
    plan = _plan("debian-13", H100)
    assert _kinds(plan) == [
        "write /etc/modprobe.d/wholecard-nouveau.conf",
        "install ca-certificates curl gpg",
        "run sh -ec",
        "repository cuda-debian13",
        "install nvidia-driver-pinning-580",
        "install linux-image-amd64",
        "run sh -ec",
        "run env DEBIAN_FRONTEND=noninteractive",
        "install linux-image-amd64 linux-headers-amd64",
        "install nvidia-driver-cuda nvidia-kernel-open-dkms",
        "hold nvidia-driver-cuda nvidia-kernel-open-dkms",
        "run update-initramfs -u",
    ]
    assert plan.findings == ()
    assert plan.kernel == "6.12.118"


def test_debians_own_driver_is_known_to_fail() -> None:
    """Debian 13's own packages are refused before a build, with the patch offered."""
    plan = _plan("debian-13", H100, origin="debian")
    assert [finding.rule for finding in plan.findings] == ["WC424", "WC420"]
    old = _plan("debian-13", H100, origin="debian", kernel="6.12.90+deb13-amd64")
    assert [finding.rule for finding in old.findings] == ["WC424"]


def test_the_patch_is_written_before_the_build() -> None:
    """With the patch the pair is no finding, and both its files come before the package."""
    plan = _plan("debian-13", H100, origin="debian", patch=True)
    assert [finding.rule for finding in plan.findings] == ["WC424"]
    kinds = _kinds(plan)
    patch = kinds.index(
        "write /usr/src/nvidia-current-open-550.163.01/patches/pci_resize_resource.patch"
    )
    assert kinds[patch + 1] == "write /etc/dkms/nvidia-current-open.conf"
    assert "nvidia-open-kernel-dkms" in kinds[patch + 2]


def test_el_streams_and_versionlock() -> None:
    """Families 8 and 9 enable the branch's module stream; 10 locks the version."""
    nine = [s.argv for s in _plan("rocky-9.6", H100).steps if isinstance(s, RunInGuest)]
    assert ("dnf", "-y", "module", "enable", "nvidia-driver:580-open") in nine
    own = [s.argv for s in _plan("rhel-9.4", V100).steps if isinstance(s, RunInGuest)]
    assert ("dnf", "-y", "module", "enable", "nvidia-driver:580-dkms") in own
    key = {"cuda-rhel10": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}
    ten = [s.argv for s in _plan("rocky-10.0", H100, keys=key).steps if isinstance(s, RunInGuest)]
    assert ("dnf", "versionlock", "add", "*nvidia*580*") in ten


def test_a_key_is_given_or_checked() -> None:
    """A given key is the repository's; a fetched one has a fingerprint, or is refused."""
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    plan = _plan("debian-13", H100, keys={"cuda-debian13": key})
    added = next(s for s in plan.steps if isinstance(s, AddRepository))
    assert added.key == key
    assert not any("8793F200.pub" in " ".join(s.argv) for s in plan.steps
                   if isinstance(s, RunInGuest))  # fmt: skip
    with pytest.raises(UsageError, match="key of the repository cuda-rhel10 must be given"):
        _plan("rocky-10.0", H100)


def test_cards_that_exclude_each_other() -> None:
    """A V100 and a B200 cannot be in one guest: both needs are named, and there are no steps."""
    plan = _plan("ubuntu-24.04", V100, B200)
    assert [finding.rule for finding in plan.findings] == ["WC421"]
    assert "10de:1db4, Volta needs proprietary modules" in plan.findings[0].message
    assert plan.steps == ()


def test_a_branch_that_is_not_on_offer() -> None:
    """A named branch that the cards or the packages exclude is a finding, not another choice."""
    excluded = _plan("ubuntu-24.04", V100, branch=595)
    assert [finding.rule for finding in excluded.findings] == ["WC421"]
    assert "fits (595): 10de:1db4" in excluded.findings[0].message
    missing = _plan("ubuntu-24.04", B200, branch=620)
    assert "fits (there is no 620): 10de:2901" in missing.findings[0].message
    assert _plan("ubuntu-24.04", B200, branch=595).choices[0].text == (
        "NVIDIA 595, open kernel modules, prebuilt and signed (ubuntu)"
    )
    with pytest.raises(UsageError, match="no branch 999"):
        _plan("ubuntu-24.04", B200, branch=999)


def test_secure_boot_and_dkms() -> None:
    """A module that DKMS builds is refused where guests have Secure Boot."""
    plan = _plan("rocky-9.6", H100, secure_boot=True)
    assert [finding.rule for finding in plan.findings] == ["WC423"]


def test_the_cloud_kernel_is_replaced() -> None:
    """The cloud kernel is a note, for the steps install another one and remove it."""
    plan = _plan("debian-13", MI300X, kernel="6.12.118+deb13-cloud-amd64")
    assert [(f.rule, f.severity) for f in plan.findings] == [("WC422", Severity.NOTE)]
    assert _kinds(plan)[0] == "repository debian-13-nonfree"
    assert "install linux-image-amd64 firmware-amd-graphics" in _kinds(plan)


def test_two_vendors_in_one_guest() -> None:
    """Each vendor has its own driver, and a step that both need is there once."""
    plan = _plan("debian-13", H100, MI300X)
    assert [choice.text for choice in plan.choices] == [
        "NVIDIA 580, open kernel modules, built by DKMS (nvidia-debian-13)",
        "AMD, the kernel's own driver",
    ]
    assert len(plan.steps) == len(set(plan.steps))


def test_an_unknown_card() -> None:
    """A card of no known generation is a finding that says what to renew."""
    plan = _plan("ubuntu-24.04", "10de:4fff")
    assert [finding.rule for finding in plan.findings] == ["WC425"]
    assert "pci.ids" in plan.findings[0].fix


@pytest.mark.parametrize("system", [row.key for row in SYSTEMS])
@pytest.mark.parametrize("ids", [H100, V100, MI300X, FLEX])
def test_every_system_serves_every_vendor(system: str, ids: str) -> None:
    """Each row gives steps that the writers can carry out, and names no template."""
    os = guest_os(system.replace("el-", "rocky-"))
    key = {"cuda-rhel10": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}
    plan = _plan(os.name, ids, keys=key)
    assert plan.choices
    for change in guest_changes(Recipe(os, plan.steps)):
        words = change.argv if isinstance(change, RunInGuest) else (change.path,)
        assert not [word for word in words if "{" in word]


@pytest.mark.parametrize("text", ["trixie", "debian", "Debian 13", "ubuntu-24.04.1.2", "\x1b-1"])
def test_what_is_no_system(text: str) -> None:
    """A name of another form is refused."""
    with pytest.raises(UsageError, match="is not an operating system"):
        guest_os(text)


def test_a_system_without_a_row() -> None:
    """A system that the table does not have is named with those that it has."""
    with pytest.raises(UsageError, match="does not have debian-11") as caught:
        system_of(guest_os("debian-11"))
    assert "debian-12, debian-13" in caught.value.details
    assert system_of(guest_os("almalinux-9.4")).key == "el-9"
