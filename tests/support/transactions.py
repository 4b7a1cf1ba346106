"""A small host and a plan with one action of every kind, to be killed at every point."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kernels import Kernel
from support.nodes import pci_tree, with_groups
from support.tree import grow, snapshot
from wholecard.core import Action, Plan
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply
from wholecard.host.changing.status import status
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.inspect import inspect
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.run_at_rollback import RunAtRollback
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction import syscalls
from wholecard.transaction.engine import Outcome

GPU, AUDIO = "0000:01:00.0", "0000:01:00.1"
LABEL = "security.selinux"
SOUND = "snd_hda_intel"

# chroot ROOT TOOL: "calls.kill" ends it and who called it when it is half way, "calls.fail" makes
# it fail there, "calls.wait" makes it wait there for somebody to write to that pipe; with
# "calls.more" there is one more output than before.
TOOLS = """#!/bin/sh
root=$1 tool=$2
echo "$tool" >> "$CALLS"
half_way() {
	if [ -e "$CALLS.kill" ]; then kill -9 $PPID; exit 9; fi
	[ ! -e "$CALLS.fail" ] || exit 7
	[ ! -e "$CALLS.wait" ] || read -r _ < "$CALLS.wait"
}
read -r wished < "$root/etc/default/grub"
case "$tool" in
update-initramfs)
	printf 'half of an image' > "$root/boot/initrd.img-6.1.new"
	half_way
	echo "image with $wished" > "$root/boot/initrd.img-6.1.new"
	mv "$root/boot/initrd.img-6.1.new" "$root/boot/initrd.img-6.1"
	cp "$root/boot/initrd.img-6.1" "$CALLS.copy"
	cp "$root/boot/initrd.img-6.1" "$root/boot/firmware/initrd"
	[ ! -e "$CALLS.more" ] || echo "one more" > "$root/boot/initrd.img-6.2"
	;;
copy-images) cp "$root/boot/initrd.img-6.1" "$CALLS.copy" ;;
update-grub)
	printf 'half of' > "$root/boot/efi/grub.cfg"
	half_way
	echo "menu with $wished" > "$root/boot/efi/grub.cfg"
	;;
modprobe) half_way ;;
esac
"""

_CARD = [
    ("0000:00:02.0", (), "1b36:000c", "060400", "pcieport", {}),
    (GPU, ("0000:00:02.0",), "1002:5046", "030000", "", {"boot_vga": "0"}),
    (AUDIO, ("0000:00:02.0",), "8086:293e", "040300", SOUND, {}),
]
TREE = {
    **with_groups(pci_tree(_CARD), {10: [GPU, AUDIO]}),
    "sys/bus/pci/drivers/vfio-pci/": "",
    "proc/sys/kernel/random/boot_id": "boot-one\n",
    "etc/default/grub": ("quiet\n", 0o640),
    "etc/motd": ("welcome\n", 0o600),
    "boot/initrd.img-6.1": ("old image", 0o600),
    "boot/initrd.img": "-> initrd.img-6.1",
    "boot/firmware/initrd": ("old image", 0o644),
    "boot/grub/grub.cfg": "-> ../efi/grub.cfg",
    "boot/efi/grub.cfg": ("old menu", 0o444),
    "var/lib/": "",
}

PLAN = Plan(
    (
        Action(
            "run-at-rollback",
            "copies",
            "copies outside the backup",
            RunAtRollback(("copy-images",)),
            "",
        ),
        Action(
            "write-file",
            "/etc/default/grub",
            "an edited file",
            WriteFile("/etc/default/grub", "quiet iommu\n", 0o640, "quiet\n", 0o640),
            "",
        ),
        Action(
            "write-file",
            "/etc/wholecard/deep/bind",
            "a new file in new directories",
            WriteFile("/etc/wholecard/deep/bind", f"{GPU}\n{AUDIO}\n", 0o755),
            "",
        ),
        Action(
            "write-file",
            "/etc/motd",
            "another mode",
            WriteFile("/etc/motd", "welcome\n", 0o644, "welcome\n", 0o600),
            "",
        ),
        Action(
            "run-tool",
            "update-initramfs",
            "outputs by a pattern, one of them a link, and what a hook copies",
            RunTool(("update-initramfs",), ("/boot/initrd.img*",), copies=("/boot/firmware/*",)),
            "",
        ),
        Action(
            "run-tool",
            "update-grub",
            "an output behind a link",
            RunTool(("update-grub",), ("/boot/grub/grub.cfg",)),
            "",
        ),
        Action("load-module", "vfio_pci", "a module", LoadModule("vfio_pci"), ""),
        Action(
            "bind-driver",
            GPU,
            "a function without a driver",
            BindDriver(GPU, "vfio-pci", "1002", "5046"),
            "",
        ),
        Action(
            "bind-driver",
            AUDIO,
            "a function with a driver",
            BindDriver(AUDIO, "vfio-pci", "8086", "293e", SOUND),
            "",
        ),
    ),
    reboot_needed=True,
)


class Node:
    """One host in a folder, its tools, its kernel, and the plan that is made for it."""

    plan = PLAN

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = grow(place / "root", TREE)
        self.calls = place / "calls"
        # What a hook copies to where no backup reaches.
        self.copy = Path(f"{self.calls}.copy")
        self.copy.write_text("old image")
        programs = grow(place / "programs", {"chroot": (TOOLS, 0o755)})
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        monkeypatch.setenv("CALLS", str(self.calls))
        monkeypatch.setattr(syscalls, "write_sysfs", Kernel(self.root, {AUDIO: SOUND}).write)
        # Owner and label are given back where they can be set: as root, on most file systems.
        paths = ("etc/default/grub", "boot/initrd.img-6.1", "boot/efi/grub.cfg")
        self.distinct = [self._distinguish(self.root / path) for path in paths] == [True] * 3

    @staticmethod
    def _distinguish(place: Path) -> bool:
        """Give a file an owner, a label and a time that no new file has; whether all could be."""
        try:
            os.chown(place, 12, 34)
            os.setxattr(place, LABEL, b"system_u:object_r:old_t:s0\0")
        except OSError:
            return False
        finally:
            os.utime(place, ns=(10**18, 10**18 + 5))
        return True

    def apply(self) -> Outcome:
        return apply(self.root, inspect(self.root), DesiredState(("0000:01:00",)), self.plan)

    def status(self) -> dict[str, Any]:
        return status(self.root, "boot-one")

    def seen(self) -> dict[str, object]:
        """Everything: bytes, modes, owners, links, and of what is not sysfs labels and times."""
        found = snapshot(self.root)
        found["copy"] = self.copy.read_text()
        for path in list(found):
            place = self.root / path
            if path.startswith(("etc", "boot")) and place.is_file() and not place.is_symlink():
                found[f"{path} label"] = _label(place)
                found[f"{path} time"] = place.stat().st_mtime_ns
        return found

    def wait(self) -> None:
        """Until the tool of a killed run has ended too."""
        with (self.root / journal.HOME / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def forget(self) -> None:
        """Remove the journals, so that the next run begins as the first did."""
        shutil.rmtree(self.root / "var/lib/wholecard", ignore_errors=True)


def without_times(seen: dict[str, object]) -> dict[str, object]:
    """What two runs leave alike."""
    return {path: each for path, each in seen.items() if not path.endswith(" time")}


def _label(place: Path) -> bytes | None:
    try:
        return os.getxattr(place, LABEL)
    except OSError:
        return None


def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of fsyncs on a disk take minutes."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    place = memory / f"wholecard-{os.getpid()}-{tmp_path.name}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place)
