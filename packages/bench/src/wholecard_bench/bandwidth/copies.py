"""What was copied, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wholecard_bench.nbody.backend import Device


@dataclass(frozen=True)
class Copy:
    """One kind of copy: what it is called, and the seconds of each repetition.

    `bytes_moved` counts what passes the narrowest way once; within a device what is read and what
    is written.
    """

    name: str
    device: int
    bytes_moved: int
    seconds: tuple[float, ...]


class Copies(Protocol):
    """A backend's copies. Its constructor raises NoDeviceError where it cannot be used."""

    name: str

    def devices(self, count: int | None) -> tuple[Device, ...]:
        """The first `count` devices; all of them for None; UsageError where there are fewer."""

    def copies(self, devices: int, size: int, repeats: int) -> list[Copy]:
        """Copy `size` bytes `repeats` times in every way that there is."""


def repeated(copy: Callable[[], float], repeats: int) -> tuple[float, ...]:
    """Seconds of `repeats` copies, after one that does not count."""
    copy()
    return tuple(copy() for _ in range(repeats))
