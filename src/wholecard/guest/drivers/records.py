"""The rows of the table of drivers: what they say, and what their fields mean."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

# The two kinds of NVIDIA's kernel modules; for drivers of the kernel itself it is `in-box`.
Flavour = Literal["open", "proprietary"]
# How a module comes into the image: signed by the distribution, built in the image, or with the
# kernel itself.
Build = Literal["signed", "dkms", "in-box"]


@dataclass(frozen=True)
class Source:
    """Where a fact comes from, and the day on which it was read."""

    text: str
    read: datetime.date


@dataclass(frozen=True)
class Generation:
    """A generation of one vendor's GPUs, and which drivers know it.

    `chips` are beginnings of chip names as pci.ids writes them (`GH1`: GH100); `ids` are ranges of
    device ids, for a card that this machine's pci.ids does not have. `first_branch` and
    `last_branch` are the driver branches that know it; None is open-ended.
    """

    name: str
    vendor: str
    chips: tuple[str, ...]
    ids: tuple[tuple[int, int], ...]
    flavours: tuple[Flavour, ...]
    first_branch: int | None
    last_branch: int | None
    source: Source


@dataclass(frozen=True)
class Branch:
    """A branch of NVIDIA's driver.

    `ends` is the last day of its support, None where NVIDIA no longer lists the branch.
    """

    number: int
    kind: Literal["long-term", "production", "new feature"]
    ends: datetime.date | None
    flavours: tuple[Flavour, ...]
    cuda: int
    source: Source


@dataclass(frozen=True)
class Repository:
    """A repository of packages, as `recipe.AddRepository` has it, and where its key is.

    `key_url` is empty where the image trusts the key already; `fingerprint` is the key's, empty
    where not known.
    """

    name: str
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    key_url: str
    fingerprint: str
    source: Source


@dataclass(frozen=True)
class System:
    """A guest's operating system: its kernels, and how their headers are called.

    `key` is `debian-13`, or `el-9` for all of that family. `headers` are those of the kernel that
    `kernel` installs. `newest_kernel` is the newest release on offer on the day of the table, None
    where not known. `cloud_kernels` end the releases of kernels without drivers for GPUs.
    """

    key: str
    kernel: str
    headers: tuple[str, ...]
    newest_kernel: str | None
    cloud_kernels: tuple[str, ...]
    source: Source


@dataclass(frozen=True)
class PackageSet:
    """The packages of one origin that give a vendor's cards their driver in some systems.

    Names may have `{branch}` and `{open}` (`-open` for the open modules, else empty). `flavours`
    and `branches` are what the origin has; empty for drivers of the kernel. `pin` is a package that
    keeps apt on the branch, `before` are commands that must run before the packages come.
    `dkms_name` is the module's name below /var/lib/dkms.
    """

    name: str
    vendor: str
    systems: tuple[str, ...]
    build: Build
    packages: tuple[str, ...]
    reason: str
    source: Source
    flavours: tuple[Flavour, ...] = ()
    branches: tuple[int, ...] = ()
    repositories: tuple[str, ...] = ()
    open_packages: tuple[str, ...] = ()
    proprietary_packages: tuple[str, ...] = ()
    pin: str = ""
    before: tuple[tuple[str, ...], ...] = ()
    version: str = ""


@dataclass(frozen=True)
class BrokenPair:
    """A driver that does not build on some kernels: how it is seen, why, and what helps.

    `drivers` are version ranges from the first to before the last (`550`, `551`: all of 550).
    `kernels` are the first release of each series that has the change; a series that is not named
    has it from `all_from` on. `error` is the beginning of make.log's first error after the
    position in the file. `fixed_in` is the first driver that builds. `patch` is a unified diff for
    `patch -p1` in the module's source, empty where there is none.
    """

    name: str
    drivers: tuple[tuple[str, str], ...]
    kernels: tuple[str, ...]
    all_from: str
    error: str
    cause: str
    fixed_in: str
    source: Source
    patch: str = ""
    patch_for: str = ""
