"""Who makes the next boot: boot loader, initramfs tool, kernels; found in the tree, never run."""

from __future__ import annotations

import os

from wholecard.host.settings import EFI_PLACES, ENTRIES
from wholecard.pci.files import listed, read_bytes, read_text, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.host.settings import Settings
    from wholecard.pci.files import Root

# What reads a loader's settings is imported where that loader is: it needs `re`, and inspect's
# start is measured.

# In the order in which one is chosen where several are there.
LOADERS = ("grubby", "systemd-boot", "grub", "grub2")
INITRAMFS = ("initramfs-tools", "dracut")

# The Boot Loader Interface: the loader that ran says its name here, in UTF-16.
_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def find_loaders(root: Root, settings: Settings) -> tuple[str, ...]:
    """The loaders whose tools and settings are under `root`, the one to be used first.

    systemd-boot comes first where it says that it booted the host, or where nothing else is
    there; being installed beside GRUB it may be no more than a package.
    """
    there = {
        "grubby": _any(root, "usr/sbin/grubby", "usr/bin/grubby") and _has_names(root, settings),
        "systemd-boot": _systemd_boot(root),
        "grub": _all(root, "etc/default/grub", "usr/sbin/update-grub"),
        "grub2": _all(root, "etc/default/grub")
        and _any(root, "usr/sbin/grub2-mkconfig", "usr/bin/grub2-mkconfig"),
    }
    found = [name for name in LOADERS if there[name]]
    if "systemd-boot" in found and _loader_info(root) != "systemd-boot":
        found.remove("systemd-boot")
        found.append("systemd-boot")
    elif "systemd-boot" in found:
        found.sort(key=lambda name: name != "systemd-boot")
    return tuple(found)


def find_initramfs(root: Root) -> tuple[str, ...]:
    """The initramfs tools under `root`, the one to be used first.

    Debian's dracut brings an update-initramfs of its own, and initramfs-tools leaves its settings
    behind when it is removed: mkinitramfs tells the two apart.
    """
    dracut = _any(root, "usr/bin/dracut", "usr/sbin/dracut")
    tools = _all(root, "etc/initramfs-tools", "usr/sbin/update-initramfs") and (
        not dracut or _all(root, "usr/sbin/mkinitramfs")
    )
    there = {"initramfs-tools": tools, "dracut": dracut}
    return tuple(name for name in INITRAMFS if there[name])


def next_command_line(loader: str | None, settings: Settings, running: str) -> str | None:
    """What the loader's settings give to the kernel at the next boot; None where they do not tell.

    `running` is the command line of the kernel that runs, which kernel-install falls back to.
    GRUB's settings do not have `root=`, which grub-mkconfig adds.
    """
    if loader == "grubby":
        from wholecard.host import entries

        return entries.command_line(settings)
    if loader == "systemd-boot":
        from wholecard.host import kernel_cmdline

        return kernel_cmdline.command_line(settings, running)
    if loader in ("grub", "grub2"):
        from wholecard.host import grub

        return grub.command_line(settings)
    return None


def find_kernels(root: Root) -> tuple[tuple[str, str], ...]:
    """The installed kernels with modules: version, and the image's absolute path."""
    found = []
    for modules in listed(under(root, "lib/modules")):
        for image in (f"lib/modules/{modules}/vmlinuz", f"boot/vmlinuz-{modules}"):
            if _all(root, image):
                found.append((modules, f"/{image}"))
                break
    return tuple(found)


def is_transactional(root: Root) -> bool:
    """Whether `/` is read-only and changed through transactional-update (SUSE)."""
    if not _any(root, "usr/sbin/transactional-update", "usr/bin/transactional-update"):
        return False
    mounts = read_text(under(root, "proc/mounts")) or read_text(under(root, "etc/fstab"))
    rows = [line.split() for line in mounts.splitlines() if not line.startswith("#")]
    # The last one is on top.
    options = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    return bool(options) and "ro" in options[-1]


def _systemd_boot(root: Root) -> bool:
    installed = [
        f"{place[1:]}/{below}"
        for place in EFI_PLACES
        for below in ("loader/loader.conf", "EFI/systemd/systemd-bootx64.efi")
    ]
    return _all(root, "usr/bin/kernel-install") and (
        _loader_info(root) == "systemd-boot" or _any(root, *installed)
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
    from wholecard.host import entries

    # Entries may be left from before GRUB_ENABLE_BLSCFG was set to false.
    enabled = entries.enabled(settings)
    return bool(listed(under(root, ENTRIES))) if enabled is None else enabled


def _all(root: Root, *paths: str) -> bool:
    return all(_any(root, path) for path in paths)


def _any(root: Root, *paths: str) -> bool:
    """Whether one is there; a link counts, wherever it leads."""
    return any(os.path.lexists(under(root, path)) for path in paths)
