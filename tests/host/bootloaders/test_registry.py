"""Who makes the next boot, and what it gives to the kernel."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from support.distributions import MACHINE, Distribution, everything, leap
from support.tree import Leaf, grow
from wholecard.core import WholecardError
from wholecard.host.bootloaders.registry import LOADERS, BootLoader, BootState, loader_named
from wholecard.host.config_files import read_settings
from wholecard.host.facts.boot import find_kernels
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.kernel_args.command_line import KernelArgs

NEW, OLD = "5.14.0-503.11.1.el9_5.x86_64", "5.14.0-427.el9.x86_64"


def next_line(root: Path, name: str, running: str = "") -> str | None:
    """What the loader of that name gives to the next boot."""
    loader = loader_named(name)
    assert loader is not None
    return loader.next_command_line(BootState(read_settings(root), running))


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
    assert next_line(tmp_path, "grubby") == line


def test_variables(tmp_path: Path) -> None:
    """Variables of the environment block are put in, and unknown ones are nothing."""
    tree = entries({NEW: "a $kernelopts ${other} $none"}, "kernelopts=root=/dev/x ro\nother=b")
    grow(tmp_path, tree)
    assert next_line(tmp_path, "grubby") == "a root=/dev/x ro b "


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
    running = "initrd=\\x\\initrd BOOT_IMAGE=/vmlinuz root=1 quiet"
    assert next_line(grow(tmp_path, tree), "systemd-boot", running) == line


@pytest.mark.parametrize("name", [None, "lilo"])
def test_unknown_loader(name: str | None) -> None:
    """A name that is in no row gives no loader."""
    assert loader_named(name) is None


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_rows(tmp_path: Path, loader: BootLoader) -> None:
    """The functions that a row names exist: each reads and plans, or says why it cannot."""
    state = BootState(read_settings(grow(tmp_path, {"etc/default/grub": ""})), "root=1")
    assert loader.next_command_line(state) in (None, "", "root=1")
    with contextlib.suppress(WholecardError):
        assert loader.change(state, KernelArgs((("iommu", "pt"),))).files


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
