"""An image's tree after its recipe ran: would its kernel load the drivers, and for these cards?

Without a card and without a boot. What is read is the tree alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from wholecard.core import Finding, UsageError
from wholecard.guest.drivers.driver_plan import DriverPlan
from wholecard.guest.drivers.generation import VENDORS, Card
from wholecard.guest.drivers.known_drivers import AMD, NVIDIA
from wholecard.guest.drivers.known_failures import kernel_finding
from wholecard.guest.drivers.make_log import failed_builds
from wholecard.guest.drivers.modules import (
    binding_findings,
    card_modules,
    installed_kernels,
    module_findings,
)
from wholecard.guest.drivers.systems import system_of

_PARTS = re.compile(r"\d+|[a-z]+")


def boot_kernel(root: Path) -> str | None:
    """The release that GRUB would boot by default, the newest by its name; None for no kernel."""
    return max(installed_kernels(root), key=_by_version, default=None)


def tree_findings(root: Path, plan: DriverPlan) -> tuple[Finding, ...]:
    """What in the image's tree prevents the plan's drivers from taking the cards.

    WC428 for a failed DKMS build, else WC422, WC426 and WC427 for the kernel that would boot.
    Raises ModuleError for a module that cannot be read.
    """
    failed = tuple(error.finding() for error in failed_builds(root))
    if failed:
        return failed
    kernel = boot_kernel(root)
    if kernel is None:
        return ()
    names = [VENDORS[choice.vendor] for choice in plan.choices]
    cloud = kernel_finding(system_of(plan.request.os), kernel, names)
    if cloud:
        return (cloud,)
    findings: list[Finding] = []
    for choice in plan.choices:
        for name in _modules(root, kernel, choice.vendor, choice.cards):
            findings += module_findings(root, kernel, name)
            if not findings:
                for card in choice.cards:
                    findings += binding_findings(root, kernel, card.ids, name)
    return tuple(findings)


def checked_tree(root: Path, plan: DriverPlan) -> DriverPlan:
    """The plan's drivers as the tree has them: no steps, the tree's kernel, and its findings.

    Raises UsageError for a folder without a kernel, ModuleError as `tree_findings`.
    """
    kernel = boot_kernel(root)
    if kernel is None:
        raise UsageError(
            f"{root} has no kernel",
            "Kernels are looked for in lib/modules/*/modules.dep.",
            "Name the folder that is the image's root.",
        )
    return replace(plan, kernel=kernel, steps=(), findings=tree_findings(root, plan))


def _modules(root: Path, kernel: str, vendor: str, cards: Iterable[Card]) -> tuple[str, ...]:
    """The module that has to take the vendor's cards.

    Debian calls NVIDIA's `nvidia-current` and `nvidia-current-open`, and an alias leads there; of
    Intel's two drivers it is the first whose table has the card: xe has cards that it leaves to
    i915 (linux: drivers/gpu/drm/xe/xe_pci.c, require_force_probe).
    """
    if vendor == AMD:
        return ("amdgpu",)
    beginnings, default = (("nvidia",), "nvidia") if vendor == NVIDIA else (("i915", "xe"), "xe")
    own: dict[str, None] = {}
    for card in cards:
        names = (name for modules in card_modules(root, kernel, card.ids) for name in modules)
        of_vendor = [name for name in names if name.startswith(beginnings)]
        own |= dict.fromkeys(of_vendor if vendor == NVIDIA else of_vendor[:1])
    return tuple(own) or (default,)


def _by_version(release: str) -> list[tuple[int, str]]:
    """Numbers by their size, words by the alphabet, as `sort -V` has it for releases."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _PARTS.findall(release)]
