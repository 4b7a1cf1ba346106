"""The command line through kernel-install (systemd-boot): /etc/kernel/cmdline.

kernel-install writes a loader entry, or a unified image, for each kernel with the arguments of
/etc/kernel/cmdline, else of /usr/lib/kernel/cmdline, else of the running kernel. The file is
written from what is in effect, so that nothing is lost. Source: kernel-install(8) and
90-loaderentry.install of systemd 257.
"""

from __future__ import annotations

from wholecard.core import WholecardError
from wholecard.core.record import replace
from wholecard.host.bootloaders.cmdline_file import configured_command_line, has_arguments
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import (
    EFI_FOLDERS,
    IN_INITRAMFS,
    KERNEL_CMDLINE,
    MODPROBE,
    FileText,
)
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def change(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """The file, and kernel-install for each kernel. Raises as `changed_file` does."""
    file = changed_file(state, kernel_args)
    reason = kernel_args.reason
    tools = tuple(
        FollowUp(
            f"kernel-install {version}",
            "The next boot reads arguments and initramfs from the entry of this kernel.",
            RunTool(
                ("kernel-install", "add", version, image),
                outputs(version),
                shows=kernel_args.words,
            ),
            "restore the former entry, or run the tool again if the entry has changed since",
            # kernel-install copies the initramfs beside the entry.
            after=(KERNEL_CMDLINE, MODPROBE, *IN_INITRAMFS),
        )
        for version, image in state.kernels
    )
    return ConfigChange(((file, reason),), tools)


def changed_file(state: BootState, kernel_args: KernelArgs) -> FileText:
    """/etc/kernel/cmdline with the arguments.

    Raises WholecardError where there is no command line to start from.
    """
    return replace(state.settings.file(KERNEL_CMDLINE), text=_merged(state, kernel_args))


def outputs(version: str) -> tuple[str, ...]:
    """What kernel-install writes for one kernel, as globs."""
    return tuple(
        f"{folder}/{pattern}"
        for folder in EFI_FOLDERS
        for pattern in (
            f"loader/entries/*{version}*.conf",
            f"*/{version}/*",
            f"EFI/Linux/*{version}*",
        )
    )


def _merged(state: BootState, kernel_args: KernelArgs) -> str:
    text = state.settings.file(KERNEL_CMDLINE).text
    lines = (text or "").splitlines(keepends=True)
    positions = [position for position, line in enumerate(lines) if has_arguments(line)]
    if positions:
        merged = command_line.merge([lines[position] for position in positions], kernel_args)
        for position, line in zip(positions, merged):
            lines[position] = line
        return "".join(lines)
    before = configured_command_line(state)
    if text is None and before is None:
        raise WholecardError(
            "the present kernel command line is not known",
            f"There is no {KERNEL_CMDLINE} and no running kernel in this tree.",
            f"Write {KERNEL_CMDLINE} with at least root=.",
        )
    return command_line.merge([before or ""], kernel_args)[0] + "\n"
