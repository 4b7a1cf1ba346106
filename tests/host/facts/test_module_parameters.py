"""Command lines and other people's module settings are read as kernel and kmod read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.hosts import foreign
from support.tree import Leaf, grow
from wholecard.host.config_files import MODPROBE, FileText, Settings, read_settings
from wholecard.host.facts.module_parameters import (
    has_softdep,
    initramfs_modules,
    kernel_arguments,
    loaded_modules,
    module_options,
)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("", ()),
        ("ro vfio-pci.ids=1:2", (("ro", ""), ("vfio_pci.ids", "1:2"))),
        ('a="b c" d', (("a", "b c"), ("d", ""))),
        ('"a=b c"', (("a", "b c"),)),
        ('a="b', (("a", "b"),)),
    ],
)
def test_kernel_arguments(line: str, arguments: tuple[tuple[str, str], ...]) -> None:
    """Names have `_` for `-`; double quotes keep white space together, also unclosed."""
    assert kernel_arguments(line) == arguments


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("options vfio-pci ids=1:2 disable_vga=1", [("ids", "1:2"), ("disable_vga", "1")]),
        ("options vfio_pci \\\n  ids=1:2", [("ids", "1:2")]),
        ("#options vfio-pci ids=1:2\noptions other ids=1:2\noptions vfio-pci", []),
        ("options vfio-pci ids=1:2 # why", [("ids", "1:2")]),
    ],
)
def test_module_options(text: str, options: list[tuple[str, str]]) -> None:
    """Options are those of this module alone, over continued lines and without comments."""
    found = module_options(foreign("/etc/modprobe.d/x.conf", text), "vfio_pci")
    assert [(name, value) for _, name, value in found] == options


@pytest.mark.parametrize(
    ("text", "ordered"),
    [
        ("softdep nvidia pre: vfio-pci", True),
        ("softdep nvidia pre: a vfio_pci post: b", True),
        ("softdep nvidia post: vfio-pci", False),
        ("softdep nouveau pre: vfio-pci", False),
        ("blacklist nvidia", False),
        ("softdep", False),
    ],
)
def test_softdep(text: str, ordered: bool) -> None:
    """Only a softdep before the module orders; a blacklist does not stop loading by name."""
    assert has_softdep(foreign("/etc/modprobe.d/x.conf", text), "nvidia") is ordered


def test_our_softdep() -> None:
    """The softdep that Wholecard itself wrote counts."""
    ours = Settings((FileText(MODPROBE, "softdep nvidia pre: vfio-pci\n"),))
    assert has_softdep(ours, "nvidia")


@pytest.mark.parametrize(
    ("path", "text", "modules"),
    [
        ("/etc/initramfs-tools/modules", "# x\nnvidia a=1\n\nvfio-pci\n", ["nvidia", "vfio_pci"]),
        ("/etc/dracut.conf.d/a.conf", 'add_drivers+=" a b-c "\nfoo="d"\n', ["a", "b_c"]),
        ("/etc/dracut.conf", "force_drivers+=x\n#add_drivers+=y\n", ["x"]),
        ("/etc/modules", "nvidia\n", []),
    ],
)
def test_initramfs_modules(path: str, text: str, modules: list[str]) -> None:
    """Modules are asked for in the initramfs by a list, or by dracut's drivers."""
    assert [module for _, module in initramfs_modules(foreign(path, text))] == modules


def test_loaded_modules() -> None:
    """Modules are loaded at boot by name, and comments are none."""
    settings = foreign("/etc/modules-load.d/a.conf", "; no\n# no\nvfio-pci\n")
    assert list(loaded_modules(settings)) == [("/etc/modules-load.d/a.conf", "vfio_pci")]


FILES: dict[str, Leaf] = {
    "etc/modprobe.d/gpu.conf": "options vfio-pci ids=1:2\n",
    "etc/modprobe.d/wholecard.conf": "# ours\n",
    "etc/modprobe.d/notes.txt": "no\n",
    "etc/modprobe.d/link.conf": "-> /etc/passwd",
    "etc/modprobe.d/folder.conf/": "",
    "etc/modules": b"\xff\n",
    "etc/dracut.conf.d/a.conf": 'add_drivers+=" x "\n',
}


def test_read_foreign(tmp_path: Path) -> None:
    """Other people's settings are read as they stand; ours, links and folders are passed over."""
    settings = read_settings(grow(tmp_path, FILES))
    assert [(each.path, each.text) for each in settings.foreign] == [
        ("/etc/modprobe.d/gpu.conf", "options vfio-pci ids=1:2\n"),
        ("/etc/modules", "\udcff\n"),
        ("/etc/dracut.conf.d/a.conf", 'add_drivers+=" x "\n'),
    ]
    assert Settings.from_json(settings.to_json()) == settings
