"""All writers, the one that is taken first above."""

from __future__ import annotations

from wholecard.guest.image.cloud_config import CloudConfig
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.guest.image.virt_customize import VirtCustomize
from wholecard.guest.image.writer import Writer

WRITERS: tuple[Writer, ...] = (VirtCustomize(), SandboxRoot(), CloudConfig())
