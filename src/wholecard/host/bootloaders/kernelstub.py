"""The command line through kernelstub (Pop!_OS): its own configuration and systemd-boot's entries.

`kernelstub -o LINE` sets the arguments but `root=`, in the order of the line, writes them to its
configuration and to the entry, and copies kernel and image to the EFI partition. Source:
kernelstub 3, application.py and kernelstub(1).
"""

from __future__ import annotations

import json

from wholecard.core import WholecardError
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import IN_INITRAMFS, KERNELSTUB, MODPROBE
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool

# What its hook of update-initramfs copies to the EFI partition.
IMAGES = ("/boot/efi/EFI/*/vmlinuz*", "/boot/efi/EFI/*/initrd*", "/boot/efi/EFI/*/cmdline")

_OUTPUTS = (
    KERNELSTUB,
    "/boot/efi/loader/loader.conf",
    "/boot/efi/loader/entries/*.conf",
    *IMAGES,
)


def change(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """One call of kernelstub. Raises WholecardError where its configuration cannot be read."""
    before = configured_command_line(state)
    if before is None:
        raise WholecardError(
            "cannot read the configuration of kernelstub",
            f"{KERNELSTUB} has no list of kernel_options.",
            "Run kernelstub once, which writes it, and look at it with kernelstub -p.",
        )
    (after,) = command_line.merge([before], kernel_args)
    tool = FollowUp(
        "kernelstub",
        kernel_args.reason,
        RunTool(
            ("kernelstub", "-o", after),
            _OUTPUTS,
            again=("kernelstub", "-o", before),
            shows=kernel_args.words,
        ),
        "restore the former files; set the former arguments if a file has changed since",
        # It also copies the image that the entry boots.
        after=() if after != before else (MODPROBE, *IN_INITRAMFS),
    )
    return ConfigChange(tools=(tool,))


def configured_command_line(state: BootState) -> str | None:
    """The arguments in kernelstub's configuration; None where it has none."""
    try:
        data = json.loads(state.settings.file(KERNELSTUB).text or "")
        options = data["user"]["kernel_options"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(options, list) or not all(isinstance(word, str) for word in options):
        return None
    return " ".join(options)
