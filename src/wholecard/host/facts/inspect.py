"""`inspect`: read what a host is. Nothing is changed."""

from __future__ import annotations

import os

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
from wholecard.host.facts.host import IOMMU_TABLES, Boot, Host, Iommu
from wholecard.host.facts.kernel_log import (
    ACS_OVERRIDE,
    LOG,
    NO_REMAPPING,
    read_kernel_log,
    refused_in,
    seen_in,
)
from wholecard.host.facts.kernel_use import read_uses
from wholecard.host.facts.memory import read_memory
from wholecard.host.facts.module_aliases import (
    ModuleAliases,
    read_aliases,
    read_builtin,
    read_modules,
)
from wholecard.host.facts.offered_slices import read_offered_slices
from wholecard.host.initramfs.registry import find_initramfs_tools, find_unsupported_tools
from wholecard.pci.cards import find_cards
from wholecard.pci.groups import predicted_groups, read_groups
from wholecard.pci.ids import PciNames
from wholecard.pci.sysfs import ASLEEP, DEVICES, read_functions
from wholecard.pci.vfio_drivers import VARIANTS, module_of
from wholecard.pci.vpd import read_serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.core.small_files import Root
    from wholecard.host.bootloaders.registry import BootLoader
    from wholecard.host.config_files import Settings
    from wholecard.host.facts.host import DirectMapping
    from wholecard.host.facts.kernel_log import Record
    from wholecard.host.facts.module_aliases import Modules
    from wholecard.pci.function import Function

# linux: drivers/iommu/intel/irq_remapping.c and drivers/iommu/amd/init.c print one of these.
_REMAPPING_ON = ("DMAR-IR: Enabled IRQ remapping", "AMD-Vi: Interrupt remapping enabled")

# linux: drivers/irqchip/irq-gic-v3-its.c.
_ITS = ("ITS@", "ITS [mem")

ACPI = "sys/firmware/acpi/tables"

# In these states the vital product data can be read without waking anything.
_AWAKE = frozenset({"active", "unsupported", ""})

# The modules that a plan asks about besides the functions' own: are they built in, or missing?
_VFIO_MODULES = ("vfio", "vfio_pci", "vfio_iommu_type1", "pci_stub")
# Of these it is known which kernels have them only from the kernel itself: what takes the place of
# vfio_iommu_type1, what became a part of vfio, and VFIO's variant drivers.
_OPTIONAL = ("iommufd", "vfio_iommu_spapr_tce", "vfio_virqfd", *VARIANTS)


