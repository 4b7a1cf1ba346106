"""The command line through GRUB's settings where the tools have a 2 in their names (SUSE, EL).

The settings are those of `grub`; grub2-mkconfig writes one file, for firmware of both kinds: what
lies on the EFI partition is a stub that reads it. With GRUB_ENABLE_BLSCFG=true, as EL has it, the
arguments are not in that file but in boot loader entries, and grubby changes them. Source: GRUB
manual, "Simple configuration handling"; grub2-mkconfig(8) of openSUSE Leap 15.6 and EL 9.
"""

from __future__ import annotations

import re

from wholecard.host.arguments import Wanted
from wholecard.host.change import Change, Tool
from wholecard.host.grub import changed_files
from wholecard.host.operations import RunTool
from wholecard.host.settings import Settings

MKCONFIG = RunTool(("grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"), ("/boot/grub2/grub.cfg",))

_BLS = re.compile(r"""^\s*(?:export\s+)?GRUB_ENABLE_BLSCFG=["']?(\w+)["']?""", re.MULTILINE)


def entries_enabled(settings: Settings) -> bool | None:
    """Whether grub2-mkconfig leaves the menu to boot loader entries; None where nothing says it."""
    found = [match for each in settings.grub for match in _BLS.findall(each.text or "")]
    return found[-1] == "true" if found else None


def change(settings: Settings, wanted: Wanted) -> Change:
    """The settings edited, and grub2-mkconfig."""
    files = changed_files(settings, wanted)
    tool = Tool(
        "grub2-mkconfig",
        "The next boot reads the kernel's arguments from grub.cfg.",
        MKCONFIG,
        "put the former grub.cfg back, or run it again where it has changed since",
        after=tuple(file.path for file, _ in files),
    )
    return Change(files, (tool,) if files else ())
