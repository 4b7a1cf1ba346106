"""`inspect`: read what a host is. Nothing is changed."""

from __future__ import annotations

from wholecard.core.record import replace
from wholecard.core.small_files import exists, listed, read_bytes, read_text, under
from wholecard.host.bootloaders.registry import (
    BootState,
    find_loaders,
    find_unsupported_loaders,
    loader_named,
)
from wholecard.host.config_files import read_settings
from wholecard.host.facts.boot import (
    find_grub_menu,
    find_image_hooks,
    find_image_kind,
    find_kernels,
    menu_command_line,
)
from wholecard.host.facts.cpu import read_cpu
from wholecard.host.facts.firmware import read_distribution, read_firmware, read_secure_boot
from wholecard.host.facts.framebuffers import read_framebuffers
from wholecard.host.facts.host import Boot, Host, Iommu
from wholecard.host.facts.kernel_log import LOG, read_kernel_log
from wholecard.host.facts.kernel_use import read_uses
from wholecard.host.facts.memory import read_memory
from wholecard.host.facts.module_aliases import matching_modules, module_name, read_builtin
from wholecard.host.initramfs.registry import find_initramfs_tools, find_unsupported_tools
from wholecard.pci.cards import find_cards
from wholecard.pci.groups import predicted_groups, read_groups
from wholecard.pci.ids import PciNames
from wholecard.pci.sysfs import ASLEEP, DEVICES, read_functions
from wholecard.pci.vpd import read_serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.core.small_files import Root
    from wholecard.host.config_files import Settings
    from wholecard.host.facts.kernel_log import Record
    from wholecard.pci.function import Function

# linux: drivers/iommu/intel/irq_remapping.c and drivers/iommu/amd/init.c print one of these.
_REMAPPING_ON = ("DMAR-IR: Enabled IRQ remapping", "AMD-Vi: Interrupt remapping enabled")

# In these states the vital product data can be read without waking anything.
_AWAKE = frozenset({"active", "unsupported", ""})

# The modules that a plan asks about besides the functions' own: are they built in, or missing?
_VFIO_MODULES = ("vfio", "vfio_pci", "vfio_iommu_type1", "pci_stub")


def inspect(
    root: Root = "/", log: tuple[Record, ...] | None = None, processes: int | None = 1
) -> Host:
    """Read the host under `root`; nothing is changed. A caller that has the `log` passes it on.

    `processes` is as for `read_functions`: None only in a program without threads.

    Garbled or missing attributes leave fields empty. Raises WholecardError only for settings that
    exist and cannot be read.
    """
    release = _release(root)
    functions = read_functions(
        root,
        PciNames(root),
        lambda modaliases: matching_modules(root, release, modaliases),
        processes,
    )
    functions, unread = _with_serials(root, functions)
    groups = read_groups(root, functions)
    iommu_on = bool(groups) or bool(listed(under(root, "sys/class/iommu")))
    if not iommu_on:
        groups = predicted_groups(functions)
    if log is None:
        log = read_kernel_log(root)
    if log is None and exists(under(root, LOG)):
        unread = (*unread, "the kernel's log: only root may read it")
    settings = read_settings(root)
    return Host(
        functions=functions,
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=not iommu_on,
        iommu=Iommu(_iommu_kind(root), iommu_on, _remapping(log) if iommu_on else None),
        boot=_boot(root, release, functions, settings),
        settings=settings,
        cpu=read_cpu(root),
        memory=read_memory(root),
        framebuffers=read_framebuffers(root, (each for each in functions if each.is_display)),
        uses=read_uses(root),
        unread=unread,
    )


def read_boot_id(root: Root) -> str:
    """The id that the kernel creates at each boot; empty in a tree that is not a running host."""
    return read_text(under(root, "proc/sys/kernel/random/boot_id"))


