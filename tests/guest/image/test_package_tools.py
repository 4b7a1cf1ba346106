"""Repositories as files and packages as commands, for apt and for dnf."""

from __future__ import annotations

import pytest

from wholecard.core import UsageError
from wholecard.guest.image.package_tools import guest_changes
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)

UBUNTU, ROCKY = GuestOs("ubuntu", "24.04"), GuestOs("rocky", "9.6")
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300")
KEEP = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
CUDA = AddRepository("cuda", "https://a.example/x86_64", "CUDA", ("/",), (), "KEY")
NOBLE = AddRepository("more", "http://b.example", "more", ("noble", "noble-updates"), ("main",))

# A recipe's system and steps, and the files and commands that they are.
CASES: list[tuple[GuestOs, tuple[Step, ...], tuple[Step, ...]]] = [
    (UBUNTU, (CUDA,), (
        WriteGuestFile("/etc/apt/keyrings/cuda.asc", b"KEY\n", "the key that signs cuda"),
        WriteGuestFile(
            "/etc/apt/sources.list.d/cuda.sources",
            b"Types: deb\nURIs: https://a.example/x86_64\nSuites: /\n"
            b"Signed-By: /etc/apt/keyrings/cuda.asc\n", "CUDA"))),
    (UBUNTU, (NOBLE,), (
        WriteGuestFile(
            "/etc/apt/sources.list.d/more.sources",
            b"Types: deb\nURIs: http://b.example\nSuites: noble noble-updates\nComponents: main\n",
            "more"),)),
    (ROCKY, (CUDA,), (
        WriteGuestFile("/etc/pki/rpm-gpg/RPM-GPG-KEY-cuda", b"KEY\n", "the key that signs cuda"),
        WriteGuestFile(
            "/etc/yum.repos.d/cuda.repo",
            b"[cuda]\nname=cuda\nbaseurl=https://a.example/x86_64\nenabled=1\ngpgcheck=1\n"
            b"gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-cuda\n", "CUDA"))),
    (UBUNTU, (InstallPackages(("a", "b=1.2"), "why"), InstallPackages(("c",), "and")), (
        RunInGuest((*APT, "update"), "read the package lists of all repositories"),
        RunInGuest((*APT, *KEEP, "install", "--yes", "--no-install-recommends", "a", "b=1.2"),
                   "why"),
        RunInGuest((*APT, *KEEP, "install", "--yes", "--no-install-recommends", "c"), "and"),
        RunInGuest(("apt-get", "clean"), "the downloaded packages are not needed any more"))),
    (ROCKY, (InstallPackages(("a", "b=1.2"), "why"),), (
        RunInGuest(("dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False", "a",
                    "b-1.2"), "why"),
        RunInGuest(("dnf", "clean", "all"), "the downloaded packages are not needed any more"))),
    (UBUNTU, (HoldPackages(("a",), "stays"),), (RunInGuest(("apt-mark", "hold", "a"), "stays"),)),
    (ROCKY, (HoldPackages(("a=1", "b*"), "stays"),), (
        RunInGuest(("dnf", "install", "--assumeyes", "dnf-command(versionlock)"),
                   "dnf's plugin that holds packages"),
        RunInGuest(("dnf", "versionlock", "add", "a-1", "b*"), "stays"))),
]  # fmt: skip


@pytest.mark.parametrize(("os", "steps", "changes"), CASES)
def test_changes(os: GuestOs, steps: tuple[Step, ...], changes: tuple[Step, ...]) -> None:
    """Each kind of step has its files and commands in each system, with its own reason."""
    assert guest_changes(Recipe(os, steps)) == changes


def test_lists_are_read_again_after_a_repository() -> None:
    """A repository that is added between two installations is known to the second one."""
    steps = (InstallPackages(("a",), ""), CUDA, InstallPackages(("b",), ""))
    changes = guest_changes(Recipe(UBUNTU, steps))
    commands = [change.argv[5] for change in changes if isinstance(change, RunInGuest)
                and len(change.argv) > 5]  # fmt: skip
    assert commands == ["update", "-o", "update", "-o"]


WRONG: list[tuple[GuestOs, Step, str]] = [
    (GuestOs("suse", "15"), InstallPackages(("a",), ""), "package tool of 'suse-15'"),
    (UBUNTU, InstallPackages(("--yes",), ""), "'--yes' is not a package's name"),
    (UBUNTU, InstallPackages(("a b",), ""), "'a b' is not a package's name"),
    (UBUNTU, HoldPackages(("a;b",), ""), "'a;b' is not a package's name"),
    (UBUNTU, AddRepository("../x", "https://a", ""), "cannot be named '../x'"),
    (ROCKY, AddRepository("x", "https://a\nenabled=0", ""), "has the address"),
    (ROCKY, AddRepository("x", "ftp://a", ""), "has the address 'ftp://a'"),
]


@pytest.mark.parametrize(("os", "step", "words"), WRONG)
def test_refused(os: GuestOs, step: Step, words: str) -> None:
    """A name that a file or a command must not have is refused, and says which."""
    with pytest.raises(UsageError, match=words):
        guest_changes(Recipe(os, (step,)))
