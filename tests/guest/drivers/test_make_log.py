"""The first error of a DKMS build's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.guest.drivers.make_log import failed_builds, first_error

HEAD = "DKMS (dkms-3.2.2) make.log for nvidia-current-open/550.163.01 for kernel {} (x86_64)\n"
# As gcc 14 writes it with a UTF-8 locale, between lines that are no errors.
LOG = HEAD.format("6.12.118+deb13-amd64") + (
    "Building module(s)\n"
    "  CC [M]  nvidia/nv-error.o\n"
    "/var/lib/dkms/nvidia-current-open/550.163.01/build/nvidia/nv.c:10:1: warning: error: no\n"
    "/var/lib/dkms/nvidia-current-open/550.163.01/build/nvidia/nv-pci.c: In function "
    "\u2018nv_resize_pcie_bars\u2019:\n"
    "/var/lib/dkms/nvidia-current-open/550.163.01/build/nvidia/nv-pci.c:237:9: error: too few "
    "arguments to function \u2018pci_resize_resource\u2019\n"
    "  237 |     r = pci_resize_resource(pci_dev, NV_GPU_BAR1, requested_size);\n"
    "nvidia/nv-pci.c:300:1: error: a later one\n"
    "make[2]: *** [scripts/Makefile.build:249: nv-pci.o] Error 1\n"
)


def test_the_known_failure() -> None:
    """The compiler's first error is quoted, its pair is recognised, and the fix is the table's."""
    error = first_error(LOG, "nvidia-current-open", "550.163.01")
    assert error is not None
    assert error.where == "nvidia/nv-pci.c:237:9"
    assert error.what.startswith("too few arguments to function")
    assert (error.line, error.kernel) == (6, "6.12.118+deb13-amd64")
    finding = error.finding()
    assert finding.rule == "WC428"
    assert "nvidia/nv-pci.c:237:9: error: too few arguments" in finding.message
    assert "Install 580.126.09 or newer. Or install and hold a kernel older than 6.12.97." in (
        finding.fix
    )
    assert "--patch" in finding.fix


@pytest.mark.parametrize(
    ("log", "quoted"),
    [
        ("a.c:1:2: fatal error: linux/of.h: No such file\n",
         "a.c:1:2: error: linux/of.h: No such file"),
        ("ERROR: modpost: \"__vma_start_write\" [n.ko] undefined!\nmake: *** [M] Error 2\n",
         "ERROR: modpost: \"__vma_start_write\" [n.ko] undefined!"),
        ("make[1]: *** /lib/modules/6.1/build: No such file or directory.  Stop.\n",
         "/lib/modules/6.1/build: No such file or directory.  Stop."),
        ("make: *** [Makefile:82: modules] Error 2\na.c:9: error: late\n", "a.c:9: error: late"),
        ("/bin/sh: 1: cc: not found\n", "/bin/sh: 1: cc: not found"),
        ("a.c:1:2: error: \x1b]0;title\x07evil\n", "a.c:1:2: error: \ufffd]0;title\ufffdevil"),
    ],
)  # fmt: skip
def test_other_errors(log: str, quoted: str) -> None:
    """The compiler counts before make, in any order, and no escape reaches a terminal."""
    error = first_error(log)
    assert error is not None
    assert error.quoted == quoted
    assert error.pair is None
    assert "another branch" in error.finding().fix


def test_no_error() -> None:
    """A log without an error has none, and a very long line takes no time."""
    assert first_error(HEAD.format("6.1.0") + "# exit code: 0\n") is None
    assert first_error("ld -r " + "a.o " * 1_000_000) is None


def test_failed_builds_of_a_tree(tmp_path: Path) -> None:
    """Each module whose log stayed in build/ failed; a built module's log does not count."""
    built = "var/lib/dkms/v4l2loopback/0.15.0/6.12.118/x86_64/log/make.log"
    root = grow(tmp_path, {
        "var/lib/dkms/nvidia-current-open/550.163.01/build/make.log": LOG.encode(),
        "var/lib/dkms/other/1.0/build/make.log": "no error here\n",
        built: "a.c:1:1: error: of an older try\n",
    })  # fmt: skip
    assert [(error.module, error.version) for error in failed_builds(root)] == [
        ("nvidia-current-open", "550.163.01")
    ]
    assert failed_builds(tmp_path / "nothing") == ()
