"""What kernel-install gives to the kernel: /etc/kernel/cmdline, or what it falls back to.

Source: kernel-install(8) and 90-loaderentry.install of systemd 257.
"""

from __future__ import annotations

from wholecard.host.config_files import KERNEL_CMDLINE, KERNEL_CMDLINE_VENDOR
from wholecard.host.kernel_args import command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.host.bootloaders.registry import BootState

# The boot loader's own words, which kernel-install leaves out too.
_OF_LOADERS = ("BOOT_IMAGE", "initrd")


def configured_command_line(state: BootState) -> str | None:
    """What kernel-install gives to the kernel; None where no file and no running kernel has it."""
    for path in (KERNEL_CMDLINE, KERNEL_CMDLINE_VENDOR):
        text = state.settings.file(path).text
        if text is not None:
            lines = [line for line in text.splitlines() if has_arguments(line)]
            return " ".join(word for line in lines for word in command_line.words(line))
    words = command_line.words(state.running)
    return " ".join(w for w in words if command_line.name_of(w) not in _OF_LOADERS) or None


def has_arguments(line: str) -> bool:
    """Whether a line of the file is neither empty nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")