def inspect(
    root: Root = "/", log: tuple[Record, ...] | None = None, processes: int | None = 1
) -> Host:
    """Read the host under `root`; nothing is changed. A caller that has the `log` passes it on.

    `processes` is as for `read_functions`: None only in a program without threads.

    Garbled or missing attributes leave fields empty. Raises WholecardError only for settings that
    exist and cannot be read.
    """
    release = _release(root)
    builtin = read_builtin(root, release)
    modules = read_modules(root, release, builtin)

    def drivers(modaliases: set[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        aliases = ModuleAliases(read_aliases(root, release), modaliases)
        return aliases.native(), aliases.variants(modules)

    functions = read_functions(
        root,
        PciNames(root),
        drivers,
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
    iommu = _iommu(root, iommu_on, log, functions)
    if not iommu_on and iommu.kind in IOMMU_TABLES and iommu.mappings is None:
        unread = (*unread, _unread_table(root, IOMMU_TABLES[iommu.kind]))
    settings = read_settings(root)
    gpus = [str(each.address) for each in functions if each.is_display]
    return Host(
        functions=functions,
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=not iommu_on,
        iommu=iommu,
        boot=_boot(root, release, functions, settings, builtin, modules),
        settings=settings,
        cpu=read_cpu(root),
        memory=read_memory(root),
        framebuffers=read_framebuffers(root, (each for each in functions if each.is_display)),
        uses=read_uses(root),
        unread=unread,
        slices=read_offered_slices(root, gpus),
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
    return tuple(_with_serial(f, serials.get(f.address)) for f in functions), tuple(unread)


def _with_serial(function: Function, serial: str | None) -> Function:
    return replace(function, serial=serial) if serial else function


def _iommu(
    root: Root, on: bool, log: tuple[Record, ...] | None, functions: tuple[Function, ...]
) -> Iommu:
    kind = _iommu_kind(root)
    return Iommu(
        kind,
        on,
        _remapping(kind, log) if on else None,
        seen_in(log, ACS_OVERRIDE),
        refused_in(log or ()),
        exists(under(root, ACPI)),
        None if on or kind not in IOMMU_TABLES else _direct_mappings(root, kind, functions),
    )


def _direct_mappings(
    root: Root, kind: str, functions: tuple[Function, ...]
) -> tuple[DirectMapping, ...] | None:
    table = read_bytes(under(root, f"{ACPI}/{IOMMU_TABLES[kind]}"))
    if not table:
        return None
    # Only here, on a host whose IOMMU is still off.
    from wholecard.host.facts.acpi_tables import LIMIT, direct_mappings

    return direct_mappings(kind, table, functions) if len(table) <= LIMIT else None


def _unread_table(root: Root, name: str) -> str:
    """Why it is not known what the firmware wants mapped one to one."""
    if os.access(under(root, f"{ACPI}/{name}"), os.R_OK):
        return f"the ACPI table {name}: its content is missing or damaged"
    return f"the ACPI table {name}: only root may read it"


def _iommu_kind(root: Root) -> str | None:
    tables = under(root, ACPI)
    for kind, table in IOMMU_TABLES.items():
        if exists(f"{tables}/{table}"):
            return kind
    # arm64's table, and on boards with a device tree what the kernel has found by it (linux:
    # drivers/iommu/arm/arm-smmu*, iommu_device_sysfs_add).
    is_smmu = exists(f"{tables}/IORT") or any(
        name.startswith(("smmu", "arm-smmu")) for name in listed(under(root, "sys/class/iommu"))
    )
    return "smmu" if is_smmu else None


def _remapping(kind: str | None, log: tuple[Record, ...] | None) -> bool | None:
    # VFIO's own word, when a server was started, is worth more than what was printed at boot.
    if seen_in(log, NO_REMAPPING):
        return False
    if kind in ("vt-d", "amd-vi"):
        return seen_in(log, *_REMAPPING_ON)
    # arm64 isolates interrupts by the GIC's translation service; a log without it proves nothing.
    return seen_in(log, *_ITS) or None


def _boot(
    root: Root,
    release: str,
    functions: Iterable[Function],
    settings: Settings,
    builtin: frozenset[str],
    modules: Modules | None,
) -> Boot:
    distribution, like = read_distribution(root)
    loaders, tools = find_loaders(root, settings), find_initramfs_tools(root)
    running = read_text(under(root, "proc/cmdline"))
    loader = loader_named(loaders[0]) if loaders else None
    firmware = read_firmware(root)
    menu = find_grub_menu(root, firmware)
    state = BootState(settings, running, menu=menu, distribution=f"{distribution} {like}")
    return Boot(
        release=release,
        command_line=running,
        boot_id=read_boot_id(root),
        loader=loader.name if loader else None,
        initramfs=tools[0] if tools else None,
        builtin=tuple(sorted(_relevant_modules(functions) & builtin)),
        missing=_present(modules, _VFIO_MODULES, is_there=False) or (),
        optional=_present(modules, _OPTIONAL, is_there=True),
        next_command_line=_next_command_line(root, loader, state) if loader else None,
        firmware=firmware,
        secure_boot=read_secure_boot(root),
        distribution=distribution,
        like=like,
        image_based=find_image_kind(root, running),
        loaders=loaders,
        initramfs_tools=tools,
        kernels=find_kernels(root),
        # linux: Documentation/ABI/stable/sysfs-hypervisor-xen.
        hypervisor=read_text(under(root, "sys/hypervisor/type")),
        grub_menu=menu,
        image_hooks=find_image_hooks(root),
        unsupported_tools=find_unsupported_tools(root),
        unsupported_loaders=find_unsupported_loaders(root),
    )


def _relevant_modules(functions: Iterable[Function]) -> set[str]:
    """The modules of VFIO, of the functions' drivers, and those that would bind them."""
    modules = {*_VFIO_MODULES, *_OPTIONAL}
    for function in functions:
        modules.update(function.modules)
        if function.driver:
            modules.add(function.driver_module or module_of(function.driver))
    return modules


def _next_command_line(root: Root, loader: BootLoader, state: BootState) -> str | None:
    """The next boot's by the loader's settings, or else by GRUB's menu; None if neither says it."""
    menus = {"grub": "/boot/grub/grub.cfg", "grub2": state.menu}
    line = loader.next_command_line(state)
    if line is None and loader.name in menus:
        return menu_command_line(root, menus[loader.name])
    return line


def _present(
    modules: Modules | None, names: Iterable[str], *, is_there: bool
) -> tuple[str, ...] | None:
    """Those of `names` that the kernel has, or has not; None if that is not known."""
    if modules is None:
        return None
    return tuple(name for name in sorted(names) if (name in modules) is is_there)


def _release(root: Root) -> str:
    """The running kernel's release; else, in an image, its last kernel by name."""
    running = read_text(under(root, "proc/sys/kernel/osrelease"))
    # It is a folder's name in paths below.
    if running and "/" not in running and running.isascii() and running.isprintable():
        return running
    names = listed(under(root, "lib/modules"))
    return names[-1] if names else ""
