"""Copies of kernels, initramfs images and command lines that hooks of update-initramfs make.

Where they are files of the tree (a mounted EFI partition, /boot/firmware) they are outputs of
update-initramfs and are put back like the image. What a hook writes elsewhere is made again at
rollback. Source: initramfs-tools(7), "/etc/initramfs/post-update.d": each program there runs after
an image was made, with the kernel's version and the image as arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core.record import dataclass
from wholecard.host.bootloaders import kernel_install, kernelstub, proxmox
from wholecard.host.facts.boot import IMAGE_HOOKS
from wholecard.host.operations.config_change import BootCopies
from wholecard.host.operations.run_at_rollback import RunAtRollback

# raspi-firmware of Debian, where it copies to; flash-kernel's too on boards that boot from there.
_FIRMWARE = tuple(
    f"/boot/firmware/{name}"
    for name in ("initr*", "vmlinu*", "kernel*.img", "cmdline.txt", "config.txt", "boot.scr")
)
_FLASH = ("/boot/uImage*", "/boot/uInitrd*", "/boot/boot.scr*", "/boot/dtb*")


@dataclass(frozen=True)
class HookCopies:
    """What a hook leaves: `outputs` in the tree, as globs, and what makes the rest again."""

    outputs: tuple[str, ...] = ()
    copies: tuple[BootCopies, ...] = ()


def boot_copies(
    hooks: Iterable[str], kernels: tuple[tuple[str, str], ...]
) -> tuple[HookCopies, ...]:
    """For each hook, by its name in post-update.d, what it leaves; `kernels` as in BootState."""
    return tuple(_of_hook(hook, kernels) for hook in hooks)


def _of_hook(hook: str, kernels: tuple[tuple[str, str], ...]) -> HookCopies:
    if "proxmox-boot" in hook:
        return HookCopies(copies=(proxmox.COPIES,))
    if "raspi-firmware" in hook:
        return HookCopies(_FIRMWARE)
    if "systemd-boot" in hook:
        entries = (path for version, _ in kernels for path in kernel_install.outputs(version))
        return HookCopies(tuple(entries))
    if "kernelstub" in hook:
        return HookCopies(kernelstub.IMAGES)
    # Of flash-kernel, and of a hook that nobody knows, only running it again restores all.
    outputs = (*_FIRMWARE, *_FLASH) if "flash-kernel" in hook else ()
    return HookCopies(outputs, tuple(_run_again(hook, kernels)))


def _run_again(hook: str, kernels: tuple[tuple[str, str], ...]) -> Iterator[BootCopies]:
    for version, _ in kernels:
        argv = (f"/{IMAGE_HOOKS}/{hook}", version, f"/boot/initrd.img-{version}")
        yield BootCopies(
            f"{hook} {version}",
            "This hook of update-initramfs copies the image to a place without a backup.",
            RunAtRollback(argv),
        )
