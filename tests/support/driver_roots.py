"""Debian roots with modules that DKMS built, cached as the lab's parts are, and QEMU for them."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from wholecard.core import run
from wholecard.guest.drivers.driver_plan import DriverPlan, DriverRequest, driver_plan
from wholecard.guest.drivers.generation import Card, generation_of
from wholecard.guest.image import cpio, debian_root
from wholecard.guest.image.initramfs import MODULES_DIR, entries, static_busybox
from wholecard.guest.image.kernel_modules import Module
from wholecard.guest.image.recipe import GuestOs, InstallPackages, Recipe
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.lab.base import cache
from wholecard.lab.base.folder import LabFolder, key_of
from wholecard.lab.parts.root_filesystem import NOT_UNPACKED, root_entry

SYSTEM = GuestOs("debian", "13")
BASE = ("linux-image-amd64", "initramfs-tools", "kmod", "busybox-static", "ca-certificates")
# 9 CPU seconds with its build, where NVIDIA's takes 242.
STAND_IN = InstallPackages(
    ("linux-headers-amd64", "v4l2loopback-dkms"), "a small module that DKMS builds"
)
# The kernel's own shell script: insmod in their order, then what the kernel said.
_INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /{MODULES_DIR}/order); do
	/bin/busybox insmod /{MODULES_DIR}/$module
	echo "insmod $module $?"
done
/bin/busybox dmesg | /bin/busybox grep -i -e nvrm -e nvidia
/bin/busybox uname -r
/bin/busybox poweroff -f
"""


def stand_in_root(folder: LabFolder) -> Path:
    """A Debian root with its full kernel and v4l2loopback, which DKMS built in it."""

    def build(root: Path) -> None:
        debian_root.unpack("trixie", root, BASE, not_unpacked=NOT_UNPACKED)
        SandboxRoot().write(Recipe(SYSTEM, (STAND_IN,)), root, lambda line: None)

    key = key_of("trixie", BASE, NOT_UNPACKED, STAND_IN)
    return cache.entry(folder.cache, "driver-root", key, build, ["lib/modules/*/modules.alias"])


def nvidia_plan() -> DriverPlan:
    """Debian's own open driver for an H100, with the table's patch."""
    card = Card("10de:2330", "", generation_of("10de", "2330", ""))
    return driver_plan(
        DriverRequest((card,), SYSTEM, date(2026, 11, 30), origin="debian", patch=True)
    )


def nvidia_root(folder: LabFolder, plain: Path, kernel: str) -> Path:
    """The root of `plain` with Debian's real driver, cached by driver, kernel and compiler."""
    plan = nvidia_plan()

    def build(root: Path) -> None:
        # shutil would read /dev/zero of the root to its end.
        run(["cp", "--archive", "--reflink=auto", f"{plain}/.", str(root)], timeout=600)
        SandboxRoot().write(Recipe(SYSTEM, plan.steps), root, lambda line: None)

    config = (plain / f"usr/src/linux-headers-{kernel}/.config").read_text()
    compiler = next(line for line in config.splitlines() if line.startswith("CONFIG_CC_VERSION"))
    key = key_of("trixie", plan.choices[0].packages.version, kernel, compiler, plan.steps)
    return cache.entry(folder.cache, "nvidia-root", key, build,
                       ["lib/modules/*/updates/dkms/nvidia*.ko*"])  # fmt: skip


def loaded_in_qemu(
    folder: LabFolder, root: Path, kernel: str, modules: Sequence[Module], scratch: Path
) -> str:
    """The serial console of the root's own kernel, which loads the modules under TCG."""
    archive = cpio.archive(entries(static_busybox(root), modules, _INIT.encode()))
    (scratch / "initrd").write_bytes(gzip.compress(archive, 1))
    shutil.copyfile(root / f"boot/vmlinuz-{kernel}", scratch / "kernel")
    tools = Sandbox(root_entry(folder), (Mount(scratch, "/mnt"),))
    return tools.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", "768", "-nographic",
         "-no-reboot", "-net", "none", "-kernel", "/mnt/kernel", "-initrd", "/mnt/initrd",
         "-append", "console=ttyS0 quiet panic=-1 mitigations=off"],
        timeout=300,
    ).stdout.replace("\r", "")  # fmt: skip
