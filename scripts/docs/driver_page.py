"""The page of drivers, made from the table that `image drivers` goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wholecard.guest.drivers.generation import VENDORS
from wholecard.guest.drivers.known_drivers import (
    AS_OF,
    BRANCHES,
    BROKEN_PAIRS,
    GENERATIONS,
    PACKAGE_SETS,
    REPOSITORIES,
    SYSTEMS,
)
from wholecard.guest.drivers.records import PackageSet

_HEAD = f"""# Drivers for guests

What Wholecard knows of drivers, as of {AS_OF}. Made from the table that `wholecard image drivers`
and the image profiles `nvidia`, `amd` and `intel` use (contributors:
`src/wholecard/guest/drivers/known_drivers.py`, renewed with `WHOLECARD_RENEW=1`).

    wholecard image drivers --card 10de:2330 --os ubuntu-24.04

It prints the choice, the steps with their reasons, and what prevents it; it changes nothing and
downloads nothing. Name every kind of card of the guest: one kernel has one NVIDIA driver,
so that driver must fit all of them.
[An Ubuntu image with CUDA](../how-to/ubuntu-image-with-cuda.md) uses it.

**What was tried.** Debian 13's own driver 550.163.01 was built with the patch below on 6.12.118,
and that kernel loaded it under emulation, without a card ("No NVIDIA GPU found"). The packages of
NVIDIA's repositories, of Ubuntu and of the EL family were not installed by us: their names are
those of the sources. No driver was tried with a card in a guest.
"""


def drivers_page() -> str:
    """docs/reference/drivers.md."""
    parts = [
        _HEAD,
        _generations(),
        _branches(),
        _systems(),
        _packages(),
        _broken(),
        _repositories(),
    ]
    return "\n".join(parts)


def _generations() -> str:
    rows = [
        (
            generation.name,
            ", ".join(generation.chips) or "by device id",
            ", ".join(f"{first:04x}" if first == last else f"{first:04x}-{last:04x}"
                      for first, last in generation.ids),
            " or ".join(generation.flavours),
            str(generation.first_branch or "any"),
            str(generation.last_branch or "none"),
        )
        for generation in GENERATIONS
    ]  # fmt: skip
    return (
        "## NVIDIA's generations\n\nThe generation is taken from the chip's name in this machine's "
        "`pci.ids` (`GH100 [H100 PCIe]` is Hopper); where `pci.ids` does not have the card, from "
        "the ranges of device ids. AMD's and Intel's cards have the kernel's own drivers.\n\n"
        + _table(("generation", "chips", "device ids", "kernel modules", "first branch",
                  "last branch"), rows)
        + _sources(row.source.text for row in GENERATIONS)
    )  # fmt: skip


def _branches() -> str:
    rows = [
        (
            str(branch.number), branch.kind, str(branch.ends or "ended"),
            " and ".join(branch.flavours), str(branch.cuda),
        )
        for branch in BRANCHES
    ]  # fmt: skip
    return (
        "## NVIDIA's branches\n\nWholecard takes the oldest long-term branch with a year of "
        "support left that all the cards accept and the packages offer; else the one that is "
        "supported longest.\n\n"
        + _table(("branch", "kind", "supported until", "kernel modules", "CUDA"), rows)
        + _sources(row.source.text for row in BRANCHES)
    )


def _systems() -> str:
    rows = [
        (
            system.key, system.kernel, " ".join(system.headers),
            system.newest_kernel or "not known",
            ", ".join(f"`{ending}`" for ending in system.cloud_kernels) or "none",
        )
        for system in SYSTEMS
    ]  # fmt: skip
    return (
        "## Systems\n\n`el` is RHEL, Rocky, AlmaLinux, CentOS and Oracle Linux. A kernel whose "
        "name has the ending in the last column has no DRM, sound and I2C (WC422).\n\n"
        + _table(("system", "kernel", "its headers", "newest kernel on that day",
                  "kernels without drivers"), rows)
        + _sources(row.source.text for row in SYSTEMS)
    )  # fmt: skip


def _packages() -> str:
    rows = [
        (
            VENDORS[row.vendor], ", ".join(row.systems), row.name, row.build,
            ", ".join(map(str, row.branches)), _names(row),
        )
        for row in PACKAGE_SETS
    ]  # fmt: skip
    return (
        "## Packages\n\nThe first row that has a right branch is taken; `--origin` names another. "
        "`signed` modules are prebuilt and signed by the distribution, `dkms` builds them in the "
        "image, `in-box` comes with the kernel.\n\n"
        + _table(("cards", "systems", "origin", "module", "branches", "packages"), rows)
        + _sources(row.source.text for row in PACKAGE_SETS)
    )


def _names(row: PackageSet) -> str:
    words = " ".join(row.packages)
    if row.open_packages:
        words += f"; open: {' '.join(row.open_packages)}"
        words += f"; proprietary: {' '.join(row.proprietary_packages)}"
    return f"`{words}`"


def _broken() -> str:
    parts = ["## Drivers that do not build\n"]
    for pair in BROKEN_PAIRS:
        drivers = ", ".join(f"from {first} to before {before}" for first, before in pair.drivers)
        parts.append(
            f"### {pair.name}\n\n- Drivers: {drivers}. Fixed in {pair.fixed_in}.\n"
            f"- Kernels: {', '.join(f'{first} and later of that series' for first in pair.kernels)}"
            f", and {pair.all_from} and later. Other series were not looked at.\n"
            f"- First error: `{pair.error}`\n- Cause: {pair.cause}\n"
        )
        if pair.patch:
            parts.append(
                f"With `--patch` the steps add this patch to {pair.patch_for} (open modules):\n\n"
                f"```diff\n{pair.patch}```\n"
            )
        parts.append(f"Source: {pair.source.text}.\n")
    return "\n".join(parts)


def _repositories() -> str:
    rows = [
        (
            row.name, row.uri, " ".join((*row.suites, *row.components)) or "-",
            row.fingerprint or ("the system's own key" if not row.key_url else "not known: --key"),
        )
        for row in REPOSITORIES
    ]  # fmt: skip
    return (
        "## Repositories\n\nA key that is not given with `--key` is fetched in the guest from the "
        "repository's own address, and used only if it has this fingerprint.\n\n"
        + _table(("repository", "address", "suites and components", "key"), rows)
        + _sources(row.source.text for row in REPOSITORIES)
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _sources(texts: Iterable[str]) -> str:
    return "\nSources: " + "; ".join(dict.fromkeys(texts)) + ".\n"
