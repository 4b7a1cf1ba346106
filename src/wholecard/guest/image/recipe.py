"""What is put into a guest's image: one recipe, which every writer turns into the same files.

A recipe is an ordered list of steps, each with its reason, as a host's plan is. Writers are
`virt-customize`, cloud-config at the first boot, and a root in a sandbox; a step has no other
meaning in one of them. Repositories become files and packages become commands in `package_tools.py`
alone, so that the writers cannot differ in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GuestOs:
    """A guest's operating system, as its /etc/os-release names it (os-release(5)).

    `id` is `ID` (`debian`, `ubuntu`, `rocky`), `version` is `VERSION_ID` (`13`, `24.04`, `9.6`).
    """

    id: str
    version: str

    @property
    def name(self) -> str:
        """`ubuntu-24.04`: how a site file and a command line write it."""
        return f"{self.id}-{self.version}"


@dataclass(frozen=True)
class AddRepository:
    """A repository of packages, and the key that signs it.

    `name` is that of its files (letters, digits, `.`, `_`, `-`). For deb packages `suites` and
    `components` are those of sources.list(5); for rpm both are empty. `key` is an ASCII-armored
    OpenPGP key; None only where the image trusts the repository's key already.
    """

    name: str
    uri: str
    reason: str
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True)
class InstallPackages:
    """Packages by name, `name=version` where one version is meant; no recommended ones."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class HoldPackages:
    """Packages that later upgrades leave as they are (apt-mark hold, dnf versionlock)."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class WriteGuestFile:
    """A whole file: an absolute path, its content, its mode; its owner is root."""

    path: str
    content: bytes
    reason: str
    mode: int = 0o644


@dataclass(frozen=True)
class RunInGuest:
    """A command as an argument list, run as root in the image, after all steps before it."""

    argv: tuple[str, ...]
    reason: str


Step = AddRepository | InstallPackages | HoldPackages | WriteGuestFile | RunInGuest


@dataclass(frozen=True)
class Recipe:
    """All steps for one image, in their order, for one operating system.

    `room_bytes` is what the steps need on the image's disk, measured or from the table of sizes in
    `sizes.py`; None is not known.
    """

    os: GuestOs
    steps: tuple[Step, ...]
    room_bytes: int | None = None
