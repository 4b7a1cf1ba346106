"""The command line through kernel-install (systemd-boot): /etc/kernel/cmdline.

kernel-install writes a loader entry, or a unified image, for each kernel with the arguments of
/etc/kernel/cmdline, else of /usr/lib/kernel/cmdline, else of the running kernel. The file is
written from what is in effect, so that nothing is lost. Source: kernel-install(8) and
90-loaderentry.install of systemd 257.
"""

from __future__ import annotations

from wholecard.core import WholecardError
from wholecard.host.bootloaders.cmdline_file import configured_command_line, lines_of, says
from wholecard.host.config_files import (
    EFI_PLACES,
    IN_INITRAMFS,
    KERNEL_CMDLINE,
    MODPROBE,
    FileText,
    Settings,
)
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def change(
    settings: Settings, running: str, kernels: tuple[tuple[str, str], ...], wanted: KernelArgs
) -> ConfigChange:
    """The file, and kernel-install for each kernel (version and image).

    Raises WholecardError where there is no command line to begin with.
    """
    after = _merged(settings, running, wanted)
    standing = settings.file(KERNEL_CMDLINE)
    reason = f"The kernel is told by its arguments: {wanted}."
    tools = tuple(
        FollowUp(
            f"kernel-install {version}",
            "The next boot reads arguments and initramfs from the entry of this kernel.",
            RunTool(("kernel-install", "add", version, image), outputs(version)),
            "put the former entry back, or run it again where it has changed since",
            # The entry's copy of the initramfs is made anew as well.
            after=(KERNEL_CMDLINE, MODPROBE, *IN_INITRAMFS),
        )
        for version, image in kernels
    )
    return ConfigChange(((FileText(KERNEL_CMDLINE, after, standing.mode), reason),), tools)


def outputs(version: str) -> tuple[str, ...]:
    """What kernel-install writes for one kernel, as globs."""
    return tuple(
        f"{place}/{below}"
        for place in EFI_PLACES
        for below in (
            f"loader/entries/*{version}*.conf",
            f"*/{version}/*",
            f"EFI/Linux/*{version}*",
        )
    )


def _merged(settings: Settings, running: str, wanted: KernelArgs) -> str:
    standing = settings.file(KERNEL_CMDLINE).text
    if standing is not None and lines_of(standing):
        lines = standing.splitlines(keepends=True)
        ours = [place for place, line in enumerate(lines) if says(line)]
        for place, line in zip(ours, command_line.merge([lines[each] for each in ours], wanted)):
            lines[place] = line
        return "".join(lines)
    before = configured_command_line(settings, running)
    if standing is None and before is None:
        raise WholecardError(
            "no command line to begin with",
            f"There is no {KERNEL_CMDLINE} and no running kernel in this tree.",
            f"Write {KERNEL_CMDLINE} with at least root=.",
        )
    return command_line.merge([before or ""], wanted)[0] + "\n"
