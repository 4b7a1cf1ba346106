"""Pairs of driver and kernel that do not build, and kernels without drivers."""

from __future__ import annotations

import pytest

from wholecard.guest.drivers.known_drivers import SYSTEMS
from wholecard.guest.drivers.known_failures import build_finding, kernel_finding

DEBIAN = next(row for row in SYSTEMS if row.key == "debian-13")


@pytest.mark.parametrize(
    ("driver", "kernel", "known"),
    [
        ("550.163.01", "6.12.118+deb13-amd64", True),
        ("550.163.01", "6.12.107+deb13-amd64", True),
        ("550.163.01", "6.12.96+deb13-amd64", False),
        ("550.163.01", "7.3.4+deb13-amd64", True),
        ("580.126.09", "6.12.118+deb13-amd64", False),
        ("580.95.05", "6.12.118+deb13-amd64", True),
        ("535.261.03", "6.1.0-40-amd64", False),
    ],
)
def test_the_pair(driver: str, kernel: str, known: bool) -> None:
    """The row fires for drivers before the fix on kernels with the change, and is quiet else."""
    finding = build_finding(driver, kernel)
    assert (finding is not None) is known
    if finding:
        assert finding.rule == "WC420"
        assert "pci_resize_resource" in finding.message


def test_the_advice() -> None:
    """It names a newer driver always, an older kernel of the series, and the patch if one fits."""
    finding = build_finding("550.163.01", "6.12.118+deb13-amd64")
    assert finding is not None
    assert finding.fix == (
        "Install 580.126.09 or newer. Or install and hold a kernel older than 6.12.97. "
        "Or let the recipe add the patch pci_resize_resource to the module's source (--patch)."
    )
    newer = build_finding("580.95.05", "7.3.4")
    assert newer is not None
    assert newer.fix == "Install 580.126.09 or newer."


def test_the_cloud_kernel() -> None:
    """Debian's cloud kernel has no driver for any card; its usual kernel is in order."""
    finding = kernel_finding(DEBIAN, "6.12.118+deb13-cloud-amd64", ["AMD"])
    assert finding is not None
    assert finding.rule == "WC422"
    assert "linux-image-amd64" in finding.fix
    assert kernel_finding(DEBIAN, "6.12.118+deb13-amd64", ["AMD"]) is None
