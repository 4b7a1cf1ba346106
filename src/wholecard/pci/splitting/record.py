"""What is said of a card that can be split: the ways, their states, versions, sources."""

from __future__ import annotations

import re

from wholecard.core.errors import UsageError
from wholecard.core.record import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    # It works, it cannot, what is not given decides it, no source that was read tells.
    State = Literal["yes", "no", "depends", "not known"]
    WayName = Literal["whole", "mdev", "vfs", "mig"]
    Version = tuple[int, ...]

# The four ways of a site file's `give`.
WAYS = ("whole", "mdev", "vfs", "mig")

_VERSION = re.compile(r"(\d{1,9})((?:\.\d{1,9}){0,5})(?:[.+~_-].{0,200})?", re.ASCII)


@dataclass(frozen=True)
class Source:
    """Where a fact is from, and the day on which that was read (`2026-11-30`)."""

    text: str
    read: str

    def __str__(self) -> str:
        return f"{self.text} ({self.read})"


@dataclass(frozen=True)
class Software:
    """The vendor's host driver (NVIDIA's for vGPUs, AMD's GIM) and the kernel; None: not given."""

    driver: Version | None = None
    kernel: Version | None = None


@dataclass(frozen=True)
class Way:
    """One way to give a card. `reason` says why its state is what it is.

    `through` is the driver that does it, `count` how many parts (empty where only the host's
    sysfs tells), `needs` what must be done or known, a sentence each.
    """

    name: WayName
    state: State
    reason: str
    through: str = ""
    count: str = ""
    needs: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class CardKind:
    """Cards that are split alike: name, ids (`10de:2330`), NVIDIA's generation, Intel's driver."""

    name: str
    ids: tuple[str, ...]
    generation: str = ""


def ids_of(vendor: str, devices: str) -> tuple[str, ...]:
    """`10de:20b0` and `10de:20b1` for `20b0 20b1`."""
    return tuple(f"{vendor}:{device}" for device in devices.split())


def version(text: str, what: str = "version") -> Version:
    """The leading numbers of a version: `6.8.0-45-generic` is (6, 8, 0). Raises UsageError."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{what} {text[:40]!r} does not begin with a version",
            resolution="Write it as the host does: uname -r for the kernel, nvidia-smi or modinfo "
            "for the driver.",
        )
    return tuple(map(int, f"{match[1]}{match[2]}".split(".")))


def dotted(numbers: Version) -> str:
    """`6.8` for (6, 8)."""
    return ".".join(map(str, numbers))


def driver_text(numbers: Version) -> str:
    """`580.159.01` for (580, 159, 1): NVIDIA writes all numbers but the first with two digits."""
    return ".".join([str(numbers[0]), *(f"{number:02}" for number in numbers[1:])])