def _with_serials(
    root: Root, functions: tuple[Function, ...]
) -> tuple[tuple[Function, ...], tuple[str, ...]]:
    """The functions, those of cards with their serial numbers; and what could not be read."""
    serials: dict[object, str] = {}
    unread = []
    # Which groups they are in does not matter here.
    for function in (function for card in find_cards(functions, ()) for function in card.functions):
        if function.power in ASLEEP:
            unread.append(
                f"{function.address} sleeps: reading its link and serial number would wake it"
            )
        elif function.power in _AWAKE:
            try:
                serial = read_serial(under(root, f"{DEVICES}/{function.address}/vpd"))
            except PermissionError:
                unread.append(f"{function.address}: only root may read its serial number")
                continue
            if serial:
                serials[function.address] = serial
    if serials:
        functions = tuple(
            replace(function, serial=serials[function.address])
            if function.address in serials
            else function
            for function in functions
        )
    return functions, tuple(unread)


def _iommu_kind(root: Root) -> str | None:
    tables = under(root, "sys/firmware/acpi/tables")
    if exists(f"{tables}/DMAR"):
        return "vt-d"
    return "amd-vi" if exists(f"{tables}/IVRS") else None


def _remapping(log: tuple[Record, ...] | None) -> bool | None:
    if log is None:
        return None
    if any(text in record.message for record in log for text in _REMAPPING_ON):
        return True
    # Only a log from the first record on proves that the kernel did not print it.
    return False if log and log[0].sequence == 0 else None


def _boot(root: Root, release: str, functions: Iterable[Function], settings: Settings) -> Boot:
    modules = set(_VFIO_MODULES)
    for function in functions:
        modules.update(function.modules)
        if function.driver:
            modules.add(function.driver_module or module_name(function.driver))
    builtin = read_builtin(root, release)
    distribution, like = read_distribution(root)
    loaders, tools = find_loaders(root, settings), find_initramfs_tools(root)
    running = read_text(under(root, "proc/cmdline"))
    loader = loader_named(loaders[0]) if loaders else None
    firmware = read_firmware(root)
    menu = find_grub_menu(root, firmware)
    state = BootState(settings, running, menu=menu, distribution=f"{distribution} {like}")
    next_line = loader.next_command_line(state) if loader else None
    menus = {"grub": "/boot/grub/grub.cfg", "grub2": menu}
    if next_line is None and loader is not None and loader.name in menus:
        next_line = menu_command_line(root, menus[loader.name])
    return Boot(
        release=release,
        command_line=running,
        boot_id=read_boot_id(root),
        loader=loader.name if loader else None,
        initramfs=tools[0] if tools else None,
        builtin=tuple(sorted(modules & builtin)),
        missing=_missing(root, release, builtin),
        next_command_line=next_line,
        firmware=firmware,
        secure_boot=read_secure_boot(root),
        distribution=distribution,
        like=like,
        image_based=find_image_kind(root, running),
        loaders=loaders,
        initramfs_tools=tools,
        kernels=find_kernels(root),
        grub_menu=menu,
        image_hooks=find_image_hooks(root),
        unsupported_tools=find_unsupported_tools(root),
        unsupported_loaders=find_unsupported_loaders(root),
    )


def _missing(root: Root, release: str, builtin: frozenset[str]) -> tuple[str, ...]:
    """The modules of VFIO that the kernel has neither built in nor as files; none if not known."""
    data = read_bytes(under(root, f"lib/modules/{release}/modules.dep"))
    if data is None:
        return ()
    return tuple(
        module
        for module in sorted(set(_VFIO_MODULES) - builtin)
        if not any(f"/{name}.ko".encode() in data for name in (module, module.replace("_", "-")))
    )


def _release(root: Root) -> str:
    """The running kernel's release; else, in an image, its last kernel by name."""
    running = read_text(under(root, "proc/sys/kernel/osrelease"))
    if running:
        return running
    names = listed(under(root, "lib/modules"))
    return names[-1] if names else ""
