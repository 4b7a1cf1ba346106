"""All writers, the one that is taken first above."""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.guest.image.cloud_config import CloudConfig
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.guest.image.virt_customize import VirtCustomize
from wholecard.guest.image.writer import Writer

WRITERS: tuple[Writer, ...] = (VirtCustomize(), SandboxRoot(), CloudConfig())


def writer_named(name: str, writers: tuple[Writer, ...] = WRITERS) -> Writer:
    """The writer of that name. Raises UsageError where there is none."""
    for writer in writers:
        if writer.name == name:
            return writer
    known = ", ".join(writer.name for writer in writers)
    raise UsageError(f"there is no writer {name[:80]!r}", resolution=f"Writers: {known}.")
