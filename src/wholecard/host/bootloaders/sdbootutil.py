"""The command line through sdbootutil (openSUSE): entries on the EFI partition.

`mkinitrd` makes each entry's image anew, `update-all-entries` takes the arguments from
/etc/kernel/cmdline. Both kinds of loader, `grub2-bls` and `systemd-boot`, read the same entries.
Source: sdbootutil --help and its README.
"""

from __future__ import annotations

from wholecard.host.bootloaders import kernel_install
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import EFI_FOLDERS, IN_INITRAMFS, KERNEL_CMDLINE, MODPROBE
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool

_ENTRIES = tuple(f"{folder}/loader/entries/*.conf" for folder in EFI_FOLDERS)


def change(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The file, the images and the entries. Raises as `kernel_install.changed_file` does."""
    file = kernel_install.changed_file(state, kernel_args)
    images = tuple(
        f"{folder}/*/{version}/*" for folder in EFI_FOLDERS for version, _ in state.kernels
    )
    undo = "restore the former files; run it again if one has changed since"
    tools = (
        FollowUp(
            "sdbootutil mkinitrd",
            "The next boot reads these files from the initramfs on the EFI partition.",
            RunTool(("sdbootutil", "mkinitrd"), (*images, *_ENTRIES)),
            undo,
            after=(MODPROBE, *IN_INITRAMFS),
        ),
        FollowUp(
            "sdbootutil update-all-entries",
            "The next boot reads the kernel's arguments from its entry.",
            RunTool(
                ("sdbootutil", "update-all-entries"),
                _ENTRIES,
                shows=kernel_args.words,
            ),
            undo,
            after=(KERNEL_CMDLINE,),
        ),
    )
    return ConfigChange(((file, kernel_args.reason),), tools)
