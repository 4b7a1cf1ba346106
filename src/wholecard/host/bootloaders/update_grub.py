"""GRUB's settings and the tool that makes grub.cfg of them: update-grub or grub2-mkconfig.

grub2-mkconfig (SUSE, EL without boot loader entries) writes one file for firmware of both kinds:
what lies on the EFI partition is a stub that reads it. Source: grub2-mkconfig(8) of openSUSE Leap
15.6 and EL 9; update-grub(8) of Debian.
"""

from __future__ import annotations

from wholecard.host.bootloaders.grub_defaults import edit
from wholecard.host.config_files import Settings
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool

UPDATE_GRUB = RunTool(("update-grub",), ("/boot/grub/grub.cfg",))
MKCONFIG = RunTool(("grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"), ("/boot/grub2/grub.cfg",))


def change(settings: Settings, wanted: KernelArgs, tool: RunTool) -> ConfigChange:
    """The settings that change, and the tool where any does. Raises as `grub.edit` does."""
    reason = f"The kernel is told by its arguments: {wanted}."
    files = tuple((changed, reason) for changed in edit(settings.grub, wanted))
    run = FollowUp(
        tool.argv[0],
        "The next boot reads the kernel's arguments from grub.cfg.",
        tool,
        "put the former grub.cfg back, or run it again where it has changed since",
        after=tuple(file.path for file, _ in files),
    )
    return ConfigChange(files, (run,) if files else ())
