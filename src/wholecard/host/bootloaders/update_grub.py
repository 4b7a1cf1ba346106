"""GRUB's settings and the tool that makes grub.cfg of them: update-grub or grub2-mkconfig.

SUSE and EL 9 have one grub.cfg for firmware of both kinds: what lies on the EFI partition is a stub
that reads it. EL 7 and 8 have theirs on the EFI partition, where /etc/grub2-efi.cfg leads. Source:
grub2-mkconfig(8) of openSUSE Leap 15.6, EL 7 and EL 9; update-grub(8) of Debian.
"""

from __future__ import annotations

from wholecard.host.bootloaders.grub_own_part import change_in_place, change_part
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import FileText
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def by_update_grub(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The change on Debian and its kin. Raises as `settings` does."""
    files = settings(state, kernel_args)
    return _change(files, kernel_args, "/boot/grub/grub.cfg", "update-grub")


def by_grub2_mkconfig(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The change on SUSE and EL."""
    files = change_in_place(state, kernel_args)
    return _change(files, kernel_args, state.menu, "grub2-mkconfig", "-o", state.menu)


def settings(state: BootState, kernel_args: KernelArgs) -> tuple[FileText, ...]:
    """GRUB's settings that change. Raises WholecardError where a file is read after our own."""
    change = change_part if state.reads_parts else change_in_place
    return change(state, kernel_args)


def _change(
    changed: tuple[FileText, ...], kernel_args: KernelArgs, menu: str, *argv: str
) -> ConfigChange:
    """The settings that change, and the tool that makes `menu` where any does."""
    reason = kernel_args.reason
    files = tuple((file, reason) for file in changed)
    run = FollowUp(
        argv[0],
        "The next boot reads the kernel's arguments from grub.cfg.",
        # grub-mkconfig writes the new menu beside the old one.
        RunTool(argv, (menu, f"{menu}.new"), shows=kernel_args.words),
        "restore the former grub.cfg, or run the tool again if the file has changed since",
        after=tuple(file.path for file, _ in files),
    )
    return ConfigChange(files, (run,) if files else ())
