"""The boot loaders that Wholecard knows, one row each."""

from __future__ import annotations

import os

from wholecard.core.small_files import listed, read_bytes, under
from wholecard.host.config_files import EFI_PLACES, ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root
    from wholecard.host.config_files import Settings

# In the order in which one is chosen where several are there.
LOADERS = ("grubby", "systemd-boot", "grub", "grub2")


# The Boot Loader Interface: the loader that ran says its name here, in UTF-16.
_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def find_loaders(root: Root, settings: Settings) -> tuple[str, ...]:
    """The loaders whose tools and settings are under `root`, the one to be used first.

    systemd-boot comes first where it says that it booted the host, or where nothing else is
    there; being installed beside GRUB it may be no more than a package.
    """
    there = {
        "grubby": has_any(root, "usr/sbin/grubby", "usr/bin/grubby") and _has_names(root, settings),
        "systemd-boot": _systemd_boot(root),
        "grub": has_all(root, "etc/default/grub", "usr/sbin/update-grub"),
        "grub2": has_all(root, "etc/default/grub")
        and has_any(root, "usr/sbin/grub2-mkconfig", "usr/bin/grub2-mkconfig"),
    }
    found = [name for name in LOADERS if there[name]]
    if "systemd-boot" in found and _loader_info(root) != "systemd-boot":
        found.remove("systemd-boot")
        found.append("systemd-boot")
    elif "systemd-boot" in found:
        found.sort(key=lambda name: name != "systemd-boot")
    return tuple(found)


def next_command_line(loader: str | None, settings: Settings, running: str) -> str | None:
    """What the loader's settings give to the kernel at the next boot; None where they do not tell.

    `running` is the command line of the kernel that runs, which kernel-install falls back to.
    GRUB's settings do not have `root=`, which grub-mkconfig adds.
    """
    if loader == "grubby":
        from wholecard.host.bootloaders import bls_entries

        return bls_entries.configured_command_line(settings)
    if loader == "systemd-boot":
        from wholecard.host.bootloaders import cmdline_file

        return cmdline_file.configured_command_line(settings, running)
    if loader in ("grub", "grub2"):
        from wholecard.host.bootloaders import grub_defaults

        return grub_defaults.configured_command_line(settings)
    return None


def _systemd_boot(root: Root) -> bool:
    installed = [
        f"{place[1:]}/{below}"
        for place in EFI_PLACES
        for below in ("loader/loader.conf", "EFI/systemd/systemd-bootx64.efi")
    ]
    return has_all(root, "usr/bin/kernel-install") and (
        _loader_info(root) == "systemd-boot" or has_any(root, *installed)
    )


def _loader_info(root: Root) -> str:
    """The name of the loader that ran, `systemd-boot` or `GRUB`; empty where it did not say."""
    data = read_bytes(under(root, _LOADER_INFO)) or b""
    # Four bytes of attributes come before the text, a version behind the name.
    said = data[4:].decode("utf-16-le", "replace").partition(" ")[0]
    return said.strip("\0")


def _has_names(root: Root, settings: Settings) -> bool:
    if not settings.grub:
        return bool(listed(under(root, ENTRIES)))
    from wholecard.host.bootloaders import bls_entries

    # Entries may be left from before GRUB_ENABLE_BLSCFG was set to false.
    enabled = bls_entries.enabled(settings)
    return bool(listed(under(root, ENTRIES))) if enabled is None else enabled


def has_all(root: Root, *paths: str) -> bool:
    """Whether all are there."""
    return all(has_any(root, path) for path in paths)


def has_any(root: Root, *paths: str) -> bool:
    """Whether one is there; a link counts, wherever it leads."""
    return any(os.path.lexists(under(root, path)) for path in paths)
