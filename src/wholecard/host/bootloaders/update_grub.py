"""GRUB's settings and the tool that makes grub.cfg of them: update-grub or grub2-mkconfig.

grub2-mkconfig (SUSE, EL without boot loader entries) writes one file for firmware of both kinds:
what lies on the EFI partition is a stub that reads it. Source: grub2-mkconfig(8) of openSUSE Leap
15.6 and EL 9; update-grub(8) of Debian.
"""

from __future__ import annotations

from wholecard.host.bootloaders.grub_defaults import edit
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def by_update_grub(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The change on Debian and Ubuntu. Raises as `grub_defaults.edit` does."""
    return _change(state, kernel_args, "/boot/grub/grub.cfg", "update-grub")


def by_grub2_mkconfig(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The change on SUSE and EL. Raises as `grub_defaults.edit` does."""
    menu = "/boot/grub2/grub.cfg"
    return _change(state, kernel_args, menu, "grub2-mkconfig", "-o", menu)


def _change(state: BootState, kernel_args: KernelArgs, menu: str, *argv: str) -> ConfigChange:
    """The settings that change, and the tool that makes `menu` where any does."""
    reason = f"The kernel gets these arguments: {kernel_args}."
    files = tuple((file, reason) for file in edit(state.settings.grub, kernel_args))
    run = FollowUp(
        argv[0],
        "The next boot reads the kernel's arguments from grub.cfg.",
        RunTool(argv, (menu,)),
        "restore the former grub.cfg, or run the tool again if the file has changed since",
        after=tuple(file.path for file, _ in files),
    )
    return ConfigChange(files, (run,) if files else ())
