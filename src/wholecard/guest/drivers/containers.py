"""The profile `containers`: podman, the vendor's toolkit, and a CDI specification at each boot.

A container gets a card by its CDI name: `podman run --device nvidia.com/gpu=0 …`, or
`--device wholecard.internal/card=0000:00:05.0 …` for the drivers of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from wholecard.core import Finding, Severity, UsageError
from wholecard.core.small_files import inside, read_bytes
from wholecard.guest.drivers.driver_steps import repository_steps
from wholecard.guest.drivers.known_drivers import NVIDIA
from wholecard.guest.drivers.systems import system_of
from wholecard.guest.drivers.versions import numbers
from wholecard.guest.image.profile import Profile, ProfileSettings
from wholecard.guest.image.recipe import (
    GuestOs,
    InstallPackages,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.pci.cdi_script import CDI_SCRIPT, SCRIPT_FILE, UNIT_NAME, unit_text

# CVE-2025-23266: all versions before this one. The repository has only newer ones today, and the
# check after the installation holds that a mirror has them too.
TOOLKIT_FIRST = "1.17.8"
# podman's release notes, 4.1.0: `--device` takes CDI names. Older ones read them as paths.
PODMAN_FIRST = "4.1"
# Systems of the table whose own podman is older: packages.ubuntu.com, jammy. Those of the others
# are newer; the oldest is Debian 12's 4.3.1 (packages.debian.org).
_OLD_PODMAN = {"ubuntu-22.04": "3.4.4"}
_TOOLKIT = ("nvidia-container-toolkit",)
_PACKAGES = "var/lib/dpkg/status"
# deb822: the fields of a package have no empty line between them.
_INSTALLED = re.compile(
    r"^Package: nvidia-container-toolkit\n(?:.+\n)*?Status: \S+ ok installed\n(?:.+\n)*?"
    r"Version: (\d[\w.~+:-]*)\n",
    re.MULTILINE,
)
_UNIT_FILE = f"/etc/systemd/system/{UNIT_NAME}"
# nvidia-ctk prints `NVIDIA Container Toolkit CLI version 1.18.2` first; sort(1), -V.
_CHECK = (
    'have=$(nvidia-ctk --version | sed -n "1s/.* //p"); '
    'test "$(printf "%s\\n" "$1" "$have" | sort -V | head -n 1)" = "$1" || '
    '{ echo "WC429: nvidia-container-toolkit $have is older than $1" >&2; exit 1; }'
)


def container_steps(os: GuestOs, settings: ProfileSettings) -> tuple[Step, ...]:
    """Podman, NVIDIA's toolkit where the guest's cards are NVIDIA's, and the CDI service.

    Raises UsageError for a system without a row in the table of drivers, and for one whose podman
    does not know CDI.
    """
    _require_podman(os)
    return tuple(_steps(os, settings))


def _require_podman(os: GuestOs) -> None:
    version = _OLD_PODMAN.get(system_of(os).key)
    if version is not None:
        raise UsageError(
            f"the profile containers does not work on {os.name}: its podman is too old",
            f"It is {version}. podman gives a card to a container by CDI since {PODMAN_FIRST}.",
            "Take a newer system for the image (ubuntu-24.04, debian-12), or leave the profile "
            "out and install Docker 25 or newer yourself.",
        )


def toolkit_finding(version: str) -> Finding | None:
    """WC429 for a version of the toolkit that has the hole; None where it is closed."""
    if numbers(version) >= numbers(TOOLKIT_FIRST):
        return None
    return Finding(
        "WC429", "nvidia-container-toolkit", Severity.ERROR,
        f"version {version} has a hole (CVE-2025-23266): a container can become root in the guest.",
        f"Install {TOOLKIT_FIRST} or newer.",
    )  # fmt: skip


def container_findings(_os: GuestOs, _settings: ProfileSettings, root: Path) -> tuple[Finding, ...]:
    """WC429 by dpkg's database in the root; rpm's is read by the recipe's own check alone."""
    entries = (read_bytes(inside(root, _PACKAGES)) or b"").decode(errors="replace")
    installed = _INSTALLED.search(entries)
    finding = toolkit_finding(installed[1]) if installed else None
    return (finding,) if finding else ()


def _steps(os: GuestOs, settings: ProfileSettings) -> Iterator[Step]:
    is_el = system_of(os).key.startswith("el-")
    names = ("podman",) if is_el else ("podman", "crun", "uidmap")
    yield InstallPackages(names, "podman reads CDI specifications by itself")
    if any(card.startswith(f"{NVIDIA}:") for card in settings.cards):
        yield from repository_steps(
            "nvidia-container-toolkit-rpm" if is_el else "nvidia-container-toolkit", {}
        )
        yield InstallPackages(
            _TOOLKIT, "nvidia-ctk writes the CDI specification of NVIDIA's cards at each boot"
        )
        yield RunInGuest(
            ("sh", "-ec", _CHECK, "sh", TOOLKIT_FIRST), "older versions have a hole: CVE-2025-23266"
        )
    yield WriteGuestFile(
        SCRIPT_FILE, CDI_SCRIPT.encode(), "writes the CDI specification of the other cards", 0o755
    )
    unit = f"{unit_text()}[Install]\nWantedBy=multi-user.target\n"
    yield WriteGuestFile(_UNIT_FILE, unit.encode(), "device numbers are new at each boot")
    yield RunInGuest(("systemctl", "enable", UNIT_NAME), "the script runs at each boot")


CONTAINERS_PROFILE = Profile(
    "containers",
    "podman, the vendor's toolkit and a CDI specification",
    container_steps,
    look=container_findings,
)
