"""What kernel-install gives to the kernel: /etc/kernel/cmdline, or what it falls back to.

Source: kernel-install(8) and 90-loaderentry.install of systemd 257.
"""

from __future__ import annotations

from wholecard.host.config_files import KERNEL_CMDLINE, KERNEL_CMDLINE_VENDOR, Settings
from wholecard.host.kernel_args import command_line

# The boot loader's own words, which kernel-install leaves out too.
_LOADERS = ("BOOT_IMAGE", "initrd")


def configured_command_line(settings: Settings, running: str) -> str | None:
    """What kernel-install gives to the kernel; None where nothing says it."""
    for path in (KERNEL_CMDLINE, KERNEL_CMDLINE_VENDOR):
        text = settings.file(path).text
        if text is not None:
            return " ".join(word for line in lines_of(text) for word in command_line.words(line))
    kept = [
        word for word in command_line.words(running) if command_line.name_of(word) not in _LOADERS
    ]
    return " ".join(kept) or None


def lines_of(text: str) -> list[str]:
    """The lines of the file that say something."""
    return [line for line in text.splitlines() if says(line)]


def says(line: str) -> bool:
    """Whether a line holds arguments and is no comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")
