"""The boot loaders that Wholecard knows, one row each: a new one is a file beside this and a row.

inspect imports this file, so a row names its functions (`file.function`): what reads a loader's
settings needs `re` and is imported where that loader is in use; what plans a change later still.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.small_files import has_all, has_any, listed, read_bytes, read_text, under
from wholecard.host.config_files import EFI_FOLDERS, ENTRIES, KERNELSTUB, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wholecard.core.small_files import Root
    from wholecard.host.kernel_args.command_line import KernelArgs
    from wholecard.host.operations.config_change import ConfigChange


@dataclass(frozen=True)
class BootState:
    """What a loader's next command line comes from: the settings and the running kernel's line.

    `kernels` are the installed ones, by version and image. `menu` is the grub.cfg that GRUB 2 of
    EL and SUSE reads; `distribution` are os-release's ID, VERSION_ID and ID_LIKE.
    """

    settings: Settings
    running: str = ""
    kernels: tuple[tuple[str, str], ...] = ()
    menu: str = "/boot/grub2/grub.cfg"
    distribution: str = ""

    @property
    def reads_parts(self) -> bool:
        """Whether grub-mkconfig reads /etc/default/grub.d: Debian's patch, which Ubuntu has too.

        update-grub is Debian's, so a system that does not say what it is has it.
        """
        names = self.distribution.split()
        return not names or not {"debian", "ubuntu"}.isdisjoint(names)


@dataclass(frozen=True)
class BootLoader:
    """One boot loader: `is_installed` says whether a root has its tools and settings.

    `reads` is a function from a BootState to the next boot's command line, None where the settings
    do not say; `plans` one from a BootState and KernelArgs to a ConfigChange. `tools` says what is
    looked for. `reports_as` is the name by which the loader that ran reports itself, if it does.
    An `owner` is a tool that keeps other loaders' settings and entries, and would write over what
    is changed there; `makes_initramfs` says that it has the images made too.
    """

    name: str
    tools: str
    is_installed: Callable[[Root, Settings], bool]
    reads: str
    plans: str
    reports_as: str = ""
    owner: bool = False
    makes_initramfs: bool = False

    def next_command_line(self, state: BootState) -> str | None:
        """What the loader's settings give to the kernel at the next boot; None if they do not say.

        GRUB's settings do not have `root=`, which grub-mkconfig adds.
        """
        line: str | None = _function(self.reads)(state)
        return line

    def change(self, state: BootState, kernel_args: KernelArgs) -> ConfigChange:
        """What gives the kernel these arguments from the next boot on. Raises WholecardError."""
        change: ConfigChange = _function(self.plans)(state, kernel_args)
        return change


def _function(path: str) -> Any:
    file, _, name = path.partition(".")
    return getattr(__import__(f"wholecard.host.bootloaders.{file}", fromlist=[name]), name)


def loader_named(name: str | None) -> BootLoader | None:
    """The loader of that name; None where Wholecard knows none."""
    return next((loader for loader in LOADERS if loader.name == name), None)


def find_loaders(root: Root, settings: Settings) -> tuple[str, ...]:
    """The names of the loaders under `root`, the one to be used first.

    None where an owner that is not supported would write over what is changed there. A supported
    owner comes first. A loader that reports itself comes before the others where it
    started the host and last where it did not: systemd-boot beside GRUB may be no more than an
    installed package.
    """
    if find_unsupported_loaders(root):
        return ()
    ran = _loader_info(root)
    installed = [loader for loader in LOADERS if loader.is_installed(root, settings)]
    installed.sort(
        key=lambda loader: (
            not loader.owner,
            loader.reports_as not in ("", ran),
            not loader.reports_as,
        )
    )
    return tuple(loader.name for loader in installed)


# Owners of loader entries that Wholecard does not support: CachyOS's and Manjaro's two.
_UNSUPPORTED = ("sdboot-manage", "limine-update")


def find_unsupported_loaders(root: Root) -> tuple[str, ...]:
    """The tools under `root` that own loader entries and are not supported."""
    return tuple(tool for tool in _UNSUPPORTED if has_any(root, f"usr/bin/{tool}"))


def _has_grubby(root: Root, settings: Settings) -> bool:
    return has_any(root, "usr/sbin/grubby", "usr/bin/grubby") and _has_entries(root, settings)


def _has_entries(root: Root, settings: Settings) -> bool:
    entries = bool(listed(under(root, ENTRIES)))
    if not settings.grub:
        return entries
    from wholecard.host.bootloaders import bls_entries

    # Entries may be left from before GRUB_ENABLE_BLSCFG was set to false.
    enabled = bls_entries.enabled(settings)
    return entries if enabled is None else enabled


def _has_systemd_boot(root: Root, _settings: Settings) -> bool:
    installed = [
        f"{folder[1:]}/{file}"
        for folder in EFI_FOLDERS
        for file in ("loader/loader.conf", "EFI/systemd/systemd-bootx64.efi")
    ]
    return has_all(root, "usr/bin/kernel-install") and (
        _loader_info(root) == "systemd-boot" or has_any(root, *installed)
    )


def _has_update_grub(root: Root, _settings: Settings) -> bool:
    return has_all(root, "etc/default/grub", "usr/sbin/update-grub")


def _has_grub2_mkconfig(root: Root, _settings: Settings) -> bool:
    return has_all(root, "etc/default/grub") and has_any(
        root, "usr/sbin/grub2-mkconfig", "usr/bin/grub2-mkconfig"
    )


def _has_proxmox_boot_tool(root: Root, _settings: Settings) -> bool:
    # As `proxmox-boot-tool status` decides it.
    return has_all(root, "usr/sbin/proxmox-boot-tool") and bool(
        read_text(under(root, "etc/kernel/proxmox-boot-uuids"))
    )


def _has_kernelstub(root: Root, settings: Settings) -> bool:
    # With BIOS, Pop!_OS has GRUB; kernelstub is installed there too.
    if not has_all(root, "usr/bin/kernelstub", KERNELSTUB[1:]):
        return False
    ran = _loader_info(root)
    return ran == "systemd-boot" or (not ran and not _has_update_grub(root, settings))


def _has_sdbootutil(root: Root, _settings: Settings) -> bool:
    if not has_any(root, "usr/bin/sdbootutil", "usr/sbin/sdbootutil"):
        return False
    kinds = ("grub2-bls", "systemd-boot")
    sysconfig = read_text(under(root, "etc/sysconfig/bootloader"))
    return _loader_info(root) in kinds or any(
        line.replace("'", '"') in (f'LOADER_TYPE="{kind}"', f"LOADER_TYPE={kind}")
        for line in sysconfig.splitlines()
        for kind in kinds
    )


# https://systemd.io/BOOT_LOADER_INTERFACE: the loader that ran writes its name here, in UTF-16.
_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def _loader_info(root: Root) -> str:
    """The name of the loader that ran, `systemd-boot` or `GRUB`; empty where it wrote none."""
    data = read_bytes(under(root, _LOADER_INFO)) or b""
    # efivarfs puts four bytes of attributes before the text; a version follows the name.
    name = data[4:].decode("utf-16-le", "replace").partition(" ")[0]
    return name.strip("\0")


# In the order in which one is chosen where several are installed.
LOADERS = (
    BootLoader("proxmox-boot-tool", "proxmox-boot-tool with its EFI partitions",
               _has_proxmox_boot_tool, "proxmox.configured_command_line", "proxmox.change",
               owner=True),
    BootLoader("kernelstub", "kernelstub with its configuration", _has_kernelstub,
               "kernelstub.configured_command_line", "kernelstub.change", owner=True),
    BootLoader("sdbootutil", "sdbootutil with boot loader entries", _has_sdbootutil,
               "cmdline_file.configured_command_line", "sdbootutil.change", owner=True,
               makes_initramfs=True),
    BootLoader("grubby", "grubby with boot loader entries", _has_grubby,
               "bls_entries.configured_command_line", "grubby.change"),
    BootLoader("systemd-boot", "kernel-install with systemd-boot", _has_systemd_boot,
               "cmdline_file.configured_command_line", "kernel_install.change", "systemd-boot"),
    BootLoader("grub", "update-grub with /etc/default/grub", _has_update_grub,
               "grub_own_part.configured_command_line", "update_grub.by_update_grub"),
    BootLoader("grub2", "grub2-mkconfig with /etc/default/grub", _has_grub2_mkconfig,
               "grub_own_part.configured_command_line", "update_grub.by_grub2_mkconfig"),
)  # fmt: skip
