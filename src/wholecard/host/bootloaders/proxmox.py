"""Proxmox VE with proxmox-boot-tool: it owns the EFI partitions, which are not mounted.

`proxmox-boot-tool refresh` copies kernels and images to each of them. On partitions with
systemd-boot the command line is that of /etc/kernel/cmdline, on those with GRUB that of GRUB's
settings; update-grub itself runs it. Source: Proxmox VE administration guide, "Host Bootloader";
proxmox-kernel-helper, /etc/grub.d/000_proxmox_boot_header.
"""

from __future__ import annotations

from wholecard.host.bootloaders import cmdline_file, grub_own_part, kernel_install, update_grub
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import IN_INITRAMFS, KERNEL_CMDLINE, MODPROBE
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import BootCopies, ConfigChange, FollowUp
from wholecard.host.operations.run_at_rollback import RunAtRollback
from wholecard.host.operations.run_tool import RunTool

_REFRESH = ("proxmox-boot-tool", "refresh")
COPIES = BootCopies(
    "proxmox-boot-tool",
    "The EFI partitions have copies of kernel, initramfs and command line.",
    RunAtRollback(_REFRESH),
)


def change(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The settings of the loader that ran, and the copies. Raises WholecardError."""
    reason = kernel_args.reason
    if _is_grub(state):
        changed = update_grub.settings(state, kernel_args)
        outputs: tuple[str, ...] = ("/boot/grub/grub.cfg", "/boot/grub/grub.cfg.new")
    else:
        changed = (kernel_install.changed_file(state, kernel_args),)
        outputs = ()
    tool = FollowUp(
        "proxmox-boot-tool",
        "The next boot reads kernel, initramfs and command line from the EFI partitions.",
        RunTool(_REFRESH, outputs),
        "it runs again after the former files are restored",
        after=(*(file.path for file in changed), MODPROBE, *IN_INITRAMFS),
    )
    return ConfigChange(tuple((file, reason) for file in changed), (tool,), copies=(COPIES,))


def configured_command_line(state: BootState) -> str | None:
    """What the settings of the loader that ran give to the kernel."""
    if _is_grub(state):
        return grub_own_part.configured_command_line(state)
    return cmdline_file.configured_command_line(state)


def _is_grub(state: BootState) -> bool:
    """Whether GRUB started the host, which says so on the command line; else what a tree has."""
    if state.running:
        return "BOOT_IMAGE" in map(command_line.name_of, command_line.words(state.running))
    return state.settings.file(KERNEL_CMDLINE).text is None
