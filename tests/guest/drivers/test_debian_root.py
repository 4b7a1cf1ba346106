"""Drivers in a real Debian root: DKMS builds, kmod answers, and the root's own kernel loads.

No card is needed. The roots are cached beside the lab's parts, and QEMU is the lab's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.driver_roots import (
    loaded_in_qemu,
    nvidia_plan,
    nvidia_root,
    stand_in_root,
)
from support.tree import grow
from wholecard.guest.drivers.make_log import first_error
from wholecard.guest.drivers.modules import card_alias, module_findings, would_bind
from wholecard.guest.drivers.tree_checks import boot_kernel, tree_findings
from wholecard.guest.image.kernel_modules import read_modules
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.base.folder import default_folder

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

FOLDER = default_folder()
# A module that calls the function as NVIDIA's drivers before 580.126.09 do.
BROKEN = {
    "broken-1.0/dkms.conf": 'PACKAGE_NAME="broken"\nPACKAGE_VERSION="1.0"\n'
    'BUILT_MODULE_NAME[0]="broken"\nDEST_MODULE_LOCATION[0]="/extra"\n'
    'MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/broken/1.0/build modules"\nCLEAN=true\n',
    "broken-1.0/Makefile": "obj-m := broken.o\n",
    "broken-1.0/broken.c": "#include <linux/module.h>\n#include <linux/pci.h>\n"
    "int resize(struct pci_dev *dev);\nint resize(struct pci_dev *dev)\n"
    "{\n\treturn pci_resize_resource(dev, 1, 8);\n}\n"
    'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("Does not build");\n',
}


@pytest.fixture(scope="module")
def root() -> Path:
    return stand_in_root(FOLDER)


@pytest.fixture(scope="module")
def kernel(root: Path) -> str:
    release = boot_kernel(root)
    assert release is not None
    return release


def test_dkms_built_for_the_kernel_that_boots(root: Path, kernel: str) -> None:
    """The stand-in is there for the kernel, with its vermagic and its symbols."""
    assert module_findings(root, kernel, "v4l2loopback") == ()


@pytest.mark.parametrize(
    ("ids", "class_code"),
    [("10de:2330", "030200"), ("1234:1111", "030000"), ("1002:74a1", "120000"),
     ("8086:56c0", "038000"), ("8086:2668", "040300"), ("1af4:1041", "020000"),
     ("ffff:ffff", "030000")],
)  # fmt: skip
def test_kmod_answers_the_same(root: Path, kernel: str, ids: str, class_code: str) -> None:
    """`modprobe -S KERNEL -b -R ALIAS` in the root prints what would_bind says."""
    alias = card_alias(ids, class_code)
    argv = ["modprobe", "-S", kernel, "-b", "-R", alias]
    result = Sandbox(root).run(argv, timeout=60, check=False)
    # It prints a module once for each of its patterns.
    assert would_bind(root, kernel, alias) == tuple(dict.fromkeys(result.stdout.split()))


def test_the_roots_own_kernel_loads_it(root: Path, kernel: str, tmp_path: Path) -> None:
    """The kernel of the image, under emulation, takes the module that DKMS built for it."""
    modules = read_modules(root, kernel, ("v4l2loopback",))
    console = loaded_in_qemu(FOLDER, root, kernel, modules, tmp_path)
    assert "insmod v4l2loopback.ko 0" in console
    assert kernel in console


def test_a_real_build_fails_as_the_table_says(root: Path, kernel: str, tmp_path: Path) -> None:
    """Against this kernel's headers the old call does not compile, and the pair is recognised."""
    source = grow(tmp_path / "source", BROKEN)
    inside = Sandbox(root, (Mount(source, "/tmp/source"),))
    script = (
        f"dkms build -m broken -v 1.0 -k {kernel} --dkmstree /tmp/tree --sourcetree /tmp/source "
        ">/dev/null 2>&1; cat /tmp/tree/broken/1.0/build/make.log"
    )
    log = inside.run(["sh", "-c", f"mkdir /tmp/tree; {script}"], timeout=300).stdout
    error = first_error(log, "broken", "1.0")
    assert error is not None
    assert error.kernel == kernel
    assert error.pair is not None
    assert error.pair.name == "pci_resize_resource"


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_nvidias_real_driver(root: Path, kernel: str, tmp_path: Path) -> None:
    """Debian's driver builds with the recipe's patch, would bind an H100, loads, and finds none."""
    with_driver = nvidia_root(FOLDER, root, kernel)
    assert tree_findings(with_driver, nvidia_plan()) == ()
    smi = Sandbox(with_driver).run(["nvidia-smi"], timeout=60, check=False)
    assert smi.status == 9
    modules = read_modules(with_driver, kernel, ("nvidia-current-open",))
    console = loaded_in_qemu(FOLDER, with_driver, kernel, modules, tmp_path)
    assert "NVRM: No NVIDIA GPU found." in console
