"""Drivers that are known not to build on a kernel, and kernels that are known to lack drivers.

They are asked before a build, by versions alone; `make_log.py` recognises them after one.
"""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.guest.drivers.known_drivers import BROKEN_PAIRS
from wholecard.guest.drivers.records import BrokenPair, System
from wholecard.guest.drivers.versions import is_within, kernel_has_change, numbers


def pair_of(driver: str, kernel: str) -> BrokenPair | None:
    """The row for a driver's version that does not build on a kernel's release, else None."""
    return next(
        (
            pair
            for pair in BROKEN_PAIRS
            if any(is_within(driver, first, before) for first, before in pair.drivers)
            and kernel_has_change(kernel, pair.kernels, pair.all_from)
        ),
        None,
    )


def build_finding(driver: str, kernel: str) -> Finding | None:
    """WC420 where this driver is known not to build on this kernel."""
    pair = pair_of(driver, kernel)
    if pair is None:
        return None
    return Finding(
        "WC420", f"NVIDIA {driver}", Severity.ERROR,
        f"it does not build on the kernel {kernel}: {pair.error}. {pair.cause}",
        advice(pair, driver, kernel),
    )  # fmt: skip


def advice(pair: BrokenPair, driver: str, kernel: str) -> str:
    """What to do: another branch, an older kernel, or the patch that the table has."""
    series = numbers(kernel)[:2]
    older = next((first for first in pair.kernels if numbers(first)[:2] == series), None)
    words = [f"Install {pair.fixed_in} or newer."]
    if older:
        words.append(f"Or install and hold a kernel older than {older}.")
    if pair.patch and numbers(driver) == numbers(pair.patch_for):
        words.append(
            f"Or let the recipe add the patch {pair.name} to the module's source (--patch)."
        )
    return " ".join(words)


def kernel_finding(system: System, kernel: str, wanted: Iterable[str]) -> Finding | None:
    """WC422 where the kernel has no drivers for cards at all; `wanted` are the drivers."""
    if not any(kernel.endswith(ending) for ending in system.cloud_kernels):
        return None
    return Finding(
        "WC422", f"kernel {kernel}", Severity.ERROR,
        "it is built without DRM, sound and I2C, so it has no driver for a card "
        f"({', '.join(wanted)}) and nothing that one could build on.",
        f"Install {system.kernel} and boot it; remove the cloud kernel, or it stays the default.",
    )  # fmt: skip
