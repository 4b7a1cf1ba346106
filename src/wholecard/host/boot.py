"""Who makes the next boot: boot loader, initramfs tool, kernels; found in the tree, never run."""

from __future__ import annotations

import re
from pathlib import Path

from wholecard.host import entries, grub, kernel_cmdline
from wholecard.host.settings import ENTRIES, Settings

# In the order in which one is chosen where several are there.
LOADERS = ("grubby", "systemd-boot", "grub", "grub2")
INITRAMFS = ("initramfs-tools", "dracut")

# The Boot Loader Interface: the loader that ran says its name here, in UTF-16.
_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def find_loaders(root: Path, settings: Settings) -> tuple[str, ...]:
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


def find_initramfs(root: Path) -> tuple[str, ...]:
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
        return entries.command_line(settings)
    if loader == "systemd-boot":
        return kernel_cmdline.command_line(settings, running)
    return grub.command_line(settings) if loader in ("grub", "grub2") else None


def find_kernels(root: Path) -> tuple[tuple[str, str], ...]:
    """The installed kernels with modules: version, and the image's absolute path."""
    found = []
    for modules in sorted(_names(root / "lib/modules")):
        for image in (f"lib/modules/{modules}/vmlinuz", f"boot/vmlinuz-{modules}"):
            if _all(root, image):
                found.append((modules, f"/{image}"))
                break
    return tuple(found)


def is_transactional(root: Path) -> bool:
    """Whether `/` is read-only and changed through transactional-update (SUSE)."""
    if not _any(root, "usr/sbin/transactional-update", "usr/bin/transactional-update"):
        return False
    mounts = _text(root / "proc/mounts") or _text(root / "etc/fstab")
    rows = [line.split() for line in mounts.splitlines() if not line.startswith("#")]
    # The last one is on top.
    options = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    return bool(options) and "ro" in options[-1]


def _systemd_boot(root: Path) -> bool:
    installed = [
        f"{place.lstrip('/')}/{below}"
        for place in kernel_cmdline.PLACES
        for below in ("loader/loader.conf", "EFI/systemd/systemd-bootx64.efi")
    ]
    return _all(root, "usr/bin/kernel-install") and (
        _loader_info(root) == "systemd-boot" or _any(root, *installed)
    )


def _loader_info(root: Path) -> str:
    """The name of the loader that ran, `systemd-boot` or `GRUB`; empty where it did not say."""
    try:
        data = (root / _LOADER_INFO).read_bytes()
    except OSError:
        return ""
    # Four bytes of attributes come before the text.
    match = re.match(r"[A-Za-z-]+", data[4:].decode("utf-16-le", "replace"))
    return match[0] if match else ""


def _has_names(root: Path, settings: Settings) -> bool:
    # Entries may be left from before GRUB_ENABLE_BLSCFG was set to false.
    enabled = entries.enabled(settings)
    return bool(_names(root / ENTRIES)) if enabled is None else enabled


def _names(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return []


def _all(root: Path, *paths: str) -> bool:
    return all(_any(root, path) for path in paths)


def _any(root: Path, *paths: str) -> bool:
    for path in paths:
        try:
            (root / path).lstat()
        except OSError:
            continue
        return True
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
