"""The proof guest's initramfs: busybox, the drivers, and the agent."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from wholecard.core import UsageError, WholecardError
from wholecard.guest.image import cpio
from wholecard.guest.image.kernel_modules import GUEST_MODULES, Module, kernel_release, read_modules

MODULES_DIR = "lib/wholecard"
_ELF_INTERPRETER = b"/lib64/ld-linux"


def build(
    root: Path, release: str | None = None, modules: Sequence[str] = GUEST_MODULES, level: int = 6
) -> bytes:
    """The gzip-compressed initramfs made of a Debian root's static busybox and kernel modules.

    `release` is the kernel's, None where the root has only one; `modules` are names; `level` is
    gzip's, 1 to 9. The same root gives the same bytes. Raises UsageError for another level,
    WholecardError where the root lacks busybox, the kernel or a module.
    """
    if level not in range(1, 10):
        raise UsageError(f"gzip has no level {level}", resolution="Choose 1 to 9.")
    loaded = read_modules(root, release or kernel_release(root), modules)
    agent = resources.files("wholecard.guest.agent").joinpath("agent.sh").read_bytes()
    # Before busybox has installed its links there is no /bin/sh.
    init = agent.replace(b"#!/bin/sh\n", b"#!/bin/busybox sh\n", 1)
    content = cpio.archive(entries(static_busybox(root), loaded, init))
    return gzip.compress(content, compresslevel=level, mtime=0)


def entries(busybox: bytes, modules: Sequence[Module], init: bytes) -> tuple[cpio.CpioEntry, ...]:
    """What the archive holds; `lib/wholecard/order` names the modules in the order of loading."""
    order = "".join(f"{module.name}.ko\n" for module in modules)
    return (
        *(cpio.directory(name) for name in ("bin", "dev", "proc", "sys")),
        cpio.file("bin/busybox", busybox, 0o755),
        cpio.file("init", init, 0o755),
        cpio.file(f"{MODULES_DIR}/order", order.encode()),
        *(cpio.file(f"{MODULES_DIR}/{module.name}.ko", module.data) for module in modules),
    )


def static_busybox(root: Path) -> bytes:
    """The root's busybox. Raises WholecardError where it is missing or needs libraries."""
    for path in (root / "bin/busybox", root / "usr/bin/busybox"):
        if path.is_file():
            data = path.read_bytes()
            # A dynamically linked program names its loader within the first pages.
            if _ELF_INTERPRETER in data[:4096]:
                break
            return data
    raise WholecardError(
        f"{root} has no static busybox", resolution="Install busybox-static in that root."
    )
