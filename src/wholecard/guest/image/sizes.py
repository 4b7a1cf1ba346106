"""What packages need on a guest's disk: measured, so that "too small" is said before a build.

Debian trixie's own packages, by apt's figures against an empty package database and without
recommended packages (2026-11-29), the kernel and headers that a driver's module needs included.
Vendors' own repositories were not measured: their rows are those of the same set in Debian.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wholecard.core.units import MIB
from wholecard.guest.image.recipe import InstallPackages, Step, WriteGuestFile

_MB = 1_000_000
# A module that is compiled, logs, initramfs images, and what a running system needs.
MARGIN = 512 * MIB


@dataclass(frozen=True)
class PackageSize:
    """A set of packages, known by one of its names; sizes in bytes.

    `installed` stays, `download` is needed while the packages are installed.
    """

    what: str
    names: str
    installed: int
    download: int

    @property
    def room(self) -> int:
        """Bytes that have to be free before the packages are installed."""
        return self.installed + self.download


# The first row that matches counts, so a set that has another one in it is above it.
SIZES = (
    PackageSize("NVIDIA driver with X", r"nvidia-driver|nvidia-tesla-\d+-driver|xserver-xorg-.*",
                1074 * _MB, 391 * _MB),
    PackageSize("NVIDIA driver", r"nvidia-open(-.*)?|.*nvidia.*-dkms.*|nvidia-headless-.*|"
                r"cuda-drivers.*|linux-modules-nvidia-.*|nvidia-smi|libcuda1|nvidia-driver-.*|"
                r"kmod-nvidia-.*|nvidia-utils-.*|libnvidia-compute-.*", 925 * _MB, 302 * _MB),
    PackageSize("CUDA toolkit", r"nvidia-cuda-toolkit|cuda-toolkit(-.*)?|cuda(-\d+-\d+)?",
                5134 * _MB, 1911 * _MB),
    PackageSize("kernel, headers and dkms", r"linux-image-.*|linux-headers-.*|kernel-devel.*|"
                r"kernel-headers.*|dkms|amdgpu-dkms.*", 548 * _MB, 214 * _MB),
    PackageSize("ROCm run time", r"rocm.*|hipcc.*|libamdhip64.*|rocminfo|hip-runtime.*",
                277 * _MB, 63 * _MB),
    PackageSize("podman", r"podman.*|crun", 197 * _MB, 49 * _MB),
)  # fmt: skip

# What is in another set already.
_INNER = {
    "NVIDIA driver with X": ("NVIDIA driver", "kernel, headers and dkms"),
    "NVIDIA driver": ("kernel, headers and dkms",),
}


@dataclass(frozen=True)
class Room:
    """What a recipe's steps need on the disk: `needed` bytes, for these sets of packages.

    `unknown` are packages whose sizes nobody measured; they are not in `needed`.
    """

    needed: int
    sets: tuple[PackageSize, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`NVIDIA driver 925 MB, CUDA toolkit 5134 MB`: what stays on the disk."""
        return ", ".join(f"{row.what} {row.installed // _MB} MB" for row in self.sets)


def room_of(steps: Sequence[Step]) -> Room:
    """What these steps need, each set of packages counted once. Pure."""
    rows = {name: _row(name) for name in _names(steps)}
    sets = _sets(row for row in rows.values() if row is not None)
    unknown = tuple(name for name, row in rows.items() if row is None)
    files = sum(len(step.content) for step in steps if isinstance(step, WriteGuestFile))
    if not rows:
        return Room(files)
    # Downloads are removed at the end, but all of one command are there at once.
    download = max((row.download for row in sets), default=0)
    return Room(sum(row.installed for row in sets) + download + files + MARGIN, sets, unknown)


def _names(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, InstallPackages):
            yield from (name.partition("=")[0] for name in step.names)


def _sets(rows: Iterable[PackageSize]) -> tuple[PackageSize, ...]:
    """The sets, without those that another one of them has in it."""
    sets = dict.fromkeys(rows)
    inner = {name for row in sets for name in _INNER.get(row.what, ())}
    return tuple(row for row in sets if row.what not in inner)


def _row(name: str) -> PackageSize | None:
    return next((row for row in SIZES if re.fullmatch(row.names, name)), None)
