"""`inspect`: read what a host is. Nothing is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from wholecard.host.boot import (
    find_initramfs,
    find_kernels,
    find_loaders,
    is_transactional,
    next_command_line,
)
from wholecard.host.host import Boot, Host, Iommu
from wholecard.host.kernel_log import Record, read_kernel_log
from wholecard.host.natives import module_name, native_modules, read_builtin
from wholecard.host.settings import Settings, read_settings
from wholecard.pci import (
    Function,
    find_cards,
    name_functions,
    predicted_groups,
    read_functions,
    read_groups,
)
from wholecard.pci.sysfs import read_text

# linux: drivers/iommu/intel/irq_remapping.c and drivers/iommu/amd/init.c say one of these.
_REMAPPING_ON = ("DMAR-IR: Enabled IRQ remapping", "AMD-Vi: Interrupt remapping enabled")

# What a plan needs to know of the built-in modules besides the cards' own.
_VFIO_MODULES = ("vfio", "vfio_pci", "vfio_iommu_type1", "pci_stub")


def inspect(root: Path = Path("/"), log: tuple[Record, ...] | None = None) -> Host:
    """Read the host under `root`; nothing is changed. `log` spares reading the kernel's log twice.

    Garbled or missing attributes leave fields empty. Raises WholecardError only for settings that
    are there and cannot be read.
    """
    functions = name_functions(root, read_functions(root))
    release = _release(root)
    functions = _with_modules(root, release, functions)
    groups = read_groups(root, functions)
    iommu_on = bool(groups) or _has_entries(root / "sys/class/iommu")
    if not iommu_on:
        groups = predicted_groups(functions)
    if log is None:
        log = read_kernel_log(root)
    settings = read_settings(root)
    return Host(
        functions=functions,
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=not iommu_on,
        iommu=Iommu(_iommu_kind(root), iommu_on, _remapping(log) if iommu_on else None),
        boot=_boot(root, release, functions, settings),
        settings=settings,
    )


def read_boot_id(root: Path) -> str:
    """The id that the kernel makes anew at each boot; empty in a tree that does not run."""
    return read_text(root / "proc/sys/kernel/random/boot_id")


def _with_modules(
    root: Path, release: str, functions: tuple[Function, ...]
) -> tuple[Function, ...]:
    """The functions of cards with the modules that would claim them; the rest as they are."""
    in_cards = {
        function.address for card in find_cards(functions, ()) for function in card.functions
    }
    modules = native_modules(
        root, release, (function for function in functions if function.address in in_cards)
    )
    return tuple(
        dataclasses.replace(function, modules=modules.get(function.modalias, ()))
        if function.address in in_cards
        else function
        for function in functions
    )


def _iommu_kind(root: Path) -> str | None:
    tables = root / "sys/firmware/acpi/tables"
    if (tables / "DMAR").exists():
        return "vt-d"
    return "amd-vi" if (tables / "IVRS").exists() else None


def _remapping(log: tuple[Record, ...] | None) -> bool | None:
    if log is None:
        return None
    if any(text in record.message for record in log for text in _REMAPPING_ON):
        return True
    whole = bool(log) and log[0].sequence == 0
    return False if whole else None


def _boot(root: Path, release: str, functions: Iterable[Function], settings: Settings) -> Boot:
    concerned = set(_VFIO_MODULES)
    for function in functions:
        concerned.update(function.modules)
        if function.driver:
            concerned.add(function.driver_module or module_name(function.driver))
    loaders, tools = find_loaders(root, settings), find_initramfs(root)
    running = read_text(root / "proc/cmdline")
    loader = loaders[0] if loaders else None
    return Boot(
        release=release,
        command_line=running,
        boot_id=read_boot_id(root),
        loader=loader,
        initramfs=tools[0] if tools else None,
        builtin=tuple(sorted(concerned & read_builtin(root, release))),
        next_command_line=next_command_line(loader, settings, running),
        read_only_root=is_transactional(root),
        loaders=loaders,
        initramfs_tools=tools,
        kernels=find_kernels(root),
    )


def _release(root: Path) -> str:
    """The running kernel's release; in a tree that does not run, its last kernel by name."""
    running = read_text(root / "proc/sys/kernel/osrelease")
    if running:
        return running
    names = sorted(entry.name for entry in (root / "lib/modules").glob("*"))
    return names[-1] if names else ""


def _has_entries(directory: Path) -> bool:
    try:
        return any(True for _ in directory.iterdir())
    except OSError:
        return False
