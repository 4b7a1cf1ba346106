"""Who makes the next boot, and what it gives to the kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.distributions import MACHINE, Distribution, everything, leap
from support.tree import Leaf, grow
from wholecard.host.bootloaders.registry import next_command_line
from wholecard.host.config_files import read_settings
from wholecard.host.facts.boot import find_kernels
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect

NEW, OLD = "5.14.0-503.11.1.el9_5.x86_64", "5.14.0-427.el9.x86_64"


def entries(options: dict[str, str], block: str) -> dict[str, Leaf]:
    """Entries by kernel and a block of variables."""
    tree: dict[str, Leaf] = {
        f"boot/loader/entries/{MACHINE}-{version}.conf": f"title {version}\noptions {text}\n"
        for version, text in options.items()
    }
    return {**tree, "boot/grub2/grubenv": f"# GRUB Environment Block\n{block}\n###"}


@pytest.mark.parametrize(
    ("block", "line"),
    [
        ("", "new"),
        (f"saved_entry={MACHINE}-{OLD}", "old"),
        (f"saved_entry={OLD}", "old"),
        ("saved_entry=0", "new"),
        ("saved_entry=1", "old"),
        ("saved_entry=gone", "new"),
        ("boot_success=1", "new"),
    ],
)
def test_default_entry(tmp_path: Path, block: str, line: str) -> None:
    """The saved entry boots, by file, title or number; else the newest, and the rescue system last.

    Versions compare by their numbers: 503 is newer than 427, and than a rescue system's 0.
    """
    options = {NEW: "new", OLD: "old", f"0-rescue-{MACHINE}": "rescue"}
    grow(tmp_path, entries(options, block))
    assert next_command_line("grubby", read_settings(tmp_path), "") == line


def test_variables(tmp_path: Path) -> None:
    """Variables of the environment block are put in, and unknown ones are nothing."""
    tree = entries({NEW: "a $kernelopts ${other} $none"}, "kernelopts=root=/dev/x ro\nother=b")
    grow(tmp_path, tree)
    assert next_command_line("grubby", read_settings(tmp_path), "") == "a root=/dev/x ro b "


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({}, "root=1 quiet"),
        ({"usr/lib/kernel/cmdline": "vendor\n"}, "vendor"),
        ({"usr/lib/kernel/cmdline": "vendor\n", "etc/kernel/cmdline": "# no\na\nb\n"}, "a b"),
    ],
)
def test_kernel_install(tmp_path: Path, tree: dict[str, Leaf], line: str) -> None:
    """kernel-install takes the host's file, else the vendor's, else what runs."""
    settings = read_settings(grow(tmp_path, tree))
    running = "initrd=\\x\\initrd BOOT_IMAGE=/vmlinuz root=1 quiet"
    assert next_command_line("systemd-boot", settings, running) == line


@pytest.mark.parametrize("loader", [None, "lilo"])
def test_unknown_loader(tmp_path: Path, loader: str | None) -> None:
    """Of a loader that nobody knows nothing is said."""
    assert next_command_line(loader, read_settings(tmp_path), "quiet") is None


def test_settings_that_do_not_tell(tmp_path: Path) -> None:
    """GRUB's settings that are no plain values do not tell, and inspect goes on."""
    grow(tmp_path, {**leap().tree, "etc/default/grub": 'GRUB_CMDLINE_LINUX="$(cat /x)"\n'})
    boot = inspect(tmp_path).boot
    assert (boot.loader, boot.next_command_line) == ("grub2", None)


def test_kernels(tmp_path: Path) -> None:
    """Kernels are those with modules and an image; the image beside the modules comes first."""
    tree: dict[str, Leaf] = {
        "lib/modules/6.1/modules.dep": "",
        "lib/modules/6.2/vmlinuz": "",
        "lib/modules/6.3/modules.dep": "",
        "boot/vmlinuz-6.1": "",
        "boot/vmlinuz-6.2": "",
        "boot/vmlinuz-6.4": "",
    }
    assert find_kernels(grow(tmp_path, tree)) == (
        ("6.1", "/boot/vmlinuz-6.1"),
        ("6.2", "/lib/modules/6.2/vmlinuz"),
    )


@pytest.mark.parametrize("one", everything(), ids=lambda one: one.name)
def test_json(tmp_path: Path, one: Distribution) -> None:
    """Every distribution's host goes through JSON and comes back."""
    host = inspect(grow(tmp_path, one.tree))
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
