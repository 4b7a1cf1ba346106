"""The profile `containers`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import UsageError
from wholecard.guest.drivers.containers import container_findings, container_steps, toolkit_finding
from wholecard.guest.image.package_tools import guest_changes
from wholecard.guest.image.profile import ProfileSettings
from wholecard.guest.image.profiles import PROFILES
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    InstallPackages,
    Recipe,
    RunInGuest,
    WriteGuestFile,
)

UBUNTU, ROCKY = GuestOs("ubuntu", "24.04"), GuestOs("rocky", "9.6")


def test_the_toolkit_only_for_nvidia() -> None:
    """NVIDIA's repository and toolkit come for NVIDIA's cards; the CDI service always."""
    amd = container_steps(UBUNTU, ProfileSettings(cards=("1002:74a1",)))
    assert not [step for step in amd if isinstance(step, AddRepository)]
    assert [step.path for step in amd if isinstance(step, WriteGuestFile)] == [
        "/usr/local/lib/wholecard/cdi",
        "/etc/systemd/system/wholecard-cdi.service",
    ]
    nvidia = container_steps(UBUNTU, ProfileSettings(cards=("10de:2330",)))
    assert [step.name for step in nvidia if isinstance(step, AddRepository)] == [
        "nvidia-container-toolkit"
    ]
    installed = [name for step in nvidia if isinstance(step, InstallPackages)
                 for name in step.names]  # fmt: skip
    assert "nvidia-container-toolkit" in installed


def test_a_podman_without_cdi() -> None:
    """A system whose podman does not know CDI is refused, with the version that it has."""
    with pytest.raises(UsageError, match=r"does not work on ubuntu-22\.04") as caught:
        container_steps(GuestOs("ubuntu", "22.04"), ProfileSettings(cards=("1002:74a1",)))
    assert caught.value.details.startswith("It is 3.4.4.")
    assert "ubuntu-24.04" in caught.value.resolution


@pytest.mark.parametrize(
    "system", [UBUNTU, ROCKY, GuestOs("debian", "12"), GuestOs("debian", "13")]
)
def test_the_writers_can_carry_it_out(system: GuestOs) -> None:
    """Each step becomes files and commands, and the script may be run."""
    steps = container_steps(system, ProfileSettings(cards=("10de:2330",)))
    changes = guest_changes(Recipe(system, steps))
    (script,) = [c for c in changes if isinstance(c, WriteGuestFile) and c.path.endswith("/cdi")]
    assert script.mode == 0o755


@pytest.mark.parametrize(
    ("version", "closed"),
    [("1.17.7", False), ("1.17.8", True), ("1.17.8-1", True), ("1.18.2", True), ("1.9", False)],
)
def test_the_hole(version: str, closed: bool, tmp_path: Path) -> None:
    """The finding and the check in the guest agree on which versions have the hole."""
    finding = toolkit_finding(version)
    assert (finding is None) is closed
    assert finding is None or finding.rule == "WC429"
    steps = container_steps(UBUNTU, ProfileSettings(cards=("10de:2330",)))
    (check,) = [s for s in steps if isinstance(s, RunInGuest) and "nvidia-ctk" in s.argv[2]]
    text = f"#!/bin/sh\necho NVIDIA Container Toolkit CLI version {version.partition('-')[0]}\n"
    grow(tmp_path, {"nvidia-ctk": (text + "echo commit: 1\n", 0o755)})
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = subprocess.run(
        check.argv, env={"PATH": path}, capture_output=True, timeout=30, check=False
    )
    assert (result.returncode == 0) is closed


@pytest.mark.parametrize(
    ("status", "version", "rules"),
    [("install ok installed", "1.17.7-1", ["WC429"]), ("hold ok installed", "1.17.7-1", ["WC429"]),
     ("install ok installed", "1.17.8-1", []), ("deinstall ok config-files", "1.17.7-1", [])],
)  # fmt: skip
def test_an_old_toolkit_in_a_tree(
    status: str, version: str, rules: list[str], tmp_path: Path
) -> None:
    """The version is that of dpkg's database, of the package itself and as long as it is there."""
    entry = "Package: {}\nStatus: {}\nPriority: optional\nArchitecture: amd64\nVersion: {}\n\n"
    text = entry.format("nvidia-container-toolkit-base", "install ok installed", "1.2.0-1")
    text += entry.format("nvidia-container-toolkit", status, version)
    text += entry.format("z", "install ok installed", "1.0")
    grow(tmp_path, {"var/lib/dpkg/status": text})
    found = container_findings(UBUNTU, ProfileSettings(), tmp_path)
    assert [finding.rule for finding in found] == rules


def test_a_tree_without_dpkg(tmp_path: Path) -> None:
    """Of another system's tree nothing is said."""
    assert container_findings(ROCKY, ProfileSettings(), tmp_path) == ()


def test_every_profile_has_its_row() -> None:
    """The drivers of three vendors, containers and the agent can be named in a site file."""
    names = [profile.name for profile in PROFILES]
    assert [
        name for name in ("nvidia", "amd", "intel", "containers", "agent") if name not in names
    ] == []
